"""What the tests of the site agent share: recorded outputs, jobs, a batch system made of plain data, and agents."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from rayster_site.collector import Collector
from rayster_site.commands import CommandError
from rayster_site.facts import Job, Look, PartitionFacts
from rayster_site.state_file import StateFile
from rayster_spawner.site_facts import JobState
from rayster_testbed.ports import free_ports

RECORDED = Path(__file__).parent / "recorded"
TOKEN = "a-token-of-the-site-1234"


def recorded(name: str) -> bytes:
    """Return what a batch system printed, `slurm-22.05/squeue.txt`."""
    return (RECORDED / name).read_bytes()


def uid(number: int) -> str:
    """Return the UID of a pod with a number."""
    return str(uuid.UUID(int=number))


def make_job(number: int = 1, **changes: Any) -> Job:
    """Return a pending job of the pod with the same number."""
    job = Job(
        id=str(number),
        key=str(number),
        owner="1000",
        partitions=("padova",),
        state=JobState.PENDING,
        raw_state="PENDING",
        raw_reason="Priority",
        pod_uid=uid(number),
        priority=100.0,
        submitted_at=1000.0 + number,
    )
    running = changes.get("state") is not None and changes["state"] is not JobState.PENDING
    return replace(job, **({"is_in_line": False} if running else {}), **changes)


@dataclass
class FakeScheduler:
    """A batch system that tells what a test sets."""

    jobs: list[Job] = field(default_factory=list)
    partitions: dict[str, PartitionFacts] = field(default_factory=dict)
    sees_all_jobs: bool | None = True
    error: CommandError | None = None
    delay_seconds: float = 0
    looks: int = 0
    cancelled: list[str] = field(default_factory=list)
    name: str = "slurm"
    own_account: str = "1000"

    async def look(self) -> Look:
        self.looks += 1
        await asyncio.sleep(self.delay_seconds)
        if self.error:
            raise self.error
        return Look(tuple(self.jobs), self.partitions, self.sees_all_jobs)

    async def cancel(self, job: Job) -> None:
        self.cancelled.append(job.key)

    def reason_text(self, job: Job) -> str:
        return f"reason {job.raw_reason}"

    def nodes_of(self, job: Job) -> list[str]:
        return [job.node_list] if job.node_list else []


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def free_port() -> int:
    """Return a port that nobody listens on, and that no other test is given."""
    (port,) = free_ports(1)
    return port


def wait_until(condition: Callable[[], Any], timeout_seconds: float = 30, what: str = "") -> Any:
    """Return the first true value of `condition`; fail when there is none in time."""
    deadline = time.monotonic() + timeout_seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what or condition}"
        time.sleep(0.05)
    return value


@contextmanager
def agent_process(
    directory: Path, port: int, *options: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the agent as a site runs it; its log is `agent.log` in the directory."""
    token_file = directory / "token"
    token_file.write_text(TOKEN + "\n")
    argv = [sys.executable, "-m", "rayster_site", "serve", "--site", "padova", "--port", str(port)]
    argv += ["--token-file", str(token_file), "--interval-seconds", "0.3", *options]
    with (directory / "agent.log").open("ab") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def write_command(directory: Path, name: str, body: str) -> None:
    """Write a shell script that stands for a command of the batch system."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def site_helpers() -> Any:
    """What test modules need of this file; with importlib mode they cannot import it."""

    class Helpers:
        TOKEN = TOKEN
        RECORDED = RECORDED
        FakeScheduler = FakeScheduler
        Clock = Clock

        @staticmethod
        def collector(scheduler: Any, tmp_path: Path | None = None, **options: Any) -> Collector:
            options.setdefault("interval_seconds", 0.01)
            return Collector(scheduler, state_file=StateFile(tmp_path, "padova"), **options)

    helpers = Helpers()
    for function in (recorded, uid, make_job, free_port, wait_until, agent_process, write_command):
        setattr(helpers, function.__name__, function)
    return helpers
