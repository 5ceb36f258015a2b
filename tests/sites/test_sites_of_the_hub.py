"""The one set of sites of a hub, and what its API server answers about nodes."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rayster_spawner.site_facts import SiteState
from rayster_spawner.sites import Sites, hub_sites
from rayster_spawner.sites.hub import list_nodes

from ..http_backend import until
from .conftest import LOG, UP, look, make_sites, padova, profile_set


def test_without_a_loop_the_hub_has_no_sites():
    assert hub_sites(SimpleNamespace(api=None, log=LOG)) is None


async def test_the_hub_has_one_set_of_sites(tmp_path: Path):
    # given
    async def list_node(**query: Any) -> Any:
        raise ConnectionError("away")

    api = SimpleNamespace(list_node=list_node)
    spawner = SimpleNamespace(api=api, log=LOG, profiles=profile_set(), profiles_file="")
    # when
    sites = hub_sites(spawner)
    # then
    assert sites is hub_sites(spawner) is not None
    await until(lambda: padova(sites).state is SiteState.UNKNOWN)
    await sites.stop()


async def test_a_spawner_without_a_cluster_has_no_sites():
    assert hub_sites(SimpleNamespace(log=LOG)) is None


class Refused(Exception):
    status = 403


@pytest.mark.parametrize(
    "error,cloud",
    [
        (Refused(), SiteState.AVAILABLE),
        (ConnectionError(), SiteState.UNKNOWN),
        (ValueError("x"), SiteState.UNKNOWN),
    ],
    ids=["refused", "away", "garbage"],
)
async def test_a_cluster_that_does_not_tell_its_nodes_is_no_outage_of_a_site(error, cloud, agent, with_agent):
    # given
    sites = make_sites(with_agent(agent.url), error)
    # when
    await look(sites)
    # then
    assert padova(sites).state is SiteState.AVAILABLE
    assert sites.status(sites.get_profiles().get("cloud")).state is cloud


class NodesAnswer:
    """An answer of the API server."""

    def __init__(self, status: int, body: bytes = b""):
        self.status, self._body = status, body

    async def read(self) -> bytes:
        return self._body

    def release(self) -> None:
        pass


@pytest.mark.parametrize(
    "answer,cloud",
    [
        (NodesAnswer(200, json.dumps({"items": UP}).encode()), SiteState.AVAILABLE),
        (NodesAnswer(403), SiteState.AVAILABLE),
        (NodesAnswer(500), SiteState.UNKNOWN),
        (NodesAnswer(200, b"<html>"), SiteState.UNKNOWN),
        (NodesAnswer(200, b"{}"), SiteState.UNKNOWN),
    ],
    ids=["nodes", "refused", "error", "garbage", "no-list"],
)
async def test_whatever_the_api_server_answers_about_nodes_is_borne(answer, cloud):
    # given
    async def list_node(**query: Any) -> NodesAnswer:
        return answer

    api = SimpleNamespace(list_node=list_node)
    sites = Sites(lambda: profile_set(), lambda: list_nodes(api), LOG)
    # when
    await look(sites)
    # then
    assert sites.status(profile_set().get("cloud")).state is cloud
