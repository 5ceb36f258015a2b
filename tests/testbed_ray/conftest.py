"""A real API server and operator for all tests of this room; each test has a namespace, and plays the nodes itself."""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rayster_testbed.cluster import Cluster, read_manifests
from rayster_testbed.kube import KubeClient, KubeConfig, Obj, path
from rayster_testbed.layout import REPOSITORY

RAY = "apis/ray.io/v1"
NOW = "2026-01-01T00:00:00Z"


def ray_cluster(name: str = "rc", *, replicas: int = 2, **spec: Any) -> Obj:
    """A small RayCluster with one group `w`; *spec* replaces or adds fields."""

    def template(container: str) -> Obj:
        resources = {"limits": {"cpu": "1", "memory": "2Gi"}}
        containers = [{"name": container, "image": "rayster/ray:1", "resources": resources}]
        return {
            "spec": {"containers": containers, "restartPolicy": "Never", "terminationGracePeriodSeconds": 3}
        }

    group = {
        "groupName": "w",
        "replicas": replicas,
        "minReplicas": 0,
        "maxReplicas": 4,
        "template": template("ray-worker"),
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": name},
        "spec": {
            "rayVersion": "2.60.0",
            "headGroupSpec": {"template": template("ray-head")},
            "workerGroupSpecs": [group],
            **spec,
        },
    }


@pytest.fixture(name="ray_cluster")
def ray_cluster_factory() -> Callable[..., Obj]:
    """Makes RayClusters."""
    return ray_cluster


def end(process: subprocess.Popen) -> None:
    """End one process that these tests started."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def start(directory: Path, module: str, *words: object) -> subprocess.Popen:
    """Start `python -m rayster_testbed.<module>` with a log in *directory*."""
    with (directory / f"{module}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"rayster_testbed.{module}", *map(str, words)], stdout=log, stderr=log
        )


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of an API server that knows the kind RayCluster."""
    directory = tmp_path_factory.mktemp("apiserver")
    port = directory / "port"
    process = start(
        directory,
        "apiserver",
        "--bind",
        "127.0.0.1",
        "--port",
        0,
        "--port-file",
        port,
        "--data-dir",
        directory / "d",
    )
    try:
        deadline = time.monotonic() + 30
        while not (port.exists() and port.read_text().strip()):
            assert process.poll() is None and time.monotonic() < deadline, (
                directory / "apiserver.log"
            ).read_text()
            time.sleep(0.05)
        file = directory / "kubeconfig.yaml"
        server = f"http://127.0.0.1:{port.read_text().strip()}"
        document = {
            "current-context": "t",
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            "clusters": [{"name": "t", "cluster": {"server": server}}],
            "users": [{"name": "t", "user": {}}],
        }
        file.write_text(yaml.safe_dump(document))
        manifest = REPOSITORY / "rayster_testbed" / "manifests" / "raycluster.yaml"
        Cluster(file).apply(read_manifests(manifest), "default")
        yield file
    finally:
        end(process)


@pytest.fixture(scope="session")
def operator(kubeconfig: Path) -> Iterator[subprocess.Popen]:
    """The operator, as a process of its own."""
    process = start(kubeconfig.parent, "ray_operator", "--kubeconfig", kubeconfig)
    yield process
    end(process)


@dataclass
class Lab:
    """A namespace of its own, what is in it, and a hand on its pods."""

    client: KubeClient
    namespace: str
    directory: Path

    async def create(self, cluster: Obj) -> Obj:
        return await self.client.create(path("rayclusters", self.namespace, api=RAY), cluster)

    async def get(self, name: str = "rc") -> Obj | None:
        return await self.client.find(path("rayclusters", self.namespace, name, api=RAY))

    async def status(self, name: str = "rc") -> Obj:
        return ((await self.get(name)) or {}).get("status") or {}

    async def condition(self, kind: str) -> Obj:
        conditions = (await self.status()).get("conditions") or []
        return next((c for c in conditions if c["type"] == kind), {})

    async def patch(self, spec: Obj, name: str = "rc") -> Obj:
        return await self.client.merge(path("rayclusters", self.namespace, name, api=RAY), {"spec": spec})

    async def scale(self, replicas: int, *victims: str) -> None:
        """Change `replicas` and `workersToDelete` of the group `w` at once."""
        (group,) = (await self.get())["spec"]["workerGroupSpecs"]  # type: ignore[index]
        strategy = {"scaleStrategy": {"workersToDelete": list(victims)}} if victims else {}
        await self.patch({"workerGroupSpecs": [{**group, "replicas": replicas, **strategy}]})

    async def pods(self, node_type: str = "") -> list[Obj]:
        found = (await self.client.get(path("pods", self.namespace)))["items"]
        return [
            p for p in found if node_type in ("", p["metadata"].get("labels", {}).get("ray.io/node-type"))
        ]

    async def until_pods(self, count: int, node_type: str = "") -> list[Obj]:
        async def look() -> list[Obj] | None:
            found = await self.pods(node_type)
            return found if len(found) == count else None

        return (
            await self.until(look, f"{count} {node_type} pods")
            if count
            else await self._until_none(node_type)
        )

    async def _until_none(self, node_type: str) -> list[Obj]:
        async def none() -> bool:
            return not await self.pods(node_type)

        await self.until(none, f"no {node_type} pods")
        return []

    async def bind(self, pod: Obj) -> None:
        """Put a pod on a node, so that it does not vanish at once when it is deleted."""
        where = path("pods", self.namespace, pod["metadata"]["name"], "binding")
        await self.client.create(
            where, {"metadata": {"name": pod["metadata"]["name"]}, "target": {"name": "n"}}
        )

    async def play(self, pod: Obj, phase: str, *, ready: bool = True, ip: str = "127.9.0.5") -> None:
        """Say what a node would say of a pod."""
        conditions = [{"type": "Ready", "status": str(ready and phase == "Running")}]
        status = {"phase": phase, "podIP": ip, "conditions": conditions}
        where = path("pods", self.namespace, pod["metadata"]["name"], "status")
        await self.client.merge(where, {"status": status})

    async def run_all(self) -> None:
        for pod in await self.pods():
            await self.play(pod, "Running")

    async def gone(self, pod: Obj) -> None:
        """A deleted pod's node has ended it."""
        await self.client.delete(path("pods", self.namespace, pod["metadata"]["name"]), grace_seconds=0)

    async def events(self) -> list[Obj]:
        found = (await self.client.get(path("events", self.namespace)))["items"]
        return [event for event in found if event["involvedObject"]["kind"] == "RayCluster"]

    async def until(self, look: Callable[[], Awaitable[Any]], what: str = "that", seconds: float = 20) -> Any:
        """The first true value that *look* gives."""
        deadline = time.monotonic() + seconds
        while not (value := await look()):
            log = self.directory / "ray_operator.log"
            assert time.monotonic() < deadline, f"{what} did not come\n{log.read_text()[-3000:]}"
            await asyncio.sleep(0.05)
        return value


@pytest.fixture
async def lab(kubeconfig: Path, operator: subprocess.Popen) -> AsyncIterator[Lab]:
    """An empty namespace under a running operator."""
    async with KubeClient(KubeConfig.load(kubeconfig)) as client:
        lab = Lab(client, f"lab-{secrets.token_hex(4)}", kubeconfig.parent)
        await client.create(path("namespaces"), {"metadata": {"name": lab.namespace}})
        yield lab
        assert operator.poll() is None, (kubeconfig.parent / "ray_operator.log").read_text()[-3000:]


@pytest.fixture
def start_part(kubeconfig: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts another part before the same API server; it ends with the test."""
    started: list[subprocess.Popen] = []

    def begin(module: str, *words: object) -> subprocess.Popen:
        started.append(start(tmp_path, module, "--kubeconfig", kubeconfig, *words))
        return started[-1]

    yield begin
    for process in started:
        end(process)
