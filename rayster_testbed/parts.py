"""One part of the testbed as a child process: start it, ask whether it is ready, kill it, stop it, read its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rayster_testbed.leftovers import Process

_POLL_SECONDS = 0.1
_TAIL_LINES = 15


class PartError(Exception):
    """A part did not start, or is not what it should be; the text ends with the tail of its log."""


@dataclass(frozen=True)
class PartPlan:
    """How to run one part and how to know that it is ready."""

    name: str
    command: tuple[str, ...]
    # Asked again and again while the process lives; answers within a second or two and does not raise.
    # None: it is ready when it has written its first line.
    is_ready: Callable[[], bool] | None
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None  # where it runs; default: the state directory
    # What the part writes once it is of use: one that a killed run has left would tell so too early.
    ready_file: Path | None = None
    ready_timeout_seconds: float = 30
    # How long SIGTERM may take before the whole process group is killed.
    stop_grace_seconds: float = 5


class Part:
    """A part in its own process group, with a log and a record of its pid in the state directory."""

    def __init__(self, plan: PartPlan, state_dir: Path, environment: Mapping[str, str]) -> None:
        self.plan = plan
        self.name = plan.name
        self.log_path = state_dir / "logs" / f"{plan.name}.log"
        self._record = state_dir / "run" / f"{plan.name}.json"
        self._held = held_file(state_dir, plan.name)
        self._environment = {**environment, **plan.environment}
        self._directory = plan.directory or state_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self.started_at = 0.0

    @property
    def pid(self) -> int | None:
        """The pid of the running process, None when it does not run."""
        return self._process.pid if self._process is not None and self.is_alive else None

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """The exit status, -N for signal N; None while the part runs or when it never ran."""
        return None if self._process is None else self._process.poll()

    @property
    def is_held(self) -> bool:
        """Whether the part was killed or stopped on purpose, so that nobody should start it again by himself."""
        return self._held.exists()

    def start(self) -> None:
        """Start the process; does nothing when it runs. It may take until `wait_ready` to be of use."""
        if self.is_alive:
            return
        for directory in (self.log_path.parent, self._record.parent, self._directory):
            directory.mkdir(parents=True, exist_ok=True)
        self._held.unlink(missing_ok=True)
        if self.plan.ready_file is not None:
            self.plan.ready_file.unlink(missing_ok=True)
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self.plan.command,
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at = time.monotonic()
        self._write_record(self._process.pid)

    def wait_ready(self, timeout_seconds: float | None = None) -> float:
        """Wait until the part is of use; return the seconds since it was started.

        Raises PartError when it ends first or takes longer than ``timeout_seconds`` (default: as planned).
        """
        limit = self.plan.ready_timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + limit
        while True:
            if not self.is_alive:
                raise PartError(
                    self._trouble(f"ended with exit status {self.exit_status} before it was ready")
                )
            if self._has_written() if self.plan.is_ready is None else self.plan.is_ready():
                return time.monotonic() - self.started_at
            if time.monotonic() > deadline:
                raise PartError(self._trouble(f"is not ready after {limit:.0f} s"))
            time.sleep(_POLL_SECONDS)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process itself (not to what it started) and, for SIGKILL, wait for its end."""
        if self._process is None or not self.is_alive:
            return
        if number not in (signal.SIGSTOP, signal.SIGCONT):
            hold(self._held)
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()
            self._record.unlink(missing_ok=True)

    def stop(self, grace_seconds: float | None = None) -> None:
        """Ask the process to end, wait up to ``grace_seconds`` (default: as planned), then kill its group."""
        if self._process is None:
            return
        hold(self._held)
        group = self._process.pid
        if self.is_alive:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self.plan.stop_grace_seconds if grace_seconds is None else grace_seconds)
        # Also after a clean end: what is left in the group would be an orphan.
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self._process.wait()
        self._record.unlink(missing_ok=True)

    def restart(self) -> float:
        """Stop, start, wait until ready; return the seconds from start to ready."""
        self.stop()
        self.start()
        return self.wait_ready()

    def log_tail(self, lines: int = _TAIL_LINES) -> str:
        """Return the last lines of the log since the last start."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - 20_000))
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _has_written(self) -> bool:
        return self.log_path.stat().st_size > self._log_start

    def _trouble(self, what: str) -> str:
        tail = self.log_tail() or "(it has written nothing)"
        return f"{self.name} {what}\n{tail}\n(the whole log: {self.log_path})"

    def _write_record(self, pid: int) -> None:
        process = Process.read(pid)
        record = {
            "pid": pid,
            "start_ticks": process.start_ticks if process else 0,
            "started": time.time(),
            "command": list(self.plan.command),
        }
        self._record.write_text(json.dumps(record))


@dataclass(frozen=True)
class Record:
    """What the state directory says of a part, for those who did not start it."""

    name: str
    process: Process | None  # None: it does not run
    started: float  # seconds since the epoch
    is_held: bool


def read_records(state_dir: Path) -> list[Record]:
    """Return what is known of each part that was started in ``state_dir``, by name."""
    records = []
    for file in sorted((state_dir / "run").glob("*.json")):
        try:
            content = json.loads(file.read_text())
        except (OSError, ValueError):  # being written, or removed, at this moment
            continue
        process = Process.read(content["pid"])
        if process is not None and process.start_ticks != content["start_ticks"]:
            process = None
        records.append(
            Record(file.stem, process, content["started"], held_file(state_dir, file.stem).exists())
        )
    return records


def held_file(state_dir: Path, name: str) -> Path:
    """Return the file whose presence says that a part is down on purpose."""
    return state_dir / "run" / f"{name}.held"


def hold(file: Path) -> None:
    """Say that the part of this `held_file` is down on purpose."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
