"""Ends a cell's wait for a cluster that is gone, and nothing else that a kernel does."""

import _thread
import sys
import threading
import time
from collections.abc import Iterable
from types import FrameType

_SECONDS = 10.0
_INTERVAL_SECONDS = 0.5


def interrupt_ray_call(seconds: float = _SECONDS) -> bool:
    """Raise KeyboardInterrupt in the main thread while it waits inside Ray; tell whether it does so no more.

    `ray.get` would wait for ever for what a lost cluster was to compute, but looks for signals meanwhile.
    """
    deadline = time.monotonic() + seconds
    while waits_in_ray(modules_of(sys._current_frames().get(threading.main_thread().ident or 0))):
        if time.monotonic() >= deadline:
            return False
        _thread.interrupt_main()
        time.sleep(_INTERVAL_SECONDS)
    return True


def modules_of(frame: FrameType | None) -> list[str]:
    """Return the names of the modules whose functions run in ``frame`` and its callers, innermost first."""
    names = []
    while frame is not None:
        names.append(str(frame.f_globals.get("__name__", "")))
        frame = frame.f_back
    return names


def waits_in_ray(modules: Iterable[str]) -> bool:
    """Tell whether the innermost function is Ray's; a callback of the user's that Ray has called is not."""
    innermost = next(iter(modules), "")
    return innermost == "ray" or innermost.startswith("ray.")
