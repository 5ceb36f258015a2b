"""Answers as bytes, made at most once a second for all who ask, plain and compressed, with their ETag."""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

_MIN_GZIP_BYTES = 1024
_GZIP_LEVEL = 4


@dataclass
class Body:
    """One answer's bytes."""

    raw: bytes
    etag: str
    _gzipped: bytes | None = field(default=None, repr=False)

    def encoded(self, accept_encoding: str) -> tuple[bytes, str | None]:
        """Return the bytes for who sends this `Accept-Encoding`, and the `Content-Encoding`."""
        if len(self.raw) < _MIN_GZIP_BYTES or not accepts_gzip(accept_encoding):
            return self.raw, None
        if self._gzipped is None:
            self._gzipped = gzip.compress(self.raw, _GZIP_LEVEL, mtime=0)
        return self._gzipped, "gzip"


class BodyCache:
    """Bodies by name.

    An answer counts seconds up and down, so a body is made anew each second. Its ETag changes only with what was
    collected: who has the same one can go on counting by itself.

    Args:
        clock: seconds that only grow.
        max_bodies: how many it keeps.
    """

    def __init__(self, clock: Callable[[], float], *, seconds: float = 1, max_bodies: int = 256):
        self._clock = clock
        self._seconds = seconds
        self._max_bodies = max_bodies
        self._bodies: OrderedDict[str, tuple[str, float, Body]] = OrderedDict()

    def get(self, name: str, version: str, make: Callable[[], bytes]) -> Body:
        """Return the body with a name; `version` tells when what it is made of has changed."""
        now = self._clock()
        if (kept := self._bodies.get(name)) and kept[0] == version and now - kept[1] < self._seconds:
            return kept[2]
        tag = hashlib.sha256(f"{name}\n{version}".encode()).hexdigest()[:24]
        body = Body(make(), f'W/"{tag}"')
        self._bodies[name] = version, now, body
        self._bodies.move_to_end(name)
        while len(self._bodies) > self._max_bodies:
            self._bodies.popitem(last=False)
        return body


def accepts_gzip(header: str) -> bool:
    """Return whether an `Accept-Encoding` header allows gzip."""
    for part in header.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            weight = parameters.replace(" ", "").removeprefix("q=")
            return weight.strip("0.") != "" or not weight
    return False
