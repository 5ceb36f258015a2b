"""What `dataset.json` says: how the events were made, and how long each array of each shard is."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from herd_tracking.events import EVENT_COLUMNS, FEATURES, HIT_CLASSES, TrackingError
from herd_tracking.geometry import FIT, Geometry

FILE = "dataset.json"
SCHEMA_VERSION = 1


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(_Model):
    """One directory of arrays: its name, and how many events, hits and edges it has."""

    name: str = Field(pattern=r"^shard-\d{5}$")
    events: int = Field(ge=1)
    hits: int = Field(ge=1)
    edges: int = Field(ge=0)


class Meta(_Model):
    """``dataset.json``. ``source``: "toy" or what was imported; ``knobs``: those of the toy, or how it was imported."""

    format: Literal["herd-tracking"] = "herd-tracking"
    schema_version: int = SCHEMA_VERSION
    source: str
    particles: str = "electron"
    seed: int | None = None
    knobs: dict[str, Any] = {}
    geometry_hash: str
    split_seed: int = 0
    geometry: dict[str, Any] = {}
    features: tuple[str, ...] = FEATURES
    event_columns: tuple[str, ...] = EVENT_COLUMNS
    hit_classes: tuple[str, ...] = HIT_CLASSES
    made_by: str = ""
    shards: tuple[Shard, ...] = ()

    @property
    def events(self) -> int:
        """Events in all shards."""
        return sum(shard.events for shard in self.shards)

    @property
    def hits(self) -> int:
        """Hits in all shards."""
        return sum(shard.hits for shard in self.shards)

    @property
    def edges(self) -> int:
        """Edges in all shards."""
        return sum(shard.edges for shard in self.shards)

    def reach_cm(self) -> np.ndarray | None:
        """Return `Geometry.reach_cm` of the geometry that the events were made with; None if it is not known here."""
        if self.geometry_hash == FIT.hash:
            return FIT.reach_cm
        try:
            geometry = Geometry(**self.geometry)
            return geometry.reach_cm if geometry.hash == self.geometry_hash else None
        except (TypeError, ValueError):
            return None


def _without_file(directory: Path) -> str:
    """Return what is in the place of a dataset."""
    if not directory.exists():
        return "there is no such directory"
    if not directory.is_dir():
        return "it is a file; a dataset is a directory"
    return f"it has no {FILE} (which is written last)"


def read_meta(directory: Path) -> Meta:
    """Return what ``dataset.json`` in ``directory`` says. Raises TrackingError with the reason."""
    path = directory / FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise TrackingError(
            f"{directory}: no dataset, {_without_file(directory)}. Make one with `simulate_dataset(…)`, or on the "
            "command line with `herd_tracking simulate`."
        ) from None
    except (OSError, ValueError) as error:
        raise TrackingError(f"{path}: cannot be read: {error}") from None
    if not isinstance(told, dict) or told.get("format") != "herd-tracking":
        raise TrackingError(f"{path}: foreign, its field 'format' is not 'herd-tracking'.")
    if told.get("schema_version") != SCHEMA_VERSION:
        raise TrackingError(
            f"{path}: schema version {told.get('schema_version')!r}; this program reads {SCHEMA_VERSION}."
        )
    try:
        meta = Meta.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise TrackingError(f"{path}: field {where}: {first['msg']}") from None
    for name, have, want in (
        ("features", meta.features, FEATURES),
        ("event_columns", meta.event_columns, EVENT_COLUMNS),
        ("hit_classes", meta.hit_classes, HIT_CLASSES),
    ):
        if tuple(have) != tuple(want):
            raise TrackingError(
                f"{path}: field {name}: {', '.join(have)}; this program has {', '.join(want)}."
            )
    return meta
