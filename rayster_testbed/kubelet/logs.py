"""Container logs: reading the runtime's log files as `kubectl logs` asks for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rayster_testbed.kube_events import parse_timestamp

_POLL_SECONDS = 0.2
_READ_BYTES = 2**18


@dataclass(frozen=True)
class LogOptions:
    """What part of a log is wanted, as in the kubelet's `containerLogs` query."""

    follow: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    timestamps: bool = False
    since_epoch_seconds: float = 0.0
    previous: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> LogOptions:
        """Raises: ValueError for a number that is none."""
        since = 0.0
        if query.get("sinceSeconds"):
            since = time.time() - float(query["sinceSeconds"])
        elif query.get("sinceTime"):
            since = parse_timestamp(query["sinceTime"])
        return cls(
            follow=query.get("follow") in ("true", "1"),
            tail_lines=int(query["tailLines"]) if query.get("tailLines") else None,
            limit_bytes=int(query["limitBytes"]) if query.get("limitBytes") else None,
            timestamps=query.get("timestamps") in ("true", "1"),
            since_epoch_seconds=since,
            previous=query.get("previous") in ("true", "1"),
        )


def format_lines(lines: Iterable[bytes], options: LogOptions) -> Iterator[bytes]:
    """Lines of the log file as the user sees them."""
    for line in lines:
        when, _, rest = line.partition(b" ")
        _, _, rest = rest.partition(b" ")
        tag, _, text = rest.partition(b" ")
        if options.since_epoch_seconds and parse_timestamp(when.decode()) < options.since_epoch_seconds:
            continue
        end = b"" if tag == b"P" else b"\n"
        yield (when + b" " if options.timestamps else b"") + text + end


async def read_log(file: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log in pieces; with `follow`, until the container has ended and everything is read.

    Args:
        file: the runtime's log file.
        options: the wanted part.
        running: whether the container may still write.
    """
    budget = options.limit_bytes
    async for piece in _pieces(file, options, running):
        if budget is not None:
            piece = piece[:budget]
            budget -= len(piece)
        if piece:
            yield piece
        if budget == 0:
            return


async def _pieces(file: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    with file.open("rb") as log:
        rest = b""
        if options.tail_lines is not None:
            *lines, rest = log.read().split(b"\n")
            yield b"".join(format_lines(lines[-options.tail_lines :] if options.tail_lines else [], options))
        while True:
            may_grow = running()
            data = rest + log.read(_READ_BYTES)
            whole, newline, rest = data.rpartition(b"\n")
            if newline:
                yield b"".join(format_lines(whole.split(b"\n"), options))
            elif not (options.follow and may_grow):
                return
            else:
                await asyncio.sleep(_POLL_SECONDS)
