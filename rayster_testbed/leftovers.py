"""Finds and ends the processes that belong to one testbed, and no others.

Every part is started with an environment variable that names the state directory. Whatever a part starts
inherits it, also what makes itself a daemon, so a testbed's processes can be told from all others even after
the orchestrator itself was killed.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "RAYSTER_TESTBED_STATE"
_PROC = Path("/proc")
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Process:
    """A process of this machine; `start_ticks` (since boot) tells it from a later one with the same pid."""

    pid: int
    parent: int
    session: int
    start_ticks: int
    command: str

    @classmethod
    def read(cls, pid: int) -> Process | None:
        """Return the running process with that pid, or None when there is none, or only its exit status."""
        try:
            # Field 2 is the program's name in brackets and may hold anything, also brackets: see proc(5).
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            words = (_PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except (OSError, ValueError):
            return None
        if fields[0] in "ZX":
            return None
        command = b" ".join(words).decode(errors="replace")
        return cls(pid, int(fields[1]), int(fields[3]), int(fields[19]), command)

    @property
    def is_alive(self) -> bool:
        """Whether this very process, not another one with its pid, still runs."""
        now = Process.read(self.pid)
        return now is not None and now.start_ticks == self.start_ticks

    def send(self, number: int) -> None:
        """Send a signal to this very process; nothing happens when it has ended."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                # The handle is open, so the pid cannot pass on between this look and the signal.
                if self.is_alive:
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)


def mark(state_dir: Path) -> dict[str, str]:
    """Return the environment variable that marks the processes of the testbed in ``state_dir``."""
    return {MARK: str(state_dir.resolve())}


def processes_of(state_dir: Path) -> list[Process]:
    """Return the running processes that carry the mark, and their descendants and sessions, oldest first.

    This process and those it descends from are never among them.
    """
    wanted = f"{MARK}={state_dir.resolve()}".encode()
    everyone = {p.pid: p for p in map(Process.read, _pids()) if p is not None}
    found = {pid for pid in everyone if _has_mark(pid, wanted)}
    size = -1
    while len(found) != size:
        size = len(found)
        found |= {p.pid for p in everyone.values() if p.parent in found or p.session in found}
    found -= _own_line(everyone)
    return sorted((everyone[pid] for pid in found), key=lambda p: p.start_ticks)


def end_processes(state_dir: Path, grace_seconds: float) -> list[Process]:
    """End the testbed's processes: ask, wait up to ``grace_seconds``, then kill. Return those that were there."""
    seen = {p: None for p in processes_of(state_dir)}
    for process in seen:
        process.send(signal.SIGTERM)
    _wait_gone(list(seen), grace_seconds)
    # What was asked to end may have started something meanwhile, and a killed parent may leave children.
    for _ in range(10):
        remaining = processes_of(state_dir)
        remaining += [p for p in seen if p.is_alive and p not in remaining]
        if not remaining:
            break
        for process in remaining:
            seen.setdefault(process)
            process.send(signal.SIGKILL)
        _wait_gone(remaining, 2)
    return list(seen)


def _wait_gone(processes: list[Process], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline and any(p.is_alive for p in processes):
        time.sleep(_POLL_SECONDS)


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _has_mark(pid: int, wanted: bytes) -> bool:
    try:
        return wanted in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or it is somebody else's
        return False


def _own_line(everyone: dict[int, Process]) -> set[int]:
    line = set()
    pid = os.getpid()
    while pid in everyone:
        line.add(pid)
        pid = everyone[pid].parent
    return line
