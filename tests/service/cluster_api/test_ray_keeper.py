"""What the service does to clusters, killed and started again between any two steps of it."""

import asyncio
import json
import time

import pytest
import yaml

from rayster_spawner.ray import names
from rayster_spawner.ray.records import IDLE_WARNED_AT, RESTARTING

from ..conftest import profiles_data
from .conftest import Api, knows_clusters, rayed
from .ray_stub import Head, KubeRay, eventually


@pytest.fixture
async def kuberay(cluster, rays) -> KubeRay:
    return KubeRay(cluster, rays)


@pytest.fixture
def settings(settings, agent, tmp_path):
    """Profiles whose idle clusters end after two minutes, warned one minute before."""
    data = rayed(profiles_data(agent.url, tmp_path))
    for profile in data["profiles"]:
        if "ray" in profile:
            profile["ray"] = {**profile["ray"], "idle": {"stop_after": "2m", "warn_before": "1m"}}
    from pathlib import Path

    Path(settings.profiles_file).write_text(yaml.safe_dump(data))
    return settings


def annotation(rays, cluster_id: str, name: str) -> str | None:
    return rays.get(cluster_id)["metadata"]["annotations"].get(name)


def records(rays, cluster_id: str) -> list[dict]:
    return json.loads(annotation(rays, cluster_id, names.ENDED_WORKERS) or "[]")


def replicas(rays, cluster_id: str) -> int:
    return rays.get(cluster_id)["spec"]["workerGroupSpecs"][0]["replicas"]


async def when(what, seconds: float = 30) -> None:
    """Wait until ``what`` is so."""

    async def look():
        return await asyncio.to_thread(what)

    await eventually(look, seconds)


@pytest.fixture
def restarted(rays, users, start_service):
    """Return a context of a service that has just been started, and forgets all at its end."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def start():
        async with start_service(rays.cluster) as service:
            await knows_clusters(service)
            yield Api(service, "of-ada")

    return start


async def test_the_breaker_counts_on_over_restarts_of_the_service(restarted, kuberay, rays):
    # given
    async with restarted() as ada:
        cluster_id = (await ada.make(workers=1))["id"]
        name = kuberay.add(cluster_id)
    # when: the service is killed after each failure that it has seen
    for count in (1, 2, 3):
        async with restarted():
            kuberay.fail(name, "ProviderFailed", f"sbatch: error: failure {count}")
            await when(lambda count=count: len(records(rays, cluster_id)) == count)
            if count < 3:
                name = kuberay.replace(cluster_id, name)
        assert replicas(rays, cluster_id) == (0 if count == 3 else 1)
    # then: it says why, in SLURM's words, also after another restart
    async with restarted() as ada:
        kuberay.delete(name)

        async def all_have_ended():
            _, view = await ada.ask("GET", f"clusters/{cluster_id}")
            return view if len(view["ended"]) == 3 else None

        view = await eventually(all_have_ended)
        assert view["problems"][0]["code"] == "worker-failures"
        assert view["problems"][0]["message"].endswith("SLURM refused the job: sbatch: error: failure 3")
        assert view["wanted"]["workers"] == 1


async def test_a_failure_that_nobody_saw_costs_one_more_and_no_more(restarted, kuberay, rays):
    # given: killed after KubeRay has replaced a pod, before that was written down
    async with restarted() as ada:
        cluster_id = (await ada.make(workers=1))["id"]
        name = kuberay.add(cluster_id)
    kuberay.fail(name)
    name = kuberay.replace(cluster_id, name)
    # when
    async with restarted():
        for count in (1, 2, 3):
            kuberay.fail(name)
            await when(lambda count=count: len(records(rays, cluster_id)) == count)
            if count < 3:
                name = kuberay.replace(cluster_id, name)
        # then
        await when(lambda: replicas(rays, cluster_id) == 0)


async def test_a_worker_that_is_scaled_away_is_no_failure(restarted, kuberay, rays):
    async with restarted() as ada:
        cluster_id = (await ada.make(workers=2))["id"]
        kept, _ = kuberay.add(cluster_id), kuberay.add(cluster_id)
        await when(lambda: len(kuberay.pods(cluster_id)) == 2)

        async def both_are_known():
            return len((await ada.ask("GET", f"clusters/{cluster_id}"))[1]["workers"]) == 2

        await eventually(both_are_known)
        # when
        status, _ = await ada.ask("PATCH", f"clusters/{cluster_id}", json={"workers": 1})
        assert status == 200
        victims = rays.get(cluster_id)["spec"]["workerGroupSpecs"][0]["scaleStrategy"]["workersToDelete"]
        kuberay.fail(victims[0], "Error: 143")
        kuberay.delete(victims[0])
        await asyncio.sleep(2)
        # then
        assert (len(victims) == 1 and victims != [kept]) or victims == [kept]
        assert records(rays, cluster_id) == []


async def test_an_idle_cluster_is_warned_and_stopped_over_restarts_of_the_service(restarted, kuberay, rays):
    async with restarted() as ada:
        cluster_id = (await ada.make(workers=1))["id"]
    head = await Head(cluster_id).start()
    kuberay.reach(cluster_id, head)
    for name in (kuberay.add(cluster_id, head=True), kuberay.add(cluster_id)):
        kuberay.run(name)
        head.join(name, head=name.endswith("-1"), began=-300)
    head.activity = {"is_active": "INACTIVE", "last_activity_at": time.time() - 70}
    # when: nobody is there; then it is noted, and its user warned
    async with restarted():
        await when(lambda: annotation(rays, cluster_id, names.IDLE_SINCE))
    async with restarted() as ada:
        await when(lambda: annotation(rays, cluster_id, IDLE_WARNED_AT))
        _, view = await ada.ask("GET", f"clusters/{cluster_id}")
        assert view["idle"]["warned"] and 0 < view["idle"]["stops_in_seconds"] <= 60
    # when the minute is over while the service is away
    ago = {names.IDLE_SINCE: f"{time.time() - 150:.3f}", IDLE_WARNED_AT: f"{time.time() - 61:.3f}"}
    rays.patch(cluster_id, {"metadata": {"annotations": ago}})
    head.activity["last_activity_at"] = time.time() - 150
    # then it is stopped, and says so
    async with restarted() as ada:
        await when(lambda: rays.get(cluster_id)["spec"].get("suspend") is True)

        async def is_told():
            view = (await ada.ask("GET", f"clusters/{cluster_id}"))[1]
            return view["state"] == "suspended" and "No notebook was attached" in view["message"]

        await eventually(is_told)
    await head.stop()


async def test_a_restart_is_finished_by_whoever_is_there(restarted, kuberay, rays):
    async with restarted() as ada:
        cluster_id = (await ada.make(workers=2))["id"]
        pods = [kuberay.add(cluster_id, head=True), kuberay.add(cluster_id)]
        # when
        status, view = await ada.ask("POST", f"clusters/{cluster_id}/restart")
        assert (status, view["state"]) == (200, "starting")
        assert rays.get(cluster_id)["spec"]["suspend"] is True
    # and the service is killed; KubeRay deletes the pods, one after the other
    async with restarted():
        kuberay.delete(pods[0])
        await asyncio.sleep(1.5)
        assert rays.get(cluster_id)["spec"]["suspend"] is True
    kuberay.delete(pods[1])
    # then
    async with restarted():
        await when(lambda: rays.get(cluster_id)["spec"]["suspend"] is False)
        assert annotation(rays, cluster_id, RESTARTING) is None
        assert replicas(rays, cluster_id) == 2


async def test_somebody_elses_change_is_not_overwritten(restarted, kuberay, rays):
    # given: two failures; the user scales while the third one comes
    async with restarted() as ada:
        cluster_id = (await ada.make(workers=1))["id"]
        for count in (1, 2):
            name = kuberay.add(cluster_id)
            kuberay.fail(name)
            await when(lambda count=count: len(records(rays, cluster_id)) == count)
            kuberay.delete(name)
        await ada.ask("PATCH", f"clusters/{cluster_id}", json={"workers": 3})
        kuberay.fail(kuberay.add(cluster_id))
        await when(lambda: len(records(rays, cluster_id)) == 3)
        # then: what the user did counts as a new beginning
        assert replicas(rays, cluster_id) == 3
