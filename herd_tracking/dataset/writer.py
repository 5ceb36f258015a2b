"""Writes a dataset: shards as they come, and `dataset.json` last, so that half a dataset is none."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from herd_tracking.dataset.checks import check_events
from herd_tracking.dataset.files import write_shard
from herd_tracking.dataset.meta import FILE, Meta
from herd_tracking.dataset.store import joined
from herd_tracking.events import Events, TrackingError

EVENTS_PER_SHARD = 51_200


class DatasetWriter:
    """``with DatasetWriter(directory, meta) as writer: writer.append(events)``, again and again.

    ``meta``: a `Meta`, or its fields as a mapping. The directory must be new or empty; ``is_overwritten`` lets an older
    dataset (and nothing else) be replaced. After an error nothing of what was written is left. Raises TrackingError.
    """

    def __init__(
        self, directory: Path | str, meta: Meta | Mapping[str, Any], is_overwritten: bool = False
    ) -> None:
        self.directory = Path(directory)
        self.meta = meta if isinstance(meta, Meta) else Meta.model_validate(dict(meta))
        self._waiting: list[Events] = []
        self._taken = 0
        if self.directory.exists() and not self.directory.is_dir():
            raise TrackingError(f"{self.directory}: is a file; a dataset is a directory.")
        if is_overwritten and (self.directory / FILE).is_file():
            remove_dataset(self.directory)
        if self.directory.exists() and any(self.directory.iterdir()):
            raise TrackingError(
                f"{self.directory}: is not empty. Choose another place, or overwrite a dataset there."
            )

    def __enter__(self) -> "DatasetWriter":
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrackingError(f"{self.directory}: cannot be made: {error.strerror}") from None
        return self

    def append(self, events: Events, what: str = "events", first_event: int | None = None) -> None:
        """Look at ``events`` and take them; a shard is written when there are enough for one.

        Raises TrackingError for events that cannot be trained with; ``what`` and ``first_event`` (by default how many
        were taken before) are for the message, as in `check_events`.
        """
        first = self._taken if first_event is None else first_event
        check_events(events, what, are_classes_needed=False, first_event=first)
        self._taken += len(events)
        self._waiting.append(events)
        while sum(map(len, self._waiting)) >= EVENTS_PER_SHARD:
            together = joined(self._waiting)
            self._write(together.take(0, EVENTS_PER_SHARD))
            rest = together.take(EVENTS_PER_SHARD, len(together))
            self._waiting = [rest] if len(rest) else []

    def _write(self, events: Events) -> None:
        shard = write_shard(self.directory, f"shard-{len(self.meta.shards):05d}", events)
        self.meta = self.meta.model_copy(update={"shards": (*self.meta.shards, shard)})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            remove_dataset(self.directory)
            return
        half = self.directory / f".{FILE}.part"
        try:
            if self._waiting:
                self._write(joined(self._waiting))
            if not self.meta.shards:
                raise TrackingError(f"{self.directory}: no events were given.")
            with half.open("w", encoding="utf-8") as file:
                file.write(self.meta.model_dump_json(indent=1))
                file.flush()
                os.fsync(file.fileno())
            half.rename(self.directory / FILE)
        except TrackingError:
            remove_dataset(self.directory)
            raise
        except OSError as failure:
            remove_dataset(self.directory)
            raise TrackingError(f"{self.directory}: cannot be written: {failure.strerror}") from None


def remove_dataset(directory: Path) -> None:
    """Remove what a writer makes in ``directory``; other files there stay."""
    (directory / FILE).unlink(missing_ok=True)
    (directory / f".{FILE}.part").unlink(missing_ok=True)
    for pattern in ("shard-[0-9][0-9][0-9][0-9][0-9]", ".shard-*.part"):
        for shard in directory.glob(pattern):
            shutil.rmtree(shard, ignore_errors=True)
