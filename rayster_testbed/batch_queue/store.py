"""The queue's state on disk: one directory per job, so that a killed daemon finds every job again."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from rayster_testbed.batch_queue import shim
from rayster_testbed.batch_queue.job import Job
from rayster_testbed.batch_queue.units import show_hosts


class Store:
    """Jobs below `root`; each has `job.json`, its script, and while it runs a locked file held by its shim.

    Args:
        root: short absolute directory; made when missing.
        kill_wait_seconds: seconds between SIGTERM and SIGKILL when a job is ended.
    """

    def __init__(self, root: Path, kill_wait_seconds: float):
        self._root = root
        self._kill_wait_seconds = kill_wait_seconds
        self._shims: list[subprocess.Popen[bytes]] = []
        root.mkdir(parents=True, exist_ok=True)

    def load(self) -> dict[int, Job]:
        """Return every job by id."""
        jobs = [Job.from_json(path.read_text()) for path in self._root.glob("*/job.json")]
        return {job.id: job for job in sorted(jobs, key=lambda job: job.id)}

    def next_id(self) -> int:
        """Return an id that no job ever had, forgotten ones included."""
        record = self._root / "last_id"
        number = int(record.read_text()) + 1 if record.exists() else 1
        _write(record, str(number))
        return number

    def add(self, job: Job, script: str) -> None:
        """Keep a new job and its script."""
        directory = self._directory(job)
        directory.mkdir(exist_ok=True)
        (directory / "slurm_script").write_text(script, encoding="utf-8", errors="surrogateescape")
        (directory / "slurm_script").chmod(0o755)
        self.save(job)

    def save(self, job: Job) -> None:
        """Keep what changed in a job."""
        _write(self._directory(job) / "job.json", job.to_json())

    def forget(self, job: Job) -> None:
        """Remove a job that ended long ago."""
        shutil.rmtree(self._directory(job), ignore_errors=True)

    def start(self, job: Job) -> None:
        """Start the shim of a job; it outlives this process."""
        directory = self._directory(job)
        _write(directory / "run.json", json.dumps(asdict(job) | {"node_list": show_hosts(job.node_names)}))
        with (directory / "alive").open("w") as lock, (directory / "shim.log").open("wb") as log:
            # The lock belongs to the open file, which the shim inherits: it is held from the first moment
            # until the shim ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(Path(shim.__file__).resolve())),
                    *(str(directory), str(lock.fileno()), str(self._kill_wait_seconds)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock.fileno()],
                start_new_session=True,
                cwd="/",
            )
        self._shims.append(process)

    def was_started(self, job: Job) -> bool:
        """Return whether a shim for the job ever ran."""
        return (self._directory(job) / "pid").exists()

    def signal(self, job: Job, number: int) -> None:
        """Signal the shim of a job, if it lives."""
        record = self._directory(job) / "pid"
        if record.exists() and self.is_alive(job):
            os.kill(int(record.read_text()), number)

    def is_alive(self, job: Job) -> bool:
        """Return whether the job's shim lives."""
        try:
            with (self._directory(job) / "alive").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def exit_status(self, job: Job) -> int | None:
        """Return the raw wait status the shim wrote, None when it wrote none."""
        record = self._directory(job) / "exit"
        return int(record.read_text()) if record.exists() else None

    def reap(self) -> None:
        """Collect ended shims of this process."""
        self._shims = [process for process in self._shims if process.poll() is None]

    def _directory(self, job: Job) -> Path:
        return self._root / str(job.id)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    # A submitter's environment may hold secrets.
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.rename(path)
