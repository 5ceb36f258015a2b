"""Notices that a cluster's head, or the notebook's node, is gone; Ray itself would not say so for a day."""

import threading
from collections.abc import Callable

_INTERVAL_SECONDS = 2.0
_FAILURES_IN_A_ROW = 3


class Watch:
    """A daemon thread that calls ``lost`` once with a sentence, when ``look`` has found the same fault long enough.

    ``look`` returns None when all is well, else the sentence; ``sure`` tells whether one look is enough.
    """

    def __init__(
        self,
        look: Callable[[], str | None],
        lost: Callable[[str], None],
        interval_seconds: float = _INTERVAL_SECONDS,
        failures_in_a_row: int = _FAILURES_IN_A_ROW,
    ) -> None:
        self._look, self._lost = look, lost
        self._interval_seconds, self._failures_in_a_row = interval_seconds, failures_in_a_row
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="rayster-watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self) -> None:
        failures = 0
        while not self._stopped.wait(self._interval_seconds):
            fault = self._look()
            failures = 0 if fault is None else failures + 1
            if fault is not None and failures >= self._failures_in_a_row and not self._stopped.is_set():
                self._lost(fault)
                return
