"""Ends a cell's wait for a cluster that is gone, and nothing else that a kernel does."""

import _thread
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

_SECONDS = 10.0
_INTERVAL_SECONDS = 0.2
# How long the main thread may take to see an interrupt; another one would hit what it does then.
_PATIENCE_SECONDS = 3.0
# What waits for other nodes, where Ray looks for signals: not `shutdown`, which half done leaves a kernel unusable.
_WAITING = {"get", "get_objects", "wait", "get_async", "_get", "next"}


def interrupt_ray_call(
    seconds: float = _SECONDS, interrupt: Callable[[], None] = _thread.interrupt_main
) -> bool:
    """Raise KeyboardInterrupt in the main thread while it waits inside Ray; tell whether it does so no more.

    `ray.get` would wait for ever for what a lost cluster was to compute, but looks for signals meanwhile.
    """
    deadline = time.monotonic() + seconds
    while waits_in_ray(calls_of(main := _main_frame())):
        if time.monotonic() >= deadline:
            return False
        interrupt()
        patience = time.monotonic() + _PATIENCE_SECONDS
        while _main_frame() is main and time.monotonic() < patience:
            time.sleep(_INTERVAL_SECONDS)
    return True


def calls_of(frame: FrameType | None) -> list[tuple[str, str]]:
    """Return module and function of ``frame`` and its callers, innermost first."""
    names = []
    while frame is not None:
        names.append((str(frame.f_globals.get("__name__", "")), frame.f_code.co_name))
        frame = frame.f_back
    return names


def waits_in_ray(calls: Sequence[tuple[str, str]]) -> bool:
    """Tell whether the innermost call is one of Ray's that waits; a user's function that Ray has called is not."""
    if not calls or any(module.startswith("rayster_lab.") for module, _ in calls):
        return False
    module, function = calls[0]
    return module.partition(".")[0] == "ray" and function in _WAITING


def uninterrupted(function: Callable[[], None]) -> None:
    """Call ``function`` to its end, even when this thread is interrupted meanwhile; raise the interrupt afterwards."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call, name="rayster-uninterrupted", daemon=True)
    thread.start()
    interrupt: KeyboardInterrupt | None = None
    while thread.is_alive():
        try:
            thread.join()
        except KeyboardInterrupt as error:
            interrupt = error
    if raised:
        raise raised[0]
    if interrupt is not None:
        raise interrupt


def _main_frame() -> FrameType | None:
    return sys._current_frames().get(threading.main_thread().ident or 0)
