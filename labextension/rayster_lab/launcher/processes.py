"""Runs one child with everything it starts, and leaves nothing of it behind."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO

_PR_SET_CHILD_SUBREAPER = 36
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SWEEP_SECONDS = 5.0


class Ended(BaseException):
    """This process was told to end, or what it works for has ended: for `finally`, not for `except Exception`."""


def end_on_signals() -> None:
    """Let SIGTERM, SIGINT and SIGHUP raise Ended in the main thread."""

    def end(signum: int, frame: FrameType | None) -> None:
        ignore_signals()
        raise Ended(signal.Signals(signum).name)

    for signum in _ENDING:
        signal.signal(signum, end)


def ignore_signals() -> None:
    """Ignore what tells this process to end: it is doing so."""
    for signum in _ENDING:
        signal.signal(signum, signal.SIG_IGN)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that `sweep` finds it."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start(
    command: Sequence[str], environment: Mapping[str, str], stdin: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own, with this process's output."""
    return subprocess.Popen(command, env=dict(environment), stdin=stdin, start_new_session=True)


def wait(
    child: subprocess.Popen[bytes], meanwhile: Callable[[], None], interval_seconds: float = 0.25
) -> int:
    """Wait until ``child`` ends; return its exit status, 128 + n for signal n. Calls ``meanwhile`` every interval."""
    while True:
        reap_others(child.pid)
        try:
            code = child.wait(timeout=interval_seconds)
        except subprocess.TimeoutExpired:
            meanwhile()
        else:
            return code if code >= 0 else 128 - code


def stop(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Ask ``child`` to end; after ``grace_seconds`` end everything that this process has started."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=grace_seconds)
    sweep()
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=1)


def sweep(seconds: float = _SWEEP_SECONDS) -> None:
    """Kill all descendants of this process, which has adopted those whose parents are gone."""
    deadline = time.monotonic() + seconds
    while (pids := children()) and time.monotonic() < deadline:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
        # Children of those that end here become ours.
        for pid in pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def reap_others(pid: int) -> None:
    """Let adopted children that have ended disappear; the child ``pid`` is waited for elsewhere."""
    for other in children():
        if other != pid:
            with suppress(ChildProcessError):
                os.waitpid(other, os.WNOHANG)


def children(parent: int | None = None) -> list[int]:
    """Return the pids of the living and the unreaped children of ``parent``, by default this process."""
    parent = os.getpid() if parent is None else parent
    lists = list(Path(f"/proc/{parent}/task").glob("*/children"))
    found: list[int] = []
    for path in lists:
        with suppress(OSError):
            found += map(int, path.read_text().split())
    # A kernel without CONFIG_PROC_CHILDREN has no such file.
    return found if lists else [pid for pid in _pids() if parent_of(pid) == parent]


def parent_of(pid: int) -> int | None:
    """Return the pid of the parent of ``pid``, or None when there is no such process."""
    try:
        # The program's name, which may hold anything, is in parentheses.
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
