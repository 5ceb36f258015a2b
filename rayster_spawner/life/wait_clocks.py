"""The clocks of a wait for a server: when to look, when to ask the server itself, when to give up."""

import time
from typing import NamedTuple

from .belief import Belief
from .pod_status import State

# How often a waiting server is looked at (from the watch, which costs nothing), growing with the wait.
_LOOK_SECONDS = (0.05, 5.0)
_LOOK_SECONDS_SOON = (0.05, 1.0)
# How often it is asked itself while its pod says that it queues, and while its site says so, which knows.
_ASK_SECONDS = (2.0, 20.0)
_ASK_SECONDS_IF_TOLD = (10.0, 60.0)
_GROWTH = 0.05
_WARN_SECONDS = 60


class Patience(NamedTuple):
    """How long to go on in a wait whose end is not in sight, in seconds."""

    answer: int
    boot: int


class Wait:
    """The clocks of one wait."""

    def __init__(self, patience: Patience, spawn_began: float):
        self._patience = patience
        self._began = spawn_began
        self._asked_at = self._warned_at = float("-inf")
        self._running_since: float | None = None
        self._over_since: float | None = None

    def is_soon(self, belief: Belief) -> bool:
        """Tell whether the server should be there any moment, or is over."""
        return belief.view.state in (State.STARTING, State.RUNNING) or belief.view.is_over

    def look_seconds(self, is_soon: bool) -> float:
        """Return how long to sleep before the next look."""
        return self._spread(_LOOK_SECONDS_SOON if is_soon else _LOOK_SECONDS)

    def may_warn(self) -> bool:
        """Tell whether a warning is due again."""
        due = time.monotonic() - self._warned_at > _WARN_SECONDS
        if due:
            self._warned_at = time.monotonic()
        return due

    def may_ask(self, belief: Belief) -> bool:
        """Tell whether the server is to be asked itself now: often when it should be there, seldom while it queues.

        Always before it is given up.
        """
        last = belief.end is not None or belief.view.state is State.FAILED
        is_soon = self.is_soon(belief)
        pause_seconds = (
            1.0 if is_soon else self._spread(_ASK_SECONDS_IF_TOLD if belief.told else _ASK_SECONDS)
        )
        due = last or time.monotonic() - self._asked_at > pause_seconds
        if due:
            self._asked_at = time.monotonic()
        return due

    def why_hopeless(self, belief: Belief) -> str | None:
        """Return why there is nothing to wait for any more, or None. The server has just not answered."""
        now, view = time.monotonic(), belief.view
        if view.state is State.FAILED:
            return view.reason
        if view.state is State.ENDED:
            self._over_since = self._over_since or now
            if belief.told or now - self._over_since > self._patience.boot:
                return "The job ended before its server was up."
        else:
            self._over_since = None
        if view.state is State.RUNNING:
            self._running_since = self._running_since or now
            if now - self._running_since > self._patience.answer:
                return f"The job runs, but its server has not answered in {self._patience.answer} seconds."
        else:
            self._running_since = None
        return None

    def _spread(self, bounds: tuple[float, float]) -> float:
        low, high = bounds
        return min(high, max(low, _GROWTH * (time.time() - self._began)))
