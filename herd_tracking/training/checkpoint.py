"""Checkpoints: files that are whole or not there, and are read only by what they fit."""

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from herd_tracking.events import TrackingError
from herd_tracking.model.classifier import HitClassifier
from herd_tracking.model.config import ModelConfig

FORMAT = "herd-tracking checkpoint"
VERSION = 1
LAST, BEST = "last.pt", "best.pt"
_FIELDS = ("model_config", "model", "settings", "progress", "dataset", "made_by")


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` to ``path``; TrackingError when it cannot be: what was at ``path`` is left as it was."""
    box = io.BytesIO()
    torch.save({"format": FORMAT, "version": VERSION, **content}, box)
    replace_file(path, box.getbuffer())


def replace_file(path: Path, data: bytes | memoryview) -> None:
    """Put ``data`` in the place of ``path``, at once and for good. Raises TrackingError."""
    half = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with half.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        kept = f"The last good one is kept: {path}." if path.exists() else "There was none before."
        raise TrackingError(
            f"{path}: {len(data) / 1e6:.1f} MB cannot be written: {error.strerror or error}. {kept} Make room, or "
            "choose another directory; then go on with resume=True."
        ) from error


def remove_halves(directory: Path) -> None:
    """Remove what killed processes have half written in ``directory``; only one run at a time writes there."""
    for half in directory.glob(".*.part"):
        half.unlink(missing_ok=True)


def find_checkpoint(path: Path | str, name: str = BEST) -> Path:
    """Return ``path``, or, if it is the directory of a run, its checkpoint ``name``. Raises TrackingError."""
    place = Path(path)
    found = place / name if place.is_dir() else place
    if not found.is_file():
        raise TrackingError(
            f"checkpoint: {found} is not there; give a file such as {BEST}, or the directory of a run."
        )
    return found


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Return what `write_checkpoint` wrote. Only tensors and plain values are read, nothing in it is run.

    Raises TrackingError for a file that is truncated, foreign, or of another version.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrackingError(f"checkpoint: {path}: cannot be read: {error.strerror or error}.") from None
    except Exception as error:
        # torch names neither the file nor a type of its own for what is wrong with it.
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrackingError(f"checkpoint: {path}: truncated or foreign: {first[:200]}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise TrackingError(f"checkpoint: {path}: foreign, its field 'format' is not {FORMAT!r}.")
    if found.get("version") != VERSION:
        raise TrackingError(
            f"checkpoint: {path}: version {found.get('version')!r}; this program reads {VERSION}."
        )
    if missing := [name for name in _FIELDS if name not in found]:
        raise TrackingError(f"checkpoint: {path}: field {', '.join(missing)} is missing.")
    return found


def check_fits(
    config: ModelConfig, path: Path | str, *, features: tuple[str, ...], preset: ModelConfig | None
) -> None:
    """Raise TrackingError unless a checkpoint of ``config`` reads ``features`` and is of ``preset`` (None: of any)."""
    if config.features != tuple(features):
        raise TrackingError(
            f"checkpoint: {path}: field features: trained with {', '.join(config.features)}; the data has "
            f"{', '.join(features)}. Use a dataset with the same features, or train anew."
        )
    if preset is not None and config != preset:
        have, want = config.to_dict(), preset.to_dict()
        told = ", ".join(
            f"{name} {have[name]!r} (asked for: {want[name]!r})" for name in have if have[name] != want[name]
        )
        raise TrackingError(
            f"checkpoint: {path}: of another preset: {told}. Choose its preset, or train anew."
        )


def load_checkpoint(
    path: Path | str, *, features: tuple[str, ...] | None = None, preset: ModelConfig | None = None
) -> HitClassifier:
    """Return the model in ``path``, a file or the directory of a run (then its best one), in fp32 on the CPU.

    ``features``: what the data has; ``preset``: what the model must look like; None: whatever. Raises TrackingError.
    """
    place = find_checkpoint(path)
    found = read_checkpoint(place)
    config = ModelConfig.from_dict(found["model_config"])
    check_fits(config, place, features=config.features if features is None else features, preset=preset)
    model = HitClassifier(config)
    load_weights(model, found["model"], place)
    return model.eval()


def load_weights(model: HitClassifier, weights: dict[str, Any], path: Path | str) -> None:
    """Put ``weights`` into ``model``. Raises TrackingError."""
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise TrackingError(f"checkpoint: {path}: field model does not fit: {str(error)[:300]}") from None
