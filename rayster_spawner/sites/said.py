"""The last good answer of somebody, how old it is by our own clock, and why the last question failed."""

from typing import Generic, TypeVar

from ..agent_client import Failure

_Answer = TypeVar("_Answer")


class Said(Generic[_Answer]):
    """What an agent said. Times are seconds of a monotonic clock: the site's own clock may be hours off."""

    def __init__(self) -> None:
        self.answer: _Answer | None = None
        self.failure: Failure | None = None
        self._age_when_heard: float | None = None
        self._heard_at = 0.0

    def hear(self, answer: _Answer, age_seconds: float | None, now: float) -> None:
        """Take a good answer whose contents were ``age_seconds`` old (None: the agent has none yet)."""
        self.answer, self.failure = answer, None
        self._age_when_heard, self._heard_at = age_seconds, now

    def since_heard_seconds(self, now: float) -> float:
        """Return how long ago the answer came."""
        return max(0.0, now - self._heard_at)

    def age_seconds(self, now: float) -> float | None:
        """Return how old the answer's contents are, or None when there are none."""
        if self.answer is None or self._age_when_heard is None:
            return None
        return self._age_when_heard + self.since_heard_seconds(now)
