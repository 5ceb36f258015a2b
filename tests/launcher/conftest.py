"""Ray nodes started by the launcher, a GCS that only answers, and an end of all of them whatever a test does."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

RAYSTER = str(Path(sys.executable).parent / "rayster")
TOKEN = "T" * 44
NODE_NETWORK = "127.66.0.0/16"
MARK = "RAYSTER_TEST_MARK"


def pids_with(mark: str) -> list[int]:
    """The processes, of whatever session, that have inherited a mark from a test."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"{MARK}={mark}\0".encode() in path.read_bytes() and _is_alive(int(path.parent.name)):
                found.append(int(path.parent.name))
    return found


def _is_alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    return False


@dataclass
class Site:
    """One machine with a shared directory, and what was started on it. All temp dirs lie below ``tmp``."""

    root: Path
    tmp: Path
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    started: list[subprocess.Popen] = field(default_factory=list)

    def rendezvous(self, cluster: str) -> Path:
        return self.root / "shared" / f"{cluster}.json"

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY", "POD_IP"))}
        return kept | {MARK: self.mark, "TMPDIR": str(self.tmp)} | variables

    def node(self, cluster: str, *arguments: str, pod: str, **variables: str) -> subprocess.Popen:
        """Start ``rayster ray start``; what it says goes to ``log(pod)``."""
        environment = self.environment(
            RAY_AUTH_MODE="token",
            RAY_AUTH_TOKEN=TOKEN,
            RAY_CLOUD_INSTANCE_ID=pod,
            RAY_gcs_rpc_server_reconnect_timeout_s="10",
            RAYSTER_RAY_CLUSTER=cluster,
            RAYSTER_RAY_NETWORK="site",
            RAYSTER_RAY_RENDEZVOUS=str(self.rendezvous(cluster)),
            RAYSTER_RAY_NODE_NETWORK=NODE_NETWORK,
            RAYSTER_RAY_OBJECT_STORE_BYTES="90000000",
            RAYSTER_RAY_HEAD_WAIT_SECONDS="60",
        )
        return self.start([RAYSTER, "ray", "start", *arguments], pod, environment | variables)

    def driver(self, script: str, name: str, **variables: str) -> subprocess.Popen:
        """Start a notebook's kernel, as far as Ray sees one: a process that runs ``script``."""
        return self.start([sys.executable, "-u", "-c", script], name, self.environment(**variables))

    def start(self, command: list[str], name: str, environment: dict[str, str]) -> subprocess.Popen:
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def log(self, name: str) -> Path:
        return self.root / f"{name}.log"

    def said(self, name: str) -> str:
        return self.log(name).read_text()

    def temp_dirs(self) -> list[str]:
        return sorted(path.name for path in self.tmp.glob("rayn-*"))

    def pids(self) -> list[int]:
        """What was started here, with all its children in whatever session, and has not ended."""
        return pids_with(self.mark)

    @staticmethod
    def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.05)

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.terminate()
        for process in self.started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
        for pid in pids_with(self.mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Paths of Ray's sockets must be short, and pytest's are not."""
    with _short_directory() as tmp:
        found = Site(tmp_path, tmp)
        try:
            yield found
        finally:
            found.end()


class _short_directory:
    def __enter__(self) -> Path:
        self.path = Path(f"/tmp/lt{secrets.token_hex(3)}")
        self.path.mkdir(mode=0o700)
        return self.path

    def __exit__(self, *_: object) -> None:
        import shutil

        shutil.rmtree(self.path, ignore_errors=True)


@dataclass
class FakeGcs:
    """Answers the two questions that are asked before Ray is started."""

    address: str
    token: str = TOKEN
    ray: str = ""
    python: str = ""


@pytest.fixture
def fake_gcs() -> Iterator[FakeGcs]:
    from rayster_lab.launcher import versions

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    answers = FakeGcs("", ray=versions.own_ray() or "", python=versions.own_python())

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            if dict(details.invocation_metadata).get("authorization") != f"Bearer {answers.token}":

                def refuse(request, context):
                    context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")

                return grpc.unary_unary_rpc_method_handler(refuse)
            reply = b"\x12" + _sized(
                answers.ray.encode()
                if details.method.endswith("CheckAlive")
                else json.dumps({"python_version": answers.python}).encode()
            )
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x0a\x00" + reply)

    server.add_generic_rpc_handlers((Handler(),))
    answers.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield answers
    finally:
        server.stop(grace=None).wait(timeout=5)


def _sized(value: bytes) -> bytes:
    assert len(value) < 128
    return bytes([len(value)]) + value
