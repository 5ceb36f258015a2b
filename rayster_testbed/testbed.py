"""The testbed as one thing: all that stands between a browser and a batch job, started and stopped together."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import string
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Literal

from rayster_testbed import kube
from rayster_testbed.certificates import server_certificate
from rayster_testbed.cluster import Cluster, read_manifests
from rayster_testbed.identities import (
    ADMIN,
    HUB,
    NAMESPACE,
    SERVICE,
    part_identity,
    write_kubeconfig,
    write_tokens,
)
from rayster_testbed.layout import (
    DEMO_USERS,
    HUB_NAME,
    REPOSITORY,
    SERVICE_NAME,
    SITES,
    Addresses,
    Layout,
    choose_addresses,
    profile_words,
)
from rayster_testbed.leftovers import Process, end_processes, mark
from rayster_testbed.parts import Part, PartPlan
from rayster_testbed.plan import MANIFESTS, BatchSystem, Setting, agent_of, part_environment, plan_parts
from rayster_testbed.ports import is_free
from rayster_testbed.slurm import programs

Say = Callable[[str, str], None]  # (name of a part or step, what happened to it)

_STOP_PODS_SECONDS = 4.0
_LEFTOVER_GRACE_SECONDS = 2.0


class TestbedError(Exception):
    """The testbed cannot be started here; the text says why."""

    __test__ = False  # not a test class, whatever pytest makes of its name


class _NotTriedError(Exception):
    """A part was not started, because something else had failed."""


class Testbed:
    """All parts of the testbed, as child processes that know each other by their addresses only.

    Use it as a context manager, also an asynchronous one::

        with Testbed(tmp_path, hub=True) as testbed:
            testbed.parts["hub"].kill()
            testbed.parts["hub"].start()
            testbed.parts["hub"].wait_ready()

    Args:
        state_dir: holds everything that the testbed keeps; made when missing.
        hub: whether to run JupyterHub and its proxy too.
        host: the address that the public port listens on.
        port: the public port; None for ``preferred_port``, or any free one when that is taken.
        mode: how virtual nodes and plugins behave: as the real ones were found to, or as they should.
        batch: the batch system; None for the real SLURM where it is installed, else the built-in queue.
        profiles: a profiles file for the hub; None for the demo's.
        ping_seconds: how often virtual nodes ping their plugins; the real ones do every 30 s.
        say: called with (name, what happened), also from other threads.
        plans: other parts instead of the testbed's own.
    """

    __test__ = False

    def __init__(
        self,
        state_dir: str | Path,
        *,
        hub: bool = False,
        host: str = "127.0.0.1",
        port: int | None = None,
        preferred_port: int | None = None,
        mode: Literal["as-found", "ideal"] = "as-found",
        batch: BatchSystem | None = None,
        profiles: Path | None = None,
        ping_seconds: float = Setting.ping_seconds,
        say: Say = lambda name, what: None,
        plans: Iterable[PartPlan] | None = None,
    ) -> None:
        self.layout = Layout(Path(state_dir))
        self._host, self._port, self._preferred_port = host, port, preferred_port
        self._addresses: Addresses | None = None
        self._was_unclean = False
        self.setting = Setting(hub, mode, batch or ("queue" if programs.missing() else "slurm"), ping_seconds)
        self.cluster = Cluster(self.layout.kubeconfig(ADMIN.name))
        self._profiles = profiles
        self._say = say
        self._plans = list(plans) if plans is not None else None
        self._lock: int | None = None
        self._environment = {**part_environment(), **mark(self.layout.root)}
        self.parts: dict[str, Part] = {}

    # What those who use it ask for.

    @property
    def addresses(self) -> Addresses:
        """Where everything listens; known once it was started."""
        assert self._addresses is not None, "the testbed was not started"
        return self._addresses

    @property
    def hub_url(self) -> str:
        """The public address of the hub, without a slash at the end."""
        return self.addresses.public_url

    @property
    def password(self) -> str:
        """The password of every demo user."""
        return self.layout.demo_password()

    @property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """The demo's users with their groups."""
        return DEMO_USERS

    @property
    def batch(self) -> BatchSystem:
        """Which batch system runs: the real SLURM, or the built-in queue."""
        return self.setting.batch

    def kubeconfig(self, identity: str = "admin") -> Path:
        """Return the kubeconfig file of an identity: `admin`, `hub`, or a part's name."""
        return self.layout.kubeconfig(identity)

    def slurm(self, program: str, *arguments: str, timeout_seconds: float = 30) -> str:
        """Run `squeue`, `sbatch`, `scancel` or `sinfo` and return what it prints.

        Raises subprocess.CalledProcessError, with its words in `stderr`, when it fails.
        """
        answer = subprocess.run(
            [str(self.layout.slurm / "bin" / program), *arguments],
            env=self._environment,
            cwd=self.layout.root,
            check=True,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )
        return answer.stdout

    # Start and stop.

    def start(self) -> None:
        """Start all parts, each as soon as those it needs are ready; return when all are.

        Raises:
            TestbedError: another testbed runs in this state directory, or the public port is taken.
            PartError: a part did not start; everything is stopped again.
        """
        self._take_lock()
        try:
            self._end_leftovers()
            self._addresses = self._choose_addresses()
            self._prepare()
            plans = self._plans
            if plans is None:
                plans = plan_parts(self.setting, self.layout, self.addresses, self.cluster)
            self.parts = {plan.name: Part(plan, self.layout.root, self._environment) for plan in plans}
            self._write_summary()
            self._start_parts()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything: the hub first, then what users run, then the rest. Takes less than 15 s."""
        if self._lock is None:  # not started, or the state directory is another testbed's
            return
        self._stop_part(HUB_NAME)
        # Also who would make new pods for those that are ended next.
        self._stop_together(["proxy", SERVICE_NAME, "ray-operator", *(agent_of(site.name) for site in SITES)])
        if self.parts:
            self._end_servers()
        sites = [name for site in SITES for name in (site.name, f"{site.name}-plugin")]
        self._stop_together([*sites, "kubelet", "scheduler", "node-lifecycle", "cluster-names"])
        self._stop_together([name for name in self.parts if name != "apiserver"])
        self._stop_part("apiserver")
        for process in end_processes(self.layout.root, _LEFTOVER_GRACE_SECONDS):
            self._say("leftover", f"ended: {process.pid} {process.command[:80]}")
        self.layout.unclean.unlink(missing_ok=True)
        self.layout.summary.unlink(missing_ok=True)
        self._release_lock()

    def __enter__(self) -> Testbed:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Testbed:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    # The steps.

    def _take_lock(self) -> None:
        self.layout.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            pid = self.layout.read_summary().get("pid", "?")
            raise TestbedError(
                f"a testbed runs in {self.layout.root} already (pid {pid}); "
                f"end it with: rayster testbed down --state-dir {self.layout.root}"
            ) from None
        self._lock = descriptor

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _end_leftovers(self) -> None:
        """End what an orchestrator that was killed left running."""
        self._was_unclean = self.layout.unclean.exists()
        leftovers: list[Process] = end_processes(self.layout.root, _LEFTOVER_GRACE_SECONDS)
        if leftovers:
            self._say("leftovers", f"of an earlier run ended: {len(leftovers)} processes")
        self.layout.unclean.parent.mkdir(parents=True, exist_ok=True)
        for file in self.layout.unclean.parent.iterdir():
            file.unlink()
        self.layout.unclean.touch()

    def _choose_addresses(self) -> Addresses:
        if self._port is not None and not is_free(self._port, self._host):
            raise TestbedError(f"port {self._port} of {self._host} is taken")
        preferred = self._preferred_port
        if preferred is not None and not is_free(preferred, self._host):
            preferred = None
        return choose_addresses(self._host, self._port or preferred)

    def _prepare(self) -> None:
        """Write what the parts read: certificates, tokens, kubeconfigs, the demo's profiles."""
        layout = self.layout
        certificate = server_certificate(layout.pki)
        names = ["scheduler", "node-lifecycle", "ray-operator", "cluster-names", "kubelet"]
        names += [site.name for site in SITES]
        identities = [ADMIN, HUB, SERVICE, *map(part_identity, names)]
        for name, token in write_tokens(layout.tokens, identities).items():
            write_kubeconfig(
                layout.kubeconfig(name), self.addresses.api_url, certificate.authority, name, token
            )
        source = self._profiles or REPOSITORY / "rayster_testbed" / "demo" / "profiles.yaml"
        text = string.Template(source.read_text()).safe_substitute(profile_words(self.addresses, layout))
        layout.profiles.write_text(text)
        layout.ray_bash_env.parent.mkdir(exist_ok=True)
        shutil.copyfile(REPOSITORY / "images" / "notebook" / "skip-gcs-wait.sh", layout.ray_bash_env)
        layout.demo_password()

    def _write_summary(self) -> None:
        own = Process.read(os.getpid())
        self.layout.write_summary(
            {
                "pid": os.getpid(),
                "start_ticks": own.start_ticks if own else 0,
                "url": self.hub_url if self.setting.hub else None,
                "api": self.addresses.api_url,
                "batch": self.setting.batch,
            }
        )

    def _install_manifests(self) -> None:
        manifests = REPOSITORY / "rayster_testbed" / "manifests"
        documents = read_manifests(manifests / "zero-to-jupyterhub.yaml")
        documents += read_manifests(manifests / "raycluster.yaml")
        documents += read_manifests(REPOSITORY / "helm-values" / "rbac.yaml")
        self.cluster.apply(documents, NAMESPACE)
        if self._was_unclean:
            self.cluster.purge_pods(NAMESPACE)
        # Those of an earlier run would look ready before their agents are.
        self.cluster.delete_nodes()

    def _start_parts(self) -> None:
        """Start every part once its needs are ready, many at a time; the first failure ends the rest."""
        ready: dict[str, Future[None]] = {name: Future() for name in (*self.parts, MANIFESTS)}
        given_up = threading.Event()

        def bring_up(name: str, needs: tuple[str, ...], action: Callable[[], float]) -> None:
            try:
                for need in needs:
                    ready[need].result()
                if given_up.is_set():
                    raise _NotTriedError(name)
                seconds = action()
            except BaseException as error:
                ready[name].set_exception(error)
                raise
            ready[name].set_result(None)
            self._say(name, f"ready after {seconds:.1f} s")

        steps = [(part.name, part.plan.needs, self._starter(part)) for part in self.parts.values()]
        if "apiserver" in self.parts:
            steps.append((MANIFESTS, ("apiserver",), self._timed(self._install_manifests)))
        else:
            ready[MANIFESTS].set_result(None)
        with ThreadPoolExecutor(len(steps)) as pool:
            results = [pool.submit(bring_up, *step) for step in steps]
            try:
                done, _ = wait(results, return_when=FIRST_EXCEPTION)
                for result in done:
                    result.result()
            except BaseException:
                # Whoever still waits for a part to get ready stops waiting when that part ends.
                given_up.set()
                for part in self.parts.values():
                    part.kill()
                raise

    def _starter(self, part: Part) -> Callable[[], float]:
        def start() -> float:
            self._say(part.name, "starts")
            part.start()
            seconds = part.wait_ready()
            if part.name == "slurm" and self._was_unclean:
                self._cancel_jobs()
            return seconds

        return start

    @staticmethod
    def _timed(action: Callable[[], None]) -> Callable[[], float]:
        def run() -> float:
            started = time.monotonic()
            action()
            return time.monotonic() - started

        return run

    def _end_servers(self) -> None:
        """End what users run, as their owner would: delete the pods, then cancel the jobs that are left."""
        if self._runs("apiserver"):
            try:
                remaining = self.cluster.delete_pods(NAMESPACE, _STOP_PODS_SECONDS)
            except kube.TROUBLE as error:
                self._say("servers", f"could not be deleted: {error}")
            else:
                if remaining:
                    self._say("servers", f"{remaining} did not end in {_STOP_PODS_SECONDS:.0f} s")
        if self._runs("slurm") and self.layout.slurm_ready().exists():
            self._cancel_jobs()

    def _cancel_jobs(self) -> None:
        try:
            jobs = self.slurm("squeue", "-h", "-o", "%A", timeout_seconds=5).split()
            if jobs:
                self.slurm("scancel", *jobs, timeout_seconds=5)
                self._say("jobs", f"cancelled: {' '.join(jobs)}")
        except (OSError, subprocess.SubprocessError) as error:
            self._say("jobs", f"could not be cancelled: {error}")

    def _runs(self, name: str) -> bool:
        return name in self.parts and self.parts[name].is_alive

    def _stop_part(self, name: str) -> None:
        if self._runs(name):
            self.parts[name].stop()
            self._say(name, "stopped")

    def _stop_together(self, names: Iterable[str]) -> None:
        running = [name for name in names if self._runs(name)]
        if running:
            with ThreadPoolExecutor(len(running)) as pool:
                list(pool.map(self._stop_part, running))
