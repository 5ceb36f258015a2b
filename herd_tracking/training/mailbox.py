"""The mailbox between the driver of a training and its workers: reports one way, orders the other."""

import asyncio
from typing import Any

Report = dict[str, Any]
LOSSES_WITHOUT_PROGRESS = 3
"""So many times in a row workers may be lost, or fail, before a training has come further than ever before."""


class Mailbox:
    """An actor on the driver's node, so that it outlives the workers; needs no CPU. Nothing here waits in a loop.

    Whoever takes reports also gets what is not for users: ``{"controller": handle}``, ``{"is_running": bool}`` and
    ``{"gave_up": reason}``.
    """

    def __init__(self) -> None:
        self._reports: list[Report] = []
        self._has_some = asyncio.Event()
        self._is_to_stop = asyncio.Event()
        self._furthest = -1
        self._furthest_at_loss = -2
        self._losses = 0
        self._has_given_up = False

    async def put(self, report: Report) -> None:
        """Add a report."""
        self._furthest = max(self._furthest, report.get("step", -1))
        self._reports.append(report)
        self._has_some.set()

    async def take(self) -> list[Report]:
        """Return all new reports, in order, as soon as there are some."""
        await self._has_some.wait()
        self._has_some.clear()
        reports, self._reports = self._reports, []
        return reports

    async def stop(self) -> None:
        """Ask the workers to stop."""
        self._is_to_stop.set()

    async def wait_for_stop(self) -> None:
        """Return when the workers are to stop."""
        await self._is_to_stop.wait()

    async def give_up(self, reason: str) -> None:
        """Say that there is no use in trying again."""
        self._has_given_up = True
        await self.put({"gave_up": reason})

    async def lost(self, reason: str) -> None:
        """Say that workers were lost or have failed; they are started again unless that has not helped before.

        Those that failed because the training gives up are not lost, though Ray sees no difference.
        """
        if self._has_given_up:
            return
        is_further = self._furthest > self._furthest_at_loss
        self._losses = 1 if is_further else self._losses + 1
        self._furthest_at_loss = self._furthest
        if self._losses >= LOSSES_WITHOUT_PROGRESS:
            await self.give_up(
                f"{self._losses} times in a row workers were lost before the training came any further. "
                f"The last time: {reason}"
            )
            return
        await self.put(
            {"message": f"{reason} The training goes on with the others from its last checkpoint."}
        )
