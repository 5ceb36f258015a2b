"""Who looks at which cluster: what nobody looks at is asked for rarely."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Who asked for a cluster a moment ago will ask again; a stream looks every 15 s.
_ASKED_SECONDS = 20.0


class Attention:
    """Which clusters are looked at. ``clock`` counts monotonic seconds."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self._watched: dict[str, int] = {}
        self._asked_at: dict[str, float] = {}

    @contextmanager
    def watching(self, name: str) -> Iterator[None]:
        """Note that somebody looks at a cluster while the context lasts: its Ray is then asked often."""
        self._watched[name] = self._watched.get(name, 0) + 1
        try:
            yield
        finally:
            self._watched[name] -= 1
            if not self._watched[name]:
                del self._watched[name]

    def note_asked(self, name: str) -> None:
        """Note that somebody has looked at a cluster."""
        self._asked_at[name] = self._clock()

    def forget_asked(self, name: str) -> None:
        """Forget who has looked at a cluster that is gone."""
        self._asked_at.pop(name, None)

    @property
    def watched_count(self) -> int:
        """How many clusters are looked at by open streams of their own."""
        return len(self._watched)

    def is_watched(self, name: str) -> bool:
        """Tell whether somebody looks at a cluster, or did a moment ago."""
        asked_at = self._asked_at.get(name)
        return name in self._watched or (asked_at is not None and self._clock() - asked_at < _ASKED_SECONDS)
