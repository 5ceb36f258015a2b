"""Kubernetes that is away, refuses, loses answers or changes meanwhile: nothing is half made, and everything is told."""

import asyncio
import contextlib
import time
from types import SimpleNamespace

import pytest
from kubernetes_asyncio import client
from kubernetes_asyncio.client.exceptions import ApiException

from rayster_spawner.service import ray_objects
from rayster_spawner.service.handlers import _log

from ...http_backend import until
from ..conftest import LOG, synced
from .conftest import Api, RayCluster, add_server, knows_clusters

CREATE_SECRET = (client.CoreV1Api, "create_namespaced_secret")
CREATE_CLUSTER = (client.CustomObjectsApi, "create_namespaced_custom_object")


def refused(status):
    """Return what the client raises for an answer with this status."""
    error = ApiException(status=status, reason="Refused")
    error.body = '{"message": "exceeded quota: clusters"}'
    return error


FAILURES = {
    "refused": lambda: refused(403),
    "invalid": lambda: refused(422),
    "server-error": lambda: refused(500),
    "too-many-requests": lambda: refused(429),
    "timeout": asyncio.TimeoutError,
    "connection-lost": lambda: ConnectionResetError("connection lost"),
}


@pytest.fixture
def spoil(monkeypatch):
    """Return a function that lets a method of the client fail once: before it asks, or after it was answered."""

    def spoil(method, failure, *, answer_is_lost=False):
        kind, name = method
        real, failed = getattr(kind, name), []

        async def spoilt(self, *args, **how):
            if failed:
                return await real(self, *args, **how)
            failed.append(True)
            if answer_is_lost:
                await real(self, *args, **how)
            raise failure()

        monkeypatch.setattr(kind, name, spoilt)

    return spoil


STEPS = {"secret": CREATE_SECRET, "cluster": CREATE_CLUSTER}
# What an API server refuses it has not done; whatever else is said, it may have.
MISHAPS = [(name, False) for name in FAILURES] + [
    (name, True) for name in ("server-error", "timeout", "connection-lost")
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "failure,done", MISHAPS, ids=[f"{name}{'-but-done' * done}" for name, done in MISHAPS]
)
async def test_what_cannot_be_made_whole_is_not_made(ada, rays, spoil, step, failure, done):
    # given
    spoil(STEPS[step], FAILURES[failure], answer_is_lost=done)
    # when
    status, answer = await ada.ask("POST", "clusters", json={"profile": "padova"})
    # then
    assert status == (409 if failure in ("refused", "invalid") else 503)
    if status == 409:
        assert "exceeded quota" in answer["error"]["message"]
    await until(lambda: not rays.all() and not rays.secrets())
    # and the places that it had are free again, once the service has looked that nothing is left
    made, deadline = 0, time.monotonic() + 30
    while made < 2:
        status, answer = await ada.ask("POST", "clusters", json={"profile": "padova"})
        assert status == 201 or time.monotonic() < deadline, answer
        made += status == 201
        await asyncio.sleep(0.05)


async def test_a_place_is_kept_until_what_may_be_half_made_is_taken_back(ada, rays, spoil, monkeypatch):
    # given: one of two places is taken, and nothing can be deleted for a while
    await ada.make()
    spoil(CREATE_CLUSTER, asyncio.TimeoutError, answer_is_lost=True)
    away, real = [True], ray_objects.RayObjects._delete_cluster

    async def delete(self, *args, **how):
        if away:
            raise ray_objects.Away("away")
        await real(self, *args, **how)

    monkeypatch.setattr(ray_objects.RayObjects, "_delete_cluster", delete)
    # when
    assert (await ada.ask("POST", "clusters", json={"profile": "padova"}))[0] == 503
    # then
    assert (await ada.ask("POST", "clusters", json={"profile": "padova"}))[0] == 409
    # and when it can be deleted
    away.clear()
    await until(lambda: len(rays.all()) == len(rays.secrets()) == 1)


async def test_an_api_server_that_is_down_is_told_and_nothing_is_made(own_cluster, users, start_service):
    # given
    rays = RayCluster(own_cluster)
    rays.install()
    add_server(own_cluster, "ada")
    async with start_service(own_cluster) as service:
        await knows_clusters(service)
        ada = Api(service, "of-ada")
        name = (await ada.make())["id"]
        own_cluster.end()
        # when
        answers = [
            await ada.ask("POST", "clusters", json={"profile": "padova"}),
            await ada.ask("PATCH", f"clusters/{name}", json={"workers": 1}),
            await ada.ask("DELETE", f"clusters/{name}"),
            await ada.ask("POST", f"clusters/{name}/restart"),
        ]
        # then
        assert [(status, answer["error"]["code"]) for status, answer in answers] == [
            (503, "cluster-away")
        ] * 4
        # what is known is told meanwhile
        assert (await ada.ask("GET", f"clusters/{name}"))[0] == 200
        # and when it is back, all goes on
        await asyncio.to_thread(own_cluster.start)
        await synced(service)
        assert [made["metadata"]["name"] for made in rays.all()] == [name]
        status, view = await ada.ask("PATCH", f"clusters/{name}", json={"workers": 1})
        assert status == 200 and view["wanted"]["workers"] == 1


async def test_a_service_that_was_killed_between_secret_and_cluster_leaves_what_goes_with_the_server(
    rays, users, start_service, monkeypatch
):
    # given: a service that ends while it makes the cluster, and takes nothing back
    begun = asyncio.Event()

    async def never(self, *args, **how):
        begun.set()
        await asyncio.Event().wait()

    async def nothing(self, *args, **how):
        return None

    async with start_service(rays.cluster) as service:
        await knows_clusters(service)
        monkeypatch.setattr(*CREATE_CLUSTER, never)
        monkeypatch.setattr(ray_objects.RayObjects, "_take_back", nothing)
        asked = asyncio.create_task(
            Api(service, "of-ada").ask("POST", "clusters", json={"profile": "padova"})
        )
        await asyncio.wait_for(begun.wait(), 20)
        asked.cancel()
    assert len(rays.secrets()) == 1
    # when
    rays.cluster.delete("jupyter-ada")
    # then
    await until(lambda: not rays.secrets())


async def test_a_change_that_meets_another_one_is_made_all_the_same(ada, rays, monkeypatch):
    # given: somebody is faster, twice
    name = (await ada.make(workers=1))["id"]
    real, times = ray_objects.RayObjects.read, iter(range(2))

    async def read(self, *args):
        found = await real(self, *args)
        if next(times, None) is not None:
            rays.patch(name, {"metadata": {"annotations": {"rayster.dev/idle-since": str(id(found))}}})
        return found

    monkeypatch.setattr(ray_objects.RayObjects, "read", read)
    # when
    status, view = await ada.ask("PATCH", f"clusters/{name}", json={"workers": 3})
    # then
    assert status == 200 and view["wanted"]["workers"] == 3
    assert "rayster.dev/idle-since" in rays.get(name)["metadata"]["annotations"]


async def test_a_change_of_what_has_gone_is_not_made_to_its_successor(ada, rays, monkeypatch):
    name = (await ada.make())["id"]
    real = ray_objects.RayObjects.read

    async def read(self, *args):
        found = await real(self, *args)
        return {**found, "metadata": {**found["metadata"], "uid": "another"}}

    monkeypatch.setattr(ray_objects.RayObjects, "read", read)
    assert (await ada.ask("PATCH", f"clusters/{name}", json={"workers": 3}))[0] == 404
    assert rays.get(name)["spec"]["workerGroupSpecs"][0]["replicas"] == 2


async def test_a_cluster_without_kuberay_says_so(own_cluster, users, start_service):
    # given
    add_server(own_cluster, "ada")
    async with start_service(own_cluster) as service:
        await synced(service)
        ada = Api(service, "of-ada")
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(20):
                while (await ada.ask("POST", "clusters", json={"profile": "padova"}))[1]["error"][
                    "code"
                ] != "not-served":
                    await asyncio.sleep(0.05)
        # then
        for method, path in (("GET", "clusters"), ("POST", "clusters")):
            status, answer = await ada.ask(method, path, json={"profile": "padova"})
            assert (status, answer["error"]["code"]) == (503, "not-served")


async def test_a_hub_that_is_away_lets_nobody_in(ada, hub):
    await hub.stop()
    status, answer = await ada.ask("GET", "clusters")
    assert status == 503 and "hub" in answer["error"]["message"]


def test_no_ticket_of_a_dashboard_is_written_into_the_log(caplog):
    path = "/services/rayster/api/clusters/ray-0123456789/dashboard/~MnwxOjB8MTA6/nodes"
    handler = SimpleNamespace(request=SimpleNamespace(method="GET", path=path), get_status=lambda: 502)
    _log(handler, LOG)
    assert "/dashboard/~…/nodes: HTTP 502" in caplog.text and "MnwxOjB8MTA6" not in caplog.text
