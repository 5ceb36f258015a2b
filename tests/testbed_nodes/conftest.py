"""A real API server process with the parts under test beside it, all on free ports and all ended with the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from rayster_testbed.kube import KubeClient, KubeConfig, Obj, path

NAMESPACE = "lab"


@dataclass
class Cluster:
    """An API server, the parts that were started beside it, and a client."""

    directory: Path
    server: str
    kubeconfig: Path
    client: KubeClient = field(init=False)
    parts: list[subprocess.Popen] = field(default_factory=list)
    namespace: str = NAMESPACE

    def start(self, module: str, *arguments: object) -> subprocess.Popen:
        """Start `python -m rayster_testbed.<module>` with the cluster's kubeconfig."""
        log = (self.directory / f"{module}.{len(self.parts)}.log").open("wb")
        # A leak of this into containers would be a leak of the kubelet's credentials.
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        part = subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"rayster_testbed.{module}",
                "--kubeconfig",
                str(self.kubeconfig),
                *map(str, arguments),
            ],
            stderr=log,
            env=environment,
        )
        log.close()
        self.parts.append(part)
        return part

    def logs(self) -> str:
        return "\n".join(
            f"--- {log.name}\n{log.read_text()[-4000:]}" for log in sorted(self.directory.glob("*.log"))
        )

    async def create_pod(self, name: str, *command: str, **spec: Any) -> Obj:
        """Create a pod with one container `main` unless *spec* says otherwise."""
        container = {"name": "main", "image": "rayster/test:1", "command": list(command)}
        annotations = spec.pop("annotations", {})
        labels = spec.pop("labels", {})
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "annotations": annotations, "labels": labels},
            "spec": {
                "containers": [container],
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                **spec,
            },
        }
        return await self.client.create(path("pods", NAMESPACE), body)

    async def make_node(
        self, name: str, *, cpu: str = "4", pods: str = "10", taints: tuple[Obj, ...] = ()
    ) -> Obj:
        """A Node object that is ready, without anything behind it."""
        resources = {"cpu": cpu, "memory": "8Gi", "pods": pods}
        node = {
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {"taints": list(taints)},
        }
        await self.client.create(path("nodes"), node)
        ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}
        await self.client.merge(path("nodes", "", name), {"spec": {"taints": list(taints) or None}})
        status = {"capacity": resources, "allocatable": resources, "conditions": [ready]}
        return await self.client.merge(path("nodes", "", name, "status"), {"status": status})

    async def pod(self, name: str) -> Obj | None:
        return await self.client.find(path("pods", NAMESPACE, name))

    async def events(self, name: str) -> list[Obj]:
        answer = await self.client.get(path("events", NAMESPACE))
        return [event for event in answer["items"] if event["involvedObject"]["name"] == name]

    async def until(
        self, look: Callable[[], Awaitable[Any]], seconds: float = 30.0, what: str = "the expected state"
    ) -> Any:
        """The first true value that *look* gives."""
        deadline = time.monotonic() + seconds
        value = None
        while time.monotonic() < deadline:
            value = await look()
            if value:
                return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"{what} was not reached in {seconds} s; last: {value!r}\n{self.logs()}")

    async def until_phase(self, name: str, phase: str, seconds: float = 30.0) -> Obj:
        async def look() -> Obj | None:
            pod = await self.pod(name)
            self.last = pod
            return pod if pod and pod["status"].get("phase") == phase else None

        try:
            return await self.until(look, seconds, f"{name} {phase}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{yaml.safe_dump(self.last)}") from None

    async def until_gone(self, name: str, seconds: float = 30.0) -> None:
        async def look() -> bool:
            return await self.pod(name) is None

        await self.until(look, seconds, f"{name} gone")

    async def until_ready(self, node: str, status: str = "True", seconds: float = 30.0) -> Obj:
        async def look() -> Obj | None:
            found = await self.client.find(path("nodes", "", node))
            conditions = (found or {}).get("status", {}).get("conditions") or []
            return found if any(c["type"] == "Ready" and c["status"] == status for c in conditions) else None

        return await self.until(look, seconds, f"node {node} Ready={status}")


def end(part: subprocess.Popen) -> None:
    """End one process that this test started."""
    if part.poll() is None:
        part.send_signal(signal.SIGTERM)
        try:
            part.wait(15)
        except subprocess.TimeoutExpired:
            part.kill()
            part.wait(5)


def start_api_server(directory: Path, port: int = 0) -> tuple[subprocess.Popen, int]:
    """An API server that keeps its objects in *directory*, once it answers; its port."""
    port_file = directory / "port"
    port_file.unlink(missing_ok=True)
    listen = ("--bind", "127.0.0.1", "--port", str(port), "--port-file", str(port_file))
    with (directory / "apiserver.log").open("ab") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "rayster_testbed.apiserver",
                *listen,
                "--data-dir",
                str(directory / "data"),
            ],
            stderr=log,
        )
    deadline = time.monotonic() + 20
    while not (port_file.exists() and port_file.read_text().strip()):
        if process.poll() is not None or time.monotonic() > deadline:
            end(process)
            raise AssertionError((directory / "apiserver.log").read_text())
        time.sleep(0.02)
    return process, int(port_file.read_text())


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an API server that all tests of this folder share."""
    process, port = start_api_server(tmp_path_factory.mktemp("apiserver"))
    yield port
    end(process)


@contextlib.asynccontextmanager
async def open_cluster(directory: Path, port: int) -> AsyncIterator[Cluster]:
    """A client's view of the API server at *port*, with the namespaces that tests use; ends what was started in it."""
    server = f"http://127.0.0.1:{port}"
    kubeconfig = directory / "kubeconfig.yaml"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
                "clusters": [{"name": "test", "cluster": {"server": server}}],
                "users": [{"name": "admin", "user": {}}],
            }
        )
    )
    cluster = Cluster(directory, server, kubeconfig)
    async with KubeClient(KubeConfig.load(kubeconfig)) as cluster.client:
        for name in (NAMESPACE, "kube-node-lease"):
            if await cluster.client.find(path("namespaces", "", name)) is None:
                await cluster.client.create(path("namespaces"), {"metadata": {"name": name}})
        try:
            yield cluster
        finally:
            for part in reversed(cluster.parts):
                end(part)


@pytest.fixture
async def cluster(api_server: int, tmp_path: Path) -> AsyncIterator[Cluster]:
    """An empty cluster: no nodes, a namespace `lab` without pods."""
    async with open_cluster(tmp_path, api_server) as cluster:
        yield cluster
        for part in reversed(cluster.parts):
            end(part)
        await _empty(cluster)


async def _empty(cluster: Cluster) -> None:
    """Remove what the test made, so that the next one starts with nothing."""
    for plural in ("pods", "persistentvolumeclaims", "configmaps", "secrets", "events"):
        for item in (await cluster.client.get(path(plural, NAMESPACE)))["items"]:
            await cluster.client.delete(path(plural, NAMESPACE, item["metadata"]["name"]), grace_seconds=0)
    for plural, namespace in (("nodes", ""), ("persistentvolumes", "")):
        for item in (await cluster.client.get(path(plural, namespace)))["items"]:
            await cluster.client.delete(path(plural, namespace, item["metadata"]["name"]))
    with contextlib.suppress(KeyError):
        leases = path("leases", "kube-node-lease", api="apis/coordination.k8s.io/v1")
        for item in (await cluster.client.get(leases))["items"]:
            await cluster.client.delete(f"{leases}/{item['metadata']['name']}")


def start_kubelet(cluster: Cluster, *arguments: object) -> subprocess.Popen:
    """The kubelet of `cloud-0`; its containers end with it unless the test kills it."""
    return cluster.start(
        "kubelet",
        *("--node-name", "cloud-0", "--pod-cidr", "127.77.0.0/16", "--stop-pods-on-exit"),
        *("--data-dir", cluster.directory / "kubelet", "--cpu", "4", "--memory", "4Gi"),
        *("--restart-backoff-seconds", "0.2", "--lease-seconds", "4", *arguments),
    )


@pytest.fixture
def cloud_node(cluster: Cluster) -> Callable[..., subprocess.Popen]:
    """Starts the kubelet of `cloud-0`."""
    return lambda *arguments: start_kubelet(cluster, *arguments)


@dataclass
class FakePlugin:
    """An interLink plugin without a batch system: tests say what each job does and see what was asked."""

    url: str = ""
    port: int = 0
    jobs: dict[str, str] = field(default_factory=dict)
    requests: list[Obj] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    # The pods of each question about statuses, by uid.
    asked: list[list[str]] = field(default_factory=list)
    pings: int = 0
    states: dict[str, Obj] = field(default_factory=dict)
    ping_body: str = "pong"
    ping_status: int = 200
    create_status: int = 200
    create_text: str = ""
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    status_code: int = 200
    runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve, on the same port as before when it was stopped."""
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/create", self._create)
        app.router.add_post("/delete", self._delete)
        app.router.add_get("/status", self._status)
        app.router.add_get("/getLogs", self._logs)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()
        self.port = self.runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.hold.set()

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    def set_state(self, pod: Obj, state: Obj) -> None:
        """What the plugin says of every container of *pod* from now on."""
        self.states[pod["metadata"]["uid"]] = state

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        uid = body["pod"]["metadata"]["uid"]
        if self.create_status != 200:
            return web.Response(status=self.create_status, text=self.create_text)
        self.jobs[str(len(self.jobs) + 1)] = uid
        job = str(len(self.jobs))
        await self.hold.wait()
        return web.json_response({"PodUID": uid, "PodJID": job})

    async def _delete(self, request: web.Request) -> web.Response:
        self.deleted.append((await request.json())["metadata"]["uid"])
        return web.Response(text="deleted")

    async def _status(self, request: web.Request) -> web.Response:
        pods = await request.json()
        if not pods:
            self.pings += 1
            return web.Response(status=self.ping_status, text=self.ping_body)
        self.asked.append([pod["metadata"]["uid"] for pod in pods])
        if self.status_code != 200:
            return web.Response(status=self.status_code, text="Invalid job id")
        return web.json_response([self._of(pod) for pod in pods])

    def _of(self, pod: Obj) -> Obj:
        metadata = pod["metadata"]
        state = self.states.get(metadata["uid"], {"waiting": {}})
        containers = [
            {
                "name": c["name"],
                "state": state,
                "ready": "running" in state,
                "restartCount": 0,
                "image": "",
                "imageID": "",
            }
            for c in pod["spec"]["containers"]
        ]
        jobs = [job for job, uid in self.jobs.items() if uid == metadata["uid"]]
        names = {"name": metadata["name"], "UID": metadata["uid"], "namespace": metadata["namespace"]}
        return {**names, "JID": jobs[-1] if jobs else "", "containers": containers, "initContainers": None}

    async def _logs(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        return web.Response(
            text=f"{body['ContainerName']} of {body['PodName']}, tail {body['Opts']['Tail']}\n"
        )


@pytest.fixture
async def plugin() -> AsyncIterator[FakePlugin]:
    """A fake plugin that runs."""
    plugin = FakePlugin()
    await plugin.start()
    yield plugin
    plugin.hold.set()
    await plugin.stop()


def start_virtual_node(cluster: Cluster, url: str, mode: str, *arguments: object) -> subprocess.Popen:
    """The virtual node `padova` with short intervals."""
    return cluster.start(
        "virtual_node",
        *("--node-name", "padova", "--plugin-url", url, "--mode", mode, "--ping-seconds", "0.4"),
        *("--status-interval-seconds", "0.1"),
        *arguments,
    )


@pytest.fixture
def virtual_node(cluster: Cluster, plugin: FakePlugin) -> Callable[..., subprocess.Popen]:
    """Starts the virtual node `padova` before the fake plugin."""

    def start(mode: str = "as-found", *arguments: object) -> subprocess.Popen:
        return start_virtual_node(cluster, plugin.url, mode, *arguments)

    return start


@dataclass
class OwnCluster:
    """A cluster whose API server the test may kill and start again."""

    cluster: Cluster
    process: subprocess.Popen
    port: int

    def kill_api_server(self) -> None:
        self.process.kill()
        self.process.wait()

    def start_api_server(self) -> None:
        self.process, _ = start_api_server(self.cluster.directory, self.port)

    def start_kubelet(self) -> subprocess.Popen:
        return start_kubelet(self.cluster)

    def start_virtual_node(self, url: str, mode: str) -> subprocess.Popen:
        return start_virtual_node(self.cluster, url, mode, "--refresh-seconds", "0.1")


@pytest.fixture
async def own_cluster(tmp_path: Path) -> AsyncIterator[OwnCluster]:
    """A cluster with an API server of its own."""
    process, port = start_api_server(tmp_path)
    async with open_cluster(tmp_path, port) as cluster:
        own = OwnCluster(cluster, process, port)
        yield own
    end(own.process)
