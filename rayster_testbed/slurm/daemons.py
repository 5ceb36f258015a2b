"""One supervised daemon: starting it, ending it, and finding what an earlier supervisor left running."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)


class Daemon:
    """A foreground daemon whose command line names its state directory, and so identifies it."""

    def __init__(self, name: str, argv: Sequence[str], log_file: Path):
        self.name = name
        self.argv = list(argv)
        self.log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon, in a session of its own so that a terminal's Ctrl-C reaches only the supervisor."""
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
            )
        log.info("%s started, pid %s", self.name, self._process.pid)

    def exit_code(self) -> int | None:
        """Return None while the daemon runs, else its exit code."""
        return self._process.poll() if self._process else 0

    def ask_to_end(self) -> None:
        """Send SIGTERM, so that several daemons can end at the same time; `stop` waits for each."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self, timeout_seconds: float = 10) -> None:
        """End the daemon with SIGTERM, and with SIGKILL when that does not help in time."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            log.warning("%s did not end within %s s: killed", self.name, timeout_seconds)
            self._process.kill()
            self._process.wait()
        log.info("%s ended", self.name)

    def end_leftovers(self, timeout_seconds: float = 10) -> None:
        """End processes of this user with exactly this command line: a killed supervisor's orphans.

        Jobs do not notice: each lives under its own slurmstepd, which the next slurmd takes over.
        """
        leftovers = _pids_with(self.argv)
        for pid in leftovers:
            log.info("%s of an earlier run still there, pid %s: replaced", self.name, pid)
            _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_seconds
        while leftovers := [pid for pid in leftovers if pid in _pids_with(self.argv)]:
            if time.monotonic() > deadline:
                for pid in leftovers:
                    _signal(pid, signal.SIGKILL)
            time.sleep(0.05)


def _pids_with(argv: Sequence[str]) -> list[int]:
    wanted = b"".join(os.fsencode(word) + b"\0" for word in argv)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if entry.stat().st_uid == os.getuid() and (entry / "cmdline").read_bytes() == wanted:
                found.append(int(entry.name))
        except OSError:
            continue  # it ended while we looked
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
