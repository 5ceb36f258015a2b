"""Threads that each compute blocks of events on one core: no core waits for another within a matrix product."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


@functools.cache
def _pool(lanes: int) -> ThreadPoolExecutor:
    """Threads for the rest of the process; torch counts threads per thread, so each of these has one."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(lanes, "herd-lane", initializer=torch.set_num_threads, initargs=(1,))
    list(pool.map(lambda _: torch.get_num_threads(), range(lanes)))
    torch.set_num_threads(before)
    return pool


def in_lanes(work: Callable[[Sequence[Item]], Result], items: Sequence[Item]) -> list[Result]:
    """Return ``work(share)`` for each share of ``items``, one share for each of torch's threads, all at once.

    The shares depend on the number of threads only (item i goes to share i modulo threads), so does their rounding.
    """
    lanes = max(1, min(torch.get_num_threads(), len(items)))
    shares = [items[lane::lanes] for lane in range(lanes)]
    if lanes == 1:
        return [work(shares[0])]
    return list(_pool(torch.get_num_threads()).map(work, shares))
