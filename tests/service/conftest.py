"""A Kubernetes API of the testbed, a hub and an agent that say what a test wants, and the service between them."""

import asyncio
import contextlib
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
import yaml
from aiohttp import web

from rayster_spawner.service.process import running
from rayster_spawner.service.settings import Settings
from rayster_spawner.tickets import PageView, make_ticket

from ..http_backend import Backend

NAMESPACE = "rayster"
SERVICE_TOKEN = "the-token-of-the-service"
SITE_TOKENS = {"padova": "the-token-of-padova", "bari": "the-token-of-bari"}
BASE = "/services/rayster/"
LOG = logging.getLogger("tests.service")


def wait_until(what: Callable[[], Any], seconds: float = 30) -> Any:
    """Return the first true answer of ``what``."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(requests.RequestException):
            if answer := what():
                return answer
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.05)


class Cluster:
    """The testbed's API server as a process; it keeps its objects when it is killed."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, 0
        self.kubeconfig = folder / "kubeconfig.yaml"
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pods_url(self) -> str:
        return f"{self.url}/api/v1/namespaces/{NAMESPACE}/pods"

    def start(self) -> "Cluster":
        """Start at the same port as before, and wait until it answers."""
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "rayster_testbed.apiserver",
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        command += ["--port-file", str(port_file), "--data-dir", str(self.folder / "api")]
        with (self.folder / "api.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        self.port = int(wait_until(lambda: port_file.exists() and port_file.read_text().strip()))
        wait_until(lambda: requests.get(f"{self.url}/readyz", timeout=2).ok)
        context = {"name": "t", "context": {"cluster": "t", "user": "t"}}
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "t",
                    "contexts": [context],
                    "clusters": [{"name": "t", "cluster": {"server": self.url}}],
                    "users": [{"name": "t", "user": {}}],
                }
            )
        )
        self._post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}, 201, 409)
        return self

    def end(self, how: int = signal.SIGKILL) -> None:
        """End the process."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(10)

    def _post(self, path: str, body: Any, *good: int) -> Any:
        answer = requests.post(f"{self.url}{path}", json=body, timeout=10)
        assert answer.status_code in (good or (201,)), answer.text
        return answer.json()

    def clear(self) -> None:
        """Remove pods and nodes."""
        for pod in requests.get(self.pods_url, timeout=10).json()["items"]:
            self.delete(pod["metadata"]["name"])
        nodes_url = f"{self.url}/api/v1/nodes"
        for node in requests.get(nodes_url, timeout=10).json()["items"]:
            requests.delete(f"{nodes_url}/{node['metadata']['name']}", timeout=10)

    def add_pod(
        self, name: str, user: str = "ada", server: str = "", site: str = "padova", **annotations: str
    ) -> str:
        """Create a pod as the spawner does; returns its UID."""
        marks = {"hub.jupyter.org/username": user, "rayster.dev/spawn-id": f"spawn-of-{name}"}
        if server:
            marks["hub.jupyter.org/servername"] = server
        labels = {"component": "singleuser-server", "rayster.dev/profile": site, "rayster.dev/site": site}
        environment = [{"name": "JUPYTERHUB_API_TOKEN", "value": "secret-of-the-server"}]
        container = {"name": "notebook", "image": "rayster/notebook:0.1.0", "env": environment}
        metadata = {"name": name, "labels": labels, "annotations": {**marks, **annotations}}
        body = {"metadata": metadata, "spec": {"containers": [container]}}
        return self._post(f"/api/v1/namespaces/{NAMESPACE}/pods", body)["metadata"]["uid"]

    def add_other_pod(self, name: str, node: str) -> str:
        """Create a pod on a node that no spawner made; returns its UID."""
        spec = {"containers": [{"name": "main", "image": "x"}], "nodeName": node}
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
        return self._post(pods, {"metadata": {"name": name}, "spec": spec})["metadata"]["uid"]

    def annotate(self, name: str, **annotations: str) -> None:
        """Write annotations on a pod."""
        self._merge(f"{self.pods_url}/{name}", {"metadata": {"annotations": annotations}})

    def bind(self, name: str, node: str) -> None:
        """Put a pod on a node; it then terminates until the node lets it go."""
        self._post(
            f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/binding",
            {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"name": node}},
        )

    def set_status(self, name: str, **status: Any) -> None:
        """Write a pod's status."""
        self._merge(f"{self.pods_url}/{name}/status", {"status": status})

    def say_running(self, name: str) -> None:
        """Say that a pod runs."""
        state = {"running": {"startedAt": "2026-11-25T00:00:00Z"}}
        container = {
            "name": "notebook",
            "image": "x",
            "imageID": "",
            "restartCount": 0,
            "ready": True,
            "state": state,
        }
        self.set_status(name, phase="Running", podIP="127.0.0.1", containerStatuses=[container])

    def _merge(self, url: str, body: Any) -> None:
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = requests.patch(url, json=body, headers=headers, timeout=10)
        assert answer.ok, answer.text

    def delete(self, name: str, grace_seconds: int = 0) -> None:
        """Delete a pod."""
        requests.delete(f"{self.pods_url}/{name}", params={"gracePeriodSeconds": grace_seconds}, timeout=10)

    def pod_names(self) -> set[str]:
        """Return the names of all pods that are not going."""
        items = requests.get(self.pods_url, timeout=10).json()["items"]
        return {pod["metadata"]["name"] for pod in items if "deletionTimestamp" not in pod["metadata"]}

    def add_node(self, name: str, ready: str = "True") -> None:
        """Create a virtual node, or say anew whether it is ready."""
        labels = {"kubernetes.io/hostname": name, "virtual-node.interlink/type": "virtual-kubelet"}
        self._post("/api/v1/nodes", {"metadata": {"name": name, "labels": labels}}, 201, 409)
        condition = {"type": "Ready", "status": ready, "lastTransitionTime": "2026-11-25T14:02:00Z"}
        self._merge(f"{self.url}/api/v1/nodes/{name}/status", {"status": {"conditions": [condition]}})


class FakeHub(Backend):
    """The hub's REST API: whose a token is, and who has which servers."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[str, dict[str, Any]] = {}
        self.servers: dict[str, list[str]] = {}
        self.page_size = 200
        self.spoil: Callable[[Any], Any] = lambda page: page
        self.status = 200

    @property
    def api_url(self) -> str:
        return f"{self.url}/hub/api"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        assert scheme == "token"
        if request.path == "/hub/api/user":
            model = self.users.get(token)
            return web.json_response(model or {"status": 403}, status=200 if model else 403)
        assert request.path == "/hub/api/users" and request.query["state"] == "active"
        if token != SERVICE_TOKEN:
            return web.json_response({"status": 403}, status=403)
        models = [{"name": name, "servers": {s: {} for s in names}} for name, names in self.servers.items()]
        offset, limit = int(request.query["offset"]), min(int(request.query["limit"]), self.page_size)
        end = offset + limit
        follows = {"offset": end, "limit": limit, "url": "x"} if end < len(models) else None
        page = {"items": models[offset:end], "_pagination": {"offset": offset, "next": follows}}
        return web.Response(
            text=json.dumps(self.spoil(page)),
            status=self.status,
            content_type="application/jupyterhub-pagination+json",
        )


class FakeAgent(Backend):
    """The agent of padova: jobs, and one partition with so many free cores."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[dict[str, Any]] = []
        self.free_cores = 8

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {SITE_TOKENS['padova']}":
            return web.json_response({}, status=401)
        common = {"version": 1, "site": "padova", "age_seconds": 1.0, "error": None}
        if request.path == "/v1/jobs":
            return web.json_response({**common, "jobs": self.jobs})
        partition = {
            "name": "padova",
            "cores": {"free": self.free_cores, "total": 8},
            "wait_seconds": {"p50": 1500},
        }
        return web.json_response({**common, "partitions": [partition]})


def profiles_data(agent_url: str, folder: Path) -> dict[str, Any]:
    """Return a cloud profile, two sites with agents, and one profile for a group only."""
    amounts = {"cpu": {"max": 8, "default": 2}, "memory": {"max": "16Gi", "default": "2Gi"}}
    images = [{"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"}]
    batch = {**amounts, "images": images, "scheduler": "slurm", "walltime": {"max": "8h", "default": "1h"}}
    sites = {}
    for name, token in SITE_TOKENS.items():
        (folder / name).write_text(token)
        url = agent_url if name == "padova" else "http://127.0.0.1:9"
        sites[name] = {"agent": {"url": url, "token_file": str(folder / name)}}
    return {
        "sites": sites,
        "profiles": [
            {**amounts, "images": images, "name": "cloud", "title": "Cloud", "site": "cloud"},
            {**batch, "name": "padova", "title": "Padova", "site": "padova"},
            {**batch, "name": "bari", "title": "Bari", "site": "bari", "access": {"groups": ["physics"]}},
        ],
    }


class Service:
    """A client of the running service."""

    def __init__(self, port: int, session: aiohttp.ClientSession):
        self.url = f"http://127.0.0.1:{port}"
        self.session = session

    async def get(self, path: str, authorization: str | None = None) -> tuple[int, Any]:
        """Return status and JSON of an answer."""
        headers = {"Authorization": authorization} if authorization else {}
        async with self.session.get(f"{self.url}{BASE}{path}", headers=headers) as answer:
            return answer.status, await answer.json()

    @contextlib.asynccontextmanager
    async def stream(self, path: str, authorization: str) -> AsyncIterator["Stream"]:
        """Open a stream of events."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with self.session.get(
            f"{self.url}{BASE}{path}", headers={"Authorization": authorization}, timeout=timeout
        ) as answer:
            yield Stream(answer)


class Stream:
    """Events as they come."""

    def __init__(self, answer: aiohttp.ClientResponse):
        self.answer = answer

    async def next(self) -> tuple[str, Any] | None:
        """Return the next event's name and data, the name ``:`` for a comment, None at the end."""
        lines: list[str] = []
        while True:
            line = (await self.answer.content.readline()).decode()
            if not line:
                return None
            if line == "\n":
                break
            lines.append(line.rstrip("\n"))
        if lines[0].startswith(":"):
            return ":", lines[0]
        name, data = lines
        assert name.startswith("event: ") and data.startswith("data: ")
        return name[7:], json.loads(data[6:])

    async def until_comment(self) -> str:
        """Return the next comment."""
        while (event := await asyncio.wait_for(self.next(), 30)) is not None:
            if event[0] == ":":
                return event[1]
        raise AssertionError("the stream ended")

    async def until(self, what: Callable[[Any], bool], seconds: float = 30) -> Any:
        """Return the data of the first event that ``what`` likes."""
        seen = []

        async def look() -> Any:
            while (event := await self.next()) is not None:
                seen.append(event)
                if event[0] != ":" and what(event[1]):
                    return event[1]
            raise AssertionError(f"the stream ended after {seen}")

        try:
            return await asyncio.wait_for(look(), seconds)
        except asyncio.TimeoutError:
            raise AssertionError(f"not in {seconds} s; seen: {seen}") from None


def ticket(
    user: str = "ada", server: str | None = "", profiles: tuple[str, ...] = ("cloud", "padova")
) -> str:
    """Return the header that a page of the hub sends."""
    return f"Ticket {make_ticket(SERVICE_TOKEN, PageView(user, server, profiles))}"


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster")).start()
    yield cluster
    cluster.end()


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """A cluster without pods and nodes."""
    shared_cluster.clear()
    return shared_cluster


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose API server the test may kill."""
    cluster = Cluster(tmp_path).start()
    yield cluster
    cluster.end()


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    """A hub that answers."""
    hub = FakeHub()
    await hub.start()
    yield hub
    await hub.stop()


@pytest.fixture
async def agent() -> AsyncIterator[FakeAgent]:
    """An agent that answers."""
    agent = FakeAgent()
    await agent.start()
    yield agent
    await agent.stop()


@pytest.fixture
def settings(tmp_path: Path, agent: FakeAgent, hub: FakeHub) -> Settings:
    """Settings of a service on a free port."""
    file = tmp_path / "profiles.yaml"
    file.write_text(yaml.safe_dump(profiles_data(agent.url, tmp_path)))
    return Settings(
        profiles_file=str(file),
        namespace=NAMESPACE,
        port=0,
        hub_api_url=hub.api_url,
        token=SERVICE_TOKEN,
        refresh_seconds=0.3,
    )


@pytest.fixture
def start_service(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., contextlib.AbstractAsyncContextManager[Service]]:
    """Return a factory of running services. Arguments: the cluster, and changes of settings."""
    monkeypatch.setattr("rayster_spawner.service.streams.KEEPALIVE_SECONDS", 1.0)

    @contextlib.asynccontextmanager
    async def start(cluster: Cluster, **changes: Any) -> AsyncIterator[Service]:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        async with (
            running(settings.model_copy(update=changes), LOG) as port,
            aiohttp.ClientSession() as session,
        ):
            yield Service(port, session)

    return start


@pytest.fixture
async def service(cluster: Cluster, start_service: Callable[..., Any]) -> AsyncIterator[Service]:
    """A service that knows the cluster."""
    async with start_service(cluster) as service:
        await synced(service)
        yield service


async def synced(service: Service, seconds: float = 30) -> None:
    """Wait until the service knows the cluster."""
    deadline = time.monotonic() + seconds
    while (await service.get("readyz"))[0] != 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
