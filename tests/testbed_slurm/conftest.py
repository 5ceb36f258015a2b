"""A batch system of each kind this machine has, and plugins on top of it, started once for all tests of this room."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rayster_testbed.slurm.programs import missing

# The same behaviour is asked of both; real SLURM wherever it is installed.
QUEUES = [pytest.param("batch_queue", id="built-in")]
if not missing():
    QUEUES.append(pytest.param("slurm", id="slurm", marks=pytest.mark.slurm))

PLUGIN_COMMAND = (sys.executable, "-m", "rayster_testbed.slurm_plugin", "--port", "0")


def wait_until(
    condition: Callable[[], Any], timeout_seconds: float = 20, *, what: str = "", every_seconds: float = 0.1
) -> Any:
    """Return the first true value of `condition`; fail when there is none in time."""
    deadline = time.monotonic() + timeout_seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what or condition}"
        time.sleep(every_seconds)
    return value


@contextmanager
def running(argv: list[str], directory: Path, ready_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a part until it says it is ready; end it afterwards."""
    ready_file.unlink(missing_ok=True)
    log_file = directory / f"{ready_file.name}.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)

    def ready() -> bool:
        assert process.poll() is None, log_file.read_text()
        return ready_file.exists() and ready_file.read_text() != ""

    try:
        wait_until(ready, 60, what=f"{argv[2]} ready", every_seconds=0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@pytest.fixture(scope="session")
def short_dir() -> Iterator[Callable[[], Path]]:
    """Factory of directories with short names, since unix sockets live in them."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="rst-", dir="/tmp")))
        return made[-1]

    yield make
    for directory in made:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True)
class BatchSystem:
    """A running batch system."""

    kind: str
    bin_dir: Path
    work_dir: Path

    def call(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of its commands."""
        return subprocess.run(
            [str(self.bin_dir / command), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=self.work_dir,
            check=False,
        )

    def submit(self, script: str, *arguments: str) -> str:
        """Submit a shell command line; return the job id. Standard output is `JOBID.out` in `work_dir`."""
        done = self.call("sbatch", "--parsable", "--output=%j.out", *arguments, f"--wrap={script}")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def squeue(self, job_id: str, layout: str = "%t") -> str:
        """Return one line about a job, ended or not."""
        return self.call("squeue", "-h", "-a", "--states=all", "-o", layout, "-j", job_id).stdout.strip()

    def wait_for(self, job_id: str, *states: str, timeout_seconds: float = 20) -> str:
        """Wait until the job is in one of the states."""
        return wait_until(
            lambda: (state := self.squeue(job_id)) in states and state,
            timeout_seconds,
            what=f"job {job_id} in {states}, is {self.squeue(job_id, '%t %r')}",
        )

    def output(self, job_id: str) -> str:
        """Return what a job wrote so far."""
        path = self.work_dir / f"{job_id}.out"
        return path.read_text() if path.exists() else ""


@contextmanager
def batch_system_in(kind: str, state_dir: Path, *options: str) -> Iterator[BatchSystem]:
    """Run a batch system of a kind in a directory."""
    work_dir = state_dir / "work"
    work_dir.mkdir(parents=True, exist_ok=True)
    ready = state_dir / "ready"
    argv = [sys.executable, "-m", f"rayster_testbed.{kind}", "--state-dir", str(state_dir)]
    with running([*argv, "--ready-file", str(ready), *options], state_dir, ready):
        yield BatchSystem(kind, state_dir / "bin", work_dir)


@pytest.fixture(scope="session", params=QUEUES)
def batch_system(request: pytest.FixtureRequest, short_dir: Callable[[], Path]) -> Iterator[BatchSystem]:
    """A batch system of each kind, shared by all tests of the session."""
    with batch_system_in(request.param, short_dir(), "--cancel-jobs-on-exit") as system:
        yield system


@pytest.fixture
def empty_queue(batch_system: BatchSystem) -> Iterator[BatchSystem]:
    """The batch system without any job, before and after."""

    def clear() -> None:
        live = ("squeue", "-h", "-t", "PD,R,CG", "-o", "%A")
        if jobs := batch_system.call(*live).stdout.split():
            batch_system.call("scancel", *jobs)
            wait_until(lambda: not batch_system.call(*live).stdout.split(), what="jobs gone")

    clear()
    yield batch_system
    clear()


@dataclass
class Plugin:
    """A running plugin."""

    url: str
    data_dir: Path
    process: subprocess.Popen[bytes]

    def call(self, method: str, path: str, body: Any) -> tuple[int, str]:
        """Return status and body of one request."""
        request = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def create(self, pod: dict[str, Any], **retrieved: Any) -> str:
        """Create a pod's job; return the job id."""
        status, text = self.try_create(pod, **retrieved)
        assert status == 200, text
        answer = json.loads(text)
        assert answer["PodUID"] == pod["metadata"]["uid"]
        return answer["PodJID"]

    def try_create(self, pod: dict[str, Any], **retrieved: Any) -> tuple[int, str]:
        """Ask for a pod's job; return status and body."""
        spec = pod["spec"]
        containers = [
            {"name": c["name"], **retrieved} for c in [*spec.get("initContainers", []), *spec["containers"]]
        ]
        return self.call("POST", "/create", {"pod": pod, "container": containers, "jobConfig": {}})

    def state(self, pod: dict[str, Any]) -> dict[str, Any]:
        """Return the state of the pod's first container."""
        status, text = self.call("GET", "/status", [pod])
        assert status == 200, text
        return json.loads(text)[0]["containers"][0]["state"]

    def wait_for(self, pod: dict[str, Any], kind: str) -> dict[str, Any]:
        """Wait until the first container is waiting, running or terminated; return the details."""
        return wait_until(lambda: self.state(pod).get(kind), what=f"container {kind}")

    def logs(self, pod: dict[str, Any], container: str = "main", **options: Any) -> str:
        """Return a container's log."""
        metadata = pod["metadata"]
        body = {"Namespace": metadata["namespace"], "PodUID": metadata["uid"], "PodName": metadata["name"]}
        return self.call("GET", "/getLogs", {**body, "ContainerName": container, "Opts": options})[1]

    def run(self, pod: dict[str, Any], **retrieved: Any) -> str:
        """Run a pod to its end; return what its container wrote, without the job's own lines."""
        self.create(pod, **retrieved)
        self.wait_for(pod, "terminated")
        return self.container_output(pod)

    def container_output(self, pod: dict[str, Any], container: str = "main") -> str:
        """Return what a container wrote, without bash's timing at the end."""
        text = (self.job_dir(pod) / f"run-{container}.out").read_text()
        return text.rpartition("\nreal\t")[0]

    def job_dir(self, pod: dict[str, Any]) -> Path:
        """Return the directory of a pod's job."""
        metadata = pod["metadata"]
        return self.data_dir / "jobs" / f"{metadata['namespace']}-{metadata['uid']}"


@contextmanager
def plugin_in(data_dir: Path, bin_dir: Path, *options: str) -> Iterator[Plugin]:
    """Run a plugin over the commands in `bin_dir`."""
    port_file = data_dir / "port"
    argv = [*PLUGIN_COMMAND, "--port-file", str(port_file), "--data-dir", str(data_dir)]
    with running([*argv, "--slurm-bin-dir", str(bin_dir), *options], data_dir, port_file) as process:
        yield Plugin(f"http://127.0.0.1:{port_file.read_text().strip()}", data_dir, process)


@pytest.fixture(scope="session")
def plugin(batch_system: BatchSystem, short_dir: Callable[[], Path]) -> Iterator[Plugin]:
    """A plugin as found, over each batch system."""
    with plugin_in(short_dir(), batch_system.bin_dir) as running_plugin:
        yield running_plugin


@pytest.fixture(scope="session")
def ideal_plugin(batch_system: BatchSystem, short_dir: Callable[[], Path]) -> Iterator[Plugin]:
    """A plugin that answers truthfully, over each batch system."""
    with plugin_in(short_dir(), batch_system.bin_dir, "--mode", "ideal") as running_plugin:
        yield running_plugin


def make_pod(
    command: list[str] | None = None,
    *,
    flags: str = "-p dcgp_usr_prod --time=5",
    annotations: dict[str, str] | None = None,
    limits: dict[str, str] | None = None,
    container: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return a pod with one container `main`."""
    main = {
        "name": "main",
        "image": "rayster/notebook:0.1.0",
        "command": command or ["true"],
        "resources": {"limits": {"cpu": "1", "memory": "100Mi"} if limits is None else limits},
        **(container or {}),
    }
    return {
        "metadata": {
            "name": "notebook",
            "namespace": "rayster",
            "uid": str(uuid.uuid4()),
            "annotations": {"slurm-job.vk.io/flags": flags, **(annotations or {})},
        },
        "spec": {"containers": [main], **spec},
    }


@pytest.fixture(scope="session")
def helpers() -> Any:
    """What test modules need of this file; with importlib mode they cannot import it."""

    class Helpers:
        batch_system_in = staticmethod(batch_system_in)
        plugin_in = staticmethod(plugin_in)
        make_pod = staticmethod(make_pod)
        wait_until = staticmethod(wait_until)

        @staticmethod
        def kill(pid: int) -> None:
            os.kill(pid, signal.SIGKILL)

    return Helpers
