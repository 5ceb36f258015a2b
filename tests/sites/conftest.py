"""Profiles, nodes and an agent that does what a test says."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rayster_spawner.profile_files import validate_profiles
from rayster_spawner.profiles import ProfileSet
from rayster_spawner.sites import Sites

from ..http_backend import Backend

TOKEN = "the-token-of-padova"


def profile_data(**changes: Any) -> dict[str, Any]:
    """Return a SLURM profile with two GPUs of type a100 asked for; a change to None removes the field."""
    data: dict[str, Any] = {
        "name": "padova",
        "title": "Padova",
        "site": "padova",
        "scheduler": "slurm",
        "cpu": {"max": 16, "default": 4},
        "memory": {"max": "64Gi", "default": "4Gi"},
        "gpu": {"max": 4, "default": 2},
        "walltime": {"max": "48h", "default": "4h"},
        "images": [{"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"}],
        "slurm": {"partition": "gpu", "gres": "gpu:a100:{n}"},
    }
    data.update(changes)
    return {key: value for key, value in data.items() if value is not None}


CLOUD = profile_data(
    name="cloud", title="Cloud", site="cloud", scheduler="none", gpu=None, walltime=None, slurm=None
)


def profile_set(*profiles: dict[str, Any], sites: dict[str, Any] | None = None) -> ProfileSet:
    """Return profiles that are right."""
    content = {"profiles": list(profiles) or [CLOUD, profile_data()], "sites": sites or {}}
    found, mistakes = validate_profiles(content)
    assert found is not None, mistakes
    return found


def node_manifest(name: str, ready: str = "True", virtual: bool = True, **changes: Any) -> dict[str, Any]:
    """Return a node as the API server sends it."""
    labels = {"kubernetes.io/hostname": name}
    if virtual:
        labels["virtual-node.interlink/type"] = "virtual-kubelet"
    metadata = {"name": name, "labels": labels, "creationTimestamp": "2026-01-01T00:00:00Z"}
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": "2026-11-25T14:02:00Z"}
    return {"metadata": metadata, "spec": {}, "status": {"conditions": [condition]}, **changes}


LOG = logging.getLogger("tests.sites")
UP = [node_manifest("padova"), node_manifest("worker", virtual=False)]
DOWN = [node_manifest("padova", "False")]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_sites(profiles: ProfileSet, nodes: Any = UP, **settings: Any) -> Sites:
    """Return sites that have not looked yet; ``nodes`` is a list, or an exception that listing them raises."""

    async def list_nodes() -> list[dict[str, Any]]:
        if isinstance(nodes, Exception):
            raise nodes
        return nodes

    return Sites(lambda: profiles, list_nodes, LOG, **{"timeout_seconds": 20, **settings})


async def look(sites: Sites) -> None:
    """Let them look once."""
    await sites.look_at_nodes()
    async with aiohttp.ClientSession() as session:
        await sites.ask_agents(session)


def padova(sites: Sites) -> Any:
    """Return what is known of the site of the profile padova."""
    return sites.status(sites.get_profiles().get("padova"))


class FakeAgent(Backend):
    """A site's agent: tests set what it answers, and how late."""

    def __init__(self) -> None:
        super().__init__()
        self.token = TOKEN
        self.answers: dict[str, Any] = {"/v1/site": site_answer(), "/v1/jobs": jobs_answer()}
        self.status = 200
        self.delay_seconds = 0.0
        self.asked = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        await asyncio.sleep(self.delay_seconds)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"error": {"code": "unauthorized", "message": "no"}}, status=401)
        if self.status == 302:
            raise web.HTTPFound(f"{self.url}/elsewhere")
        answer = self.answers.get(request.path)
        if answer is None:
            return web.json_response({"error": {"code": "not-found", "message": "no"}}, status=404)
        if isinstance(answer, (str, bytes)):
            return web.Response(body=answer, status=self.status, content_type="application/json")
        return web.json_response(answer, status=self.status)


def site_answer(**changes: Any) -> dict[str, Any]:
    """Return what an agent says of a partition `gpu` with room for everything."""
    partition = {
        "name": "gpu",
        "state": "up",
        "nodes": {"idle": 2, "total": 4, "down": 0},
        "cores": {"free": 64, "total": 128},
        "gpus": [{"type": "a100", "free": 4, "total": 8}],
        "jobs": {"pending": 3, "running": 5},
        "wait_seconds": {"hours": 24, "jobs": 10, "p50": 1500, "p90": 7000},
    }
    answer = {"version": 1, "site": "padova", "scheduler": "slurm", "now": 1.8e9, "collected_at": 1.8e9}
    return {**answer, "age_seconds": 3.0, "error": None, "partitions": [partition], **changes}


def jobs_answer(*jobs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return what an agent says of its jobs."""
    return {"version": 1, "site": "padova", "age_seconds": 3.0, "error": None, "jobs": list(jobs), **changes}


@pytest.fixture
async def agent() -> AsyncIterator[FakeAgent]:
    """An agent that runs."""
    agent = FakeAgent()
    await agent.start()
    yield agent
    await agent.stop()


@pytest.fixture
def with_agent(tmp_path: Path) -> Callable[..., ProfileSet]:
    """Return a factory of profiles whose site padova has a given agent."""

    def make(url: str, token: str = TOKEN) -> ProfileSet:
        file = tmp_path / "token"
        file.write_text(token + "\n")
        return profile_set(sites={"padova": {"agent": {"url": url, "token_file": str(file)}}})

    return make
