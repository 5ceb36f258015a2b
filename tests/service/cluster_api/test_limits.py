"""Limits of clusters and workers, also when requests come at the same time."""

import asyncio
from pathlib import Path

import pytest
import yaml

from .conftest import RAY, profiles_data, rayed


@pytest.fixture
def limits(settings, agent, tmp_path):
    """Return a function that sets the limits of padova."""

    def set_limits(**limits):
        data = rayed(profiles_data(agent.url, tmp_path))
        for profile in data["profiles"]:
            if profile["name"] == "padova":
                profile["ray"] = {**RAY, "limits": limits}
        Path(settings.profiles_file).write_text(yaml.safe_dump(data))

    return set_limits


async def test_no_more_clusters_than_a_user_may_have_though_asked_for_at_once(ada, bruno, rays):
    # when
    answers = await asyncio.gather(
        *(ada.ask("POST", "clusters", json={"profile": "padova"}) for _ in range(8))
    )
    # then
    assert sorted(status for status, _ in answers) == [201] * 2 + [409] * 6
    assert len(rays.all()) == len(rays.secrets()) == 2
    refused = next(answer for status, answer in answers if status == 409)
    assert refused["error"]["code"] == "limit" and "2 of 2" in refused["error"]["message"]
    # and it is a limit of ada's, not of bruno's
    await bruno.make()


async def test_a_stopped_cluster_makes_room(ada):
    first, _ = await ada.make(), await ada.make()
    assert (await ada.ask("DELETE", f"clusters/{first['id']}"))[0] == 202
    for _ in range(100):
        if (await ada.ask("POST", "clusters", json={"profile": "padova"}))[0] == 201:
            return
    raise AssertionError("there is no room")


async def test_no_more_clusters_than_the_profile_has(limits, start_service, rays, users):
    # given
    from .conftest import Api, knows_clusters

    limits(clusters_per_user=None, clusters_total=3)
    async with start_service(rays.cluster) as service:
        await knows_clusters(service)
        clients = [Api(service, "of-ada"), Api(service, "of-bruno")] * 3
        # when
        answers = await asyncio.gather(
            *(client.ask("POST", "clusters", json={"profile": "padova"}) for client in clients)
        )
    # then
    assert sorted(status for status, _ in answers) == [201] * 3 + [409] * 3


async def test_no_more_workers_than_a_user_may_have_in_all(limits, start_service, rays, users):
    # given
    from .conftest import Api, knows_clusters

    limits(clusters_per_user=None, workers_per_user=5)
    async with start_service(rays.cluster) as service:
        await knows_clusters(service)
        ada = Api(service, "of-ada")
        first, second = (await ada.make(workers=1))["id"], (await ada.make(workers=1))["id"]
        # when both grow at once
        answers = await asyncio.gather(
            *(ada.ask("PATCH", f"clusters/{name}", json={"workers": 4}) for name in (first, second))
        )
        # then
        assert sorted(status for status, _ in answers) == [200, 409]
        replicas = [made["spec"]["workerGroupSpecs"][0]["replicas"] for made in rays.all()]
        assert sorted(replicas) == [1, 4]
        # and a new cluster has no more, either
        assert (await ada.ask("POST", "clusters", json={"profile": "padova", "workers": 1}))[0] == 409
        # until there is room again
        big = (
            first if replicas[[made["metadata"]["name"] for made in rays.all()].index(first)] == 4 else second
        )
        assert (await ada.ask("PATCH", f"clusters/{big}", json={"workers": 1}))[0] == 200
        await ada.make(workers=3)
