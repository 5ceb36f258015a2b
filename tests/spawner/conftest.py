"""A Kubernetes API of the testbed, a site that does what a test says, and a real hub that can be killed."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import kubernetes_asyncio.config
import pytest
import requests
import yaml

from rayster_spawner.spawner import RaysterSpawner

from .hub_process import Hub
from .processes import Api, wait_until
from .site_stub import NAMESPACE, Agent, Site


def profiles_data() -> list[dict[str, Any]]:
    """Return the profiles of these tests: one for the cloud, two for a site, one of them for a group only."""
    amounts = {
        "cpu": {"min": 1, "max": 8, "default": 2},
        "memory": {"min": "1Gi", "max": "16Gi", "default": "2Gi"},
        "images": [{"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"}],
    }
    padova = {
        **amounts,
        "name": "padova",
        "title": "Padova",
        "site": "padova",
        "scheduler": "slurm",
        "walltime": {"min": "10m", "max": "48h", "default": "4h"},
        "slurm": {"partition": "padova"},
        "hub_url": "http://127.0.0.1:1",
        "environment": {"BRACES": "{username:>300000000} ${HOME}"},
    }
    physics = {**padova, "name": "physics", "title": "Physics", "access": {"groups": ["physics"]}}
    closing = {**padova, "name": "closing", "title": "Closing"}
    return [{**amounts, "name": "cloud", "title": "Cloud", "site": "cloud"}, padova, physics, closing]


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Return a function that waits for something to become true."""
    return wait_until


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API server of the session."""
    api = Api(tmp_path_factory.mktemp("api"))
    api.start()
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    assert requests.post(f"{api.url}/api/v1/namespaces", json=body, timeout=5).status_code in (201, 409)
    for name in ("padova", "cloud-1"):
        labels = {"kubernetes.io/hostname": name}
        if name == "padova":
            labels["virtual-node.interlink/type"] = "virtual-kubelet"
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        assert requests.post(f"{api.url}/api/v1/nodes", json=body, timeout=5).status_code == 201
        api.say_node(name, is_ready=True)
    yield api
    api.kill()


def _empty_site(api: Api) -> Iterator[Site]:
    site = Site(api)
    for pod in site.pods():
        site.delete(pod["metadata"]["name"])
    yield site
    site.close()


@pytest.fixture
def site(api: Api) -> Iterator[Site]:
    """A site without servers, on an API server without pods."""
    yield from _empty_site(api)


@pytest.fixture(scope="module")
def module_site(api: Api) -> Iterator[Site]:
    """A site that tells one story through all tests of a module."""
    yield from _empty_site(api)


@pytest.fixture(scope="session")
def make_hub(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Hub]]:
    """Return a factory of running hubs. Arguments: the profiles, an agent of the site, and traits by class name."""
    hubs = []

    def make(
        profiles: list[dict[str, Any]] | None = None, agent: Agent | None = None, **settings: dict[str, Any]
    ) -> Hub:
        folder = tmp_path_factory.mktemp("hub")
        content: dict[str, Any] = {"profiles": profiles_data() if profiles is None else profiles}
        if agent is not None:
            token_file = folder / "token"
            token_file.write_text(agent.token)
            content["sites"] = {"padova": {"agent": {"url": agent.url, "token_file": str(token_file)}}}
        file = folder / "profiles.yaml"
        file.write_text(yaml.safe_dump(content))
        hub = Hub(folder, api, file, settings)
        hubs.append(hub)
        return hub.start()

    yield make
    for hub in hubs:
        hub.close()


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    """The agent of a site."""
    agent = Agent()
    yield agent
    agent.close()


@pytest.fixture(scope="module")
def hub(make_hub: Callable[..., Hub]) -> Iterator[Hub]:
    """The hub of one test module."""
    hub = make_hub()
    yield hub
    hub.close()


class FakeUser(SimpleNamespace):
    """As much of the hub's user as a spawner without a database asks for."""

    def __hash__(self) -> int:
        return id(self)


@pytest.fixture
async def make_spawner(api: Api, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RaysterSpawner]:
    """Return a factory of spawners without a hub, on the testbed's API server. Arguments are traits."""
    await kubernetes_asyncio.config.load_kube_config(config_file=str(api.kubeconfig))
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    monkeypatch.setattr("rayster_spawner.life.site_view.hub_sites", lambda spawner: None)

    def make(user: str = "ada", groups: tuple[str, ...] = (), **traits: Any) -> RaysterSpawner:
        traits.setdefault("profiles", {"profiles": profiles_data()})
        hub = SimpleNamespace(api_url="http://hub:8081/hub/api", base_url="/hub/", public_host="", url="/")
        fake = FakeUser(
            name=user,
            id=1,
            url=f"/user/{user}/",
            escaped_name=user,
            groups=[SimpleNamespace(name=group) for group in groups],
            settings={},
            db=SimpleNamespace(commit=lambda: None),
        )
        defaults = {"namespace": NAMESPACE, "cmd": ["jupyterhub-singleuser"], "storage_pvc_ensure": False}
        spawner = RaysterSpawner(_mock=True, user=fake, hub=hub, **{**defaults, **traits})
        spawner.server = SimpleNamespace(base_url=f"/user/{user}/", proto="http", ip="", port=0)
        spawner.api_token = "secret"
        spawner.clear_state()
        return spawner

    return make
