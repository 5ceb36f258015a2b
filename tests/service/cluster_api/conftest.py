"""A cluster that serves RayClusters, users with servers, and the service that makes clusters for them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from rayster_spawner.service.settings import Settings

from ..conftest import NAMESPACE, Cluster, FakeHub, Service, profiles_data, synced

DEFINITION = Path(__file__).parents[3] / "rayster_testbed" / "manifests" / "raycluster.yaml"
ACCESS = "access:services!service=rayster"

RAY = {
    "version": "2.60.0",
    "workers": {"max": 4, "default": 2},
    "shared_directory": "/work/ray/{username}",
    "limits": {"clusters_per_user": 2},
}


class RayCluster:
    """The API server's RayClusters and secrets, as an administrator sees them."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self._rays = f"{cluster.url}/apis/ray.io/v1/namespaces/{NAMESPACE}/rayclusters"
        self._secrets = f"{cluster.url}/api/v1/namespaces/{NAMESPACE}/secrets"

    def install(self) -> None:
        """Let the API server serve them."""
        for document in yaml.safe_load_all(DEFINITION.read_text()):
            if document["kind"] == "CustomResourceDefinition":
                url = f"{self.cluster.url}/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
                assert requests.post(url, json=document, timeout=10).status_code in (201, 409)

    def clear(self) -> None:
        """Remove them all."""
        for url in (self._rays, self._secrets):
            for item in requests.get(url, timeout=10).json()["items"]:
                requests.delete(f"{url}/{item['metadata']['name']}", timeout=10)

    def all(self) -> list[dict[str, Any]]:
        """Return all RayClusters."""
        return requests.get(self._rays, timeout=10).json()["items"]

    def get(self, name: str) -> dict[str, Any]:
        """Return one."""
        answer = requests.get(f"{self._rays}/{name}", timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def patch(self, name: str, body: dict[str, Any]) -> None:
        """Merge into one."""
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = requests.patch(f"{self._rays}/{name}", json=body, headers=headers, timeout=10)
        assert answer.ok, answer.text

    def secrets(self) -> list[dict[str, Any]]:
        """Return all secrets."""
        return requests.get(self._secrets, timeout=10).json()["items"]


class Api:
    """A client with somebody's token."""

    def __init__(self, service: Service, token: str | None):
        self._service, self._token = service, token

    async def ask(self, method: str, path: str, **how: Any) -> tuple[int, Any]:
        """Return status and JSON of an answer."""
        headers = {"Authorization": f"token {self._token}"} if self._token else {}
        headers.update(how.pop("headers", {}))
        url = f"{self._service.url}/services/rayster/api/{path}"
        async with self._service.session.request(method, url, headers=headers, **how) as answer:
            return answer.status, await answer.json()

    async def make(self, **asked: Any) -> Any:
        """Make a cluster; return what is told of it."""
        status, view = await self.ask("POST", "clusters", json={"profile": "padova", **asked})
        assert status == 201, view
        return view


def rayed(data: dict[str, Any]) -> dict[str, Any]:
    """Return profiles of which the batch ones have Ray workers: at padova in network site, at bari direct."""
    for profile in data["profiles"]:
        if profile["name"] == "padova":
            profile["network"] = {"mode": "site"}
            profile["ray"] = RAY
        elif profile["name"] == "bari":
            profile["ray"] = {"version": "2.60.0", "workers": {"max": 3, "default": 1}}
    return data


@pytest.fixture
def settings(settings: Settings, agent: Any, tmp_path: Path) -> Settings:
    """Settings of a service whose profiles have Ray workers."""
    Path(settings.profiles_file).write_text(yaml.safe_dump(rayed(profiles_data(agent.url, tmp_path))))
    return settings


@pytest.fixture
def rays(cluster: Cluster) -> RayCluster:
    """The RayClusters of a cluster without any; ada and bruno have a server each."""
    rays = RayCluster(cluster)
    rays.install()
    rays.clear()
    for user in ("ada", "bruno"):
        add_server(cluster, user)
    return rays


def add_server(cluster: Cluster, user: str, server: str = "", site: str = "padova") -> str:
    """Create the pod of a server, with the user's label; returns its UID."""
    name = f"jupyter-{user}{'-' + server if server else ''}"
    uid = cluster.add_pod(name, user, server, site)
    labels = {"hub.jupyter.org/username": user}
    cluster._merge(f"{cluster.pods_url}/{name}", {"metadata": {"labels": labels}})
    cluster.say_running(name)
    return uid


@pytest.fixture
def users(hub: FakeHub) -> None:
    """Whose tokens the hub knows."""
    hub.users.update(
        {
            "of-ada": user("ada", [ACCESS]),
            "of-bruno": user("bruno", [ACCESS], ["physics"]),
            "of-admin": user("root", ["access:services", "admin:servers", "access:servers"]),
            "of-operator": user("olga", ["access:services", "admin:servers"]),
            "without-rights": user("ada", ["read:users:name!user=ada"]),
            "of-a-service": {"kind": "service", "name": "ada", "scopes": [ACCESS]},
        }
    )


def user(name: str, scopes: list[str], groups: list[str] | None = None) -> dict[str, Any]:
    """Return what the hub says of a user's token."""
    return {"kind": "user", "name": name, "groups": groups or [], "scopes": scopes}


@pytest.fixture
async def service(rays: RayCluster, users: None, start_service: Callable[..., Any]) -> AsyncIterator[Service]:
    """A service that knows the cluster."""
    async with start_service(rays.cluster) as service:
        await knows_clusters(service)
        yield service


async def knows_clusters(service: Service) -> None:
    """Wait until the service knows pods and clusters."""
    await synced(service)
    ada = Api(service, "of-ada")
    for _ in range(300):
        if (await ada.ask("GET", "clusters"))[0] == 200:
            return
    raise AssertionError("the service does not know the clusters")


@pytest.fixture
def ada(service: Service) -> Api:
    """Ada's client."""
    return Api(service, "of-ada")


@pytest.fixture
def bruno(service: Service) -> Api:
    """Bruno's client; he is in the group physics."""
    return Api(service, "of-bruno")


@pytest.fixture
def admin(service: Service) -> Api:
    """The client of somebody who may start, stop and enter everybody's servers."""
    return Api(service, "of-admin")
