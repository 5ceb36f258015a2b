"""The container runtime: starts, finds again, signals and forgets containers; their state lies in files.

Layout: `DIR/pods/<uid>/pod.json` and `DIR/pods/<uid>/containers/<name>/<attempt>/{spec.json,state.json,exit.json,log}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from rayster_testbed.kube import Obj
from rayster_testbed.kube_events import timestamp

log = structlog.get_logger()

SHIM = Path(__file__).with_name("shim.py")
_EXIT_KILLED = 137
_START_ERROR_EXIT = 128
_START_SECONDS = 30.0


@dataclass(frozen=True)
class Attempt:
    """One run of a container. Times are RFC 3339 text; `finished_at` is None while it runs."""

    number: int
    directory: Path
    started_at: str | None = None
    finished_at: str | None = None
    exit_code: int | None = None
    start_error: str | None = None
    shim_pid: int = 0
    shim_ticks: int = 0
    pid: int = 0

    @property
    def running(self) -> bool:
        return self.finished_at is None

    @property
    def log_file(self) -> Path:
        return self.directory / "log"


class Runtime:
    """All containers of one node. *on_exit* is called with the pod uid whenever one of its containers has ended."""

    def __init__(self, data_dir: Path, on_exit: Callable[[str], None]) -> None:
        self._root = data_dir / "pods"
        # Specifications, logs and secret volumes are nobody else's business on a shared machine.
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._on_exit = on_exit
        self._attempts: dict[str, dict[str, list[Attempt]]] = {}
        self._watched: dict[Path, int] = {}
        self._starting: set[asyncio.Task[Attempt]] = set()

    def load(self) -> None:
        """Find the containers that an earlier kubelet started; those that run are watched again."""
        for pod_dir in self._root.iterdir():
            for directory in sorted(pod_dir.glob("containers/*/*"), key=lambda d: int(d.name)):
                attempt = _read(directory)
                if attempt is None:
                    # The kubelet died between writing the specification and the start: it never ran.
                    shutil.rmtree(directory, ignore_errors=True)
                    continue
                self._containers(pod_dir.name).setdefault(directory.parent.name, []).append(attempt)
                self._watch(pod_dir.name, attempt)

    def pod_uids(self) -> set[str]:
        return {entry.name for entry in self._root.iterdir() if entry.is_dir()}

    def pod_dir(self, uid: str) -> Path:
        return self._root / uid

    def remember_pod(self, pod: Mapping, **facts: str) -> None:
        """Keep what a later kubelet needs to know of a pod that may be gone from the API by then."""
        directory = self.pod_dir(pod["metadata"]["uid"])
        directory.mkdir(exist_ok=True)
        draft = directory / ".pod.json"
        draft.write_text(json.dumps({"pod": pod, **facts}))
        draft.replace(directory / "pod.json")

    def recall_pod(self, uid: str) -> Obj | None:
        """What `remember_pod` kept: the pod under `pod`, and the facts."""
        try:
            return json.loads((self.pod_dir(uid) / "pod.json").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def attempts(self, uid: str, container: str) -> tuple[Attempt, ...]:
        """The runs of a container, oldest first."""
        return tuple(self._attempts.get(uid, {}).get(container, ()))

    def running(self, uid: str) -> list[tuple[str, Attempt]]:
        return [
            (name, attempts[-1])
            for name, attempts in self._attempts.get(uid, {}).items()
            if attempts and attempts[-1].running
        ]

    async def start(
        self, uid: str, container: str, argv: list[str], env: Mapping[str, str], cwd: Path
    ) -> Attempt:
        """Start a container; the attempt has ended already (with `start_error`) when its command cannot be executed.

        Whoever is cancelled in here leaves a start that goes on: see `settle`.
        """
        # The process may run before its attempt is known. Half a start would be a process that nobody ends.
        task = asyncio.ensure_future(self._start(uid, container, argv, env, cwd))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        return await asyncio.shield(task)

    async def settle(self) -> None:
        """Wait until every start that was begun has ended, well or badly."""
        await asyncio.gather(*self._starting, return_exceptions=True)

    async def _start(
        self, uid: str, container: str, argv: list[str], env: Mapping[str, str], cwd: Path
    ) -> Attempt:
        attempts = self._containers(uid).setdefault(container, [])
        number = attempts[-1].number + 1 if attempts else 0
        directory = self.pod_dir(uid) / "containers" / container / str(number)
        directory.mkdir(parents=True)
        (directory / "spec.json").write_text(json.dumps({"argv": argv, "env": dict(env), "cwd": str(cwd)}))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(SHIM),
            str(directory),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            # Not the container's, which is in the specification. By it the testbed tells its processes from others.
            env=dict(os.environ),
            start_new_session=True,
        )
        await asyncio.wait_for(process.wait(), _START_SECONDS)
        attempt = _read(directory)
        if attempt is None:
            raise OSError(f"the container's shim left nothing in {directory}")
        attempts.append(attempt)
        self._watch(uid, attempt)
        return attempt

    def terminate(self, attempt: Attempt) -> None:
        """Ask the container's first process to end (SIGTERM)."""
        _signal_shim(attempt, signal.SIGTERM)

    def kill(self, attempt: Attempt) -> None:
        """End all of the container's processes (SIGKILL)."""
        _signal_shim(attempt, signal.SIGUSR1)

    async def forget(self, uid: str) -> None:
        """Remove everything of a pod whose containers have ended."""
        self._attempts.pop(uid, None)
        await asyncio.to_thread(shutil.rmtree, self.pod_dir(uid), ignore_errors=True)

    def close(self) -> None:
        """Stop watching; the containers go on."""
        loop = asyncio.get_running_loop()
        for descriptor in self._watched.values():
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._watched.clear()

    def _containers(self, uid: str) -> dict[str, list[Attempt]]:
        return self._attempts.setdefault(uid, {})

    def _watch(self, uid: str, attempt: Attempt) -> None:
        if not attempt.running:
            return
        descriptor = _open_shim(attempt)
        if descriptor is None:
            asyncio.get_running_loop().call_soon(self._ended, uid, attempt)
            return
        self._watched[attempt.directory] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._ended, uid, attempt)

    def _ended(self, uid: str, attempt: Attempt) -> None:
        descriptor = self._watched.pop(attempt.directory, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        attempts = self._attempts.get(uid, {}).get(attempt.directory.parent.name)
        if attempts is None:
            return
        now = _read(attempt.directory) or attempt
        if now.running:
            # The shim was killed; its process went with it (parent death signal) and nobody saw the exit code.
            lost = {"exit_code": _EXIT_KILLED, "finished_at": timestamp()}
            (attempt.directory / "exit.json").write_text(json.dumps(lost))
            now = _read(attempt.directory) or attempt
        attempts[attempts.index(attempt)] = now
        self._on_exit(uid)


def _read(directory: Path) -> Attempt | None:
    """The attempt as its files tell it, or None when its process was never started."""
    known: Obj = {}
    for name in ("state.json", "exit.json"):
        with contextlib.suppress(FileNotFoundError):
            known |= json.loads((directory / name).read_text())
    if not known:
        return None
    if known.get("start_error"):
        known["exit_code"] = _START_ERROR_EXIT
    return Attempt(int(directory.name), directory, **known)


def _open_shim(attempt: Attempt) -> int | None:
    """A pidfd of the attempt's shim, or None when that process is gone (its pid may belong to another by now)."""
    try:
        descriptor = os.pidfd_open(attempt.shim_pid)
    except ProcessLookupError:
        return None
    if _ticks(attempt.shim_pid) != attempt.shim_ticks:
        os.close(descriptor)
        return None
    return descriptor


def _ticks(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _signal_shim(attempt: Attempt, number: signal.Signals) -> None:
    descriptor = _open_shim(attempt)
    if descriptor is None:
        return
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        log.info("container had ended already", directory=str(attempt.directory))
    finally:
        os.close(descriptor)
