"""Keeps the parts of a running testbed alive: what ends by itself starts again, what was killed on purpose does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from rayster_testbed.parts import Part

_LOOK_SECONDS = 0.3
_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0
# A part that has lived this long had not died of what killed it before.
_HEALTHY_SECONDS = 60.0


def restart_delay_seconds(deaths_in_a_row: int) -> float:
    """Return how long to wait before a part is started again after its N-th death in a row (N ≥ 1)."""
    return min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2 ** (deaths_in_a_row - 1))


class Supervisor:
    """Looks after parts until it is told to end.

    Args:
        parts: the parts by name.
        say: called with (name, what happened).
        clock: seconds, never going back.
    """

    def __init__(
        self,
        parts: Mapping[str, Part],
        say: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = parts
        self._say = say
        self._clock = clock
        self._deaths: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._was_held: set[str] = set()

    def run(self, ending: threading.Event) -> None:
        """Look after the parts until ``ending`` is set."""
        while not ending.wait(_LOOK_SECONDS):
            for part in self._parts.values():
                self.look(part)

    def look(self, part: Part) -> None:
        """See to one part, once."""
        if part.is_alive:
            if self._clock() - part.started_at > _HEALTHY_SECONDS:
                self._deaths.pop(part.name, None)
        elif part.is_held:
            if part.name not in self._was_held:
                self._was_held.add(part.name)
                self._say(part.name, f"is down on purpose; start it: rayster testbed start {part.name}")
        elif part.name in self._was_held:
            self._was_held.discard(part.name)
            self._say(part.name, "starts again, as asked")
            part.start()
        elif part.name not in self._due:
            self._deaths[part.name] = self._deaths.get(part.name, 0) + 1
            delay = restart_delay_seconds(self._deaths[part.name])
            self._due[part.name] = self._clock() + delay
            self._say(part.name, f"ended with exit status {part.exit_status}; starts again in {delay:.1f} s")
        elif self._clock() >= self._due[part.name]:
            del self._due[part.name]
            part.start()
