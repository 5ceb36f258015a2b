"""Makes sure that what is cancelled ends, whatever it was in the middle of."""

import asyncio
from collections.abc import Iterable
from typing import Any

# How often what has swallowed a cancellation is cancelled again.
_AGAIN_SECONDS = 0.05


def cancelled_for_sure(task: asyncio.Task) -> asyncio.Future:
    """Return a future with the outcome of ``task`` that is over the moment it is cancelled; the task is cancelled then.

    `asyncio.wait_for` swallows a cancellation that comes together with an answer (Python 3.11 and before). A spawn
    would go on after its user has cancelled it, and the hub, which waits for its end, could not be asked to stop it.
    """
    promise = asyncio.get_running_loop().create_future()

    def hand_over(ended: asyncio.Task) -> None:
        if promise.done():
            # Nobody asks for the outcome any more, and asyncio complains of an exception that nobody has looked at.
            _ = ended.cancelled() or ended.exception()
        elif ended.cancelled():
            promise.cancel()
        elif (error := ended.exception()) is not None:
            promise.set_exception(error)
        else:
            promise.set_result(ended.result())

    def insist(_: Any = None) -> None:
        if promise.cancelled() and not task.done():
            task.cancel()
            promise.get_loop().call_later(_AGAIN_SECONDS, insist)

    task.add_done_callback(hand_over)
    promise.add_done_callback(insist)
    return promise


async def end_tasks(tasks: Iterable[asyncio.Task]) -> None:
    """Cancel ``tasks``, again and again until each is over: one that swallows a cancellation would go on for ever."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
