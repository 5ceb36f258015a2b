"""Writes a dataset aside, and moves it into place when it is whole, so that half a dataset is none."""

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
PART = ".writing"
"""Directory in the dataset's own where shards are until all are written."""


class DatasetWriter:
    """``with DatasetWriter(directory, meta) as writer: writer.append(events)``, again and again.

    ``meta``: a `Meta`, or its fields as a mapping. The directory must be new or empty; ``is_overwritten`` lets an older
    dataset, or what a writer that was killed has left (and nothing else), be replaced. An older dataset is there until
    the new one is whole, so both must fit the disk. After an error nothing of what was written is left. Raises
    TrackingError.
    """

    def __init__(
        self, directory: Path | str, meta: Meta | Mapping[str, Any], is_overwritten: bool = False
    ) -> None:
        self.directory = Path(directory)
        self.meta = meta if isinstance(meta, Meta) else Meta.model_validate(dict(meta))
        self._waiting: list[Events] = []
        self._taken = 0
        self._reach_cm = self.meta.reach_cm()
        if self.directory.exists() and not self.directory.is_dir():
            raise TrackingError(f"{self.directory}: is a file; a dataset is a directory.")
        there = set(self.directory.iterdir()) if self.directory.exists() else set()
        ours = set(written_in(self.directory))
        if others := there - ours:
            raise TrackingError(
                f"{self.directory}: holds what is no dataset, such as {min(others).name}. Choose another place."
            )
        if there and not is_overwritten:
            raise TrackingError(
                f"{self.directory}: has a dataset, or part of one. Choose another place, or overwrite it."
            )
        self._part = self.directory / PART

    def __enter__(self) -> "DatasetWriter":
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if self._part.exists():
                shutil.rmtree(self._part)
            self._part.mkdir()
        except OSError as error:
            raise TrackingError(f"{self.directory}: cannot be made: {error.strerror}") from None
        return self

    def append(self, events: Events, what: str = "events", first_event: int | None = None) -> None:
        """Look at ``events`` and take them; a shard is written when there are enough for one.

        Raises TrackingError for events that cannot be trained with; ``what`` and ``first_event`` (by default how many
        were taken before) are for the message, as in `check_events`.
        """
        first = self._taken if first_event is None else first_event
        check_events(events, what, are_classes_needed=False, first_event=first, reach_cm=self._reach_cm)
        self._taken += len(events)
        self._waiting.append(events)
        while sum(map(len, self._waiting)) >= EVENTS_PER_SHARD:
            together = joined(self._waiting)
            self._write(together.take(0, EVENTS_PER_SHARD))
            rest = together.take(EVENTS_PER_SHARD, len(together))
            self._waiting = [rest] if len(rest) else []

    def _write(self, events: Events) -> None:
        shard = write_shard(self._part, f"shard-{len(self.meta.shards):05d}", events)
        self.meta = self.meta.model_copy(update={"shards": (*self.meta.shards, shard)})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            shutil.rmtree(self._part, ignore_errors=True)

    def _finish(self) -> None:
        half = self._part / FILE
        try:
            if self._waiting:
                self._write(joined(self._waiting))
            if not self.meta.shards:
                raise TrackingError(f"{self.directory}: no events were given.")
            with half.open("w", encoding="utf-8") as file:
                file.write(self.meta.model_dump_json(indent=1))
                file.flush()
                os.fsync(file.fileno())
            # All is on the disk: only names change from here on, and dataset.json's last.
            for older in written_in(self.directory):
                if older != self._part:
                    shutil.rmtree(older) if older.is_dir() else older.unlink()
            for shard in self.meta.shards:
                (self._part / shard.name).rename(self.directory / shard.name)
            half.rename(self.directory / FILE)
        except OSError as failure:
            raise TrackingError(f"{self.directory}: cannot be written: {failure.strerror}") from None


def written_in(directory: Path) -> list[Path]:
    """Return what a writer makes in ``directory``, ``dataset.json`` first; other files there are somebody else's."""
    patterns = (FILE, PART, "shard-[0-9][0-9][0-9][0-9][0-9]")
    return [path for pattern in patterns for path in directory.glob(pattern)]
