"""The background look at nodes and agents: what is known is told at once, with its age, and looking goes on."""

import asyncio
import logging

from rayster_spawner.profiles import ProfileSet
from rayster_spawner.site_facts import SiteState
from rayster_spawner.sites import Sites

from ..http_backend import until
from .conftest import DOWN, LOG, TOKEN, UP, Clock, FakeAgent, look, make_sites, padova, profile_set


async def test_states_are_known_by_profile(agent, with_agent):
    # given
    sites = make_sites(with_agent(agent.url))
    # when
    await look(sites)
    # then
    statuses = sites.statuses(sites.get_profiles().profiles)
    assert {name: status.state for name, status in statuses.items()} == {
        "cloud": SiteState.AVAILABLE,
        "padova": SiteState.AVAILABLE,
    }


async def test_nothing_is_known_before_the_first_look(agent, with_agent):
    assert padova(make_sites(with_agent(agent.url))).state is SiteState.UNKNOWN


async def test_what_was_known_is_told_with_its_age_until_it_is_too_old(agent, with_agent):
    # given
    clock = Clock()
    sites = make_sites(with_agent(agent.url), clock=clock)
    await look(sites)
    await agent.stop()
    # when
    clock.now += 60
    await look(sites)
    # then
    assert padova(sites)[:2] == (SiteState.AVAILABLE, "Available")
    assert padova(sites).age_seconds == 63
    # when
    clock.now += 60
    # then
    assert padova(sites).state is SiteState.UNKNOWN


async def test_an_agent_that_comes_back_is_believed_again(agent, with_agent, caplog):
    # given
    sites = make_sites(with_agent(agent.url))
    await agent.stop()
    await look(sites)
    assert padova(sites).state is SiteState.UNKNOWN
    # when
    await agent.start()
    with caplog.at_level(logging.INFO):
        await look(sites)
    # then
    assert padova(sites).state is SiteState.AVAILABLE
    assert "No more" in caplog.text


async def test_a_lasting_fault_is_logged_once(agent, with_agent, caplog):
    # given
    sites = make_sites(with_agent(agent.url), ConnectionError("no route"))
    await agent.stop()
    # when
    for _ in range(3):
        await look(sites)
    # then
    assert caplog.text.count("does not tell the queue") == 1
    assert caplog.text.count("nodes cannot be listed") == 1


async def test_a_slow_site_does_not_hold_up_another(agent, tmp_path):
    # given
    slow = FakeAgent()
    await slow.start()
    slow.delay_seconds = 30
    (tmp_path / "token").write_text(TOKEN)
    site = {"agent": {"token_file": str(tmp_path / "token")}}
    profiles = profile_set(
        sites={
            "padova": {"agent": {**site["agent"], "url": agent.url}},
        }
    )
    both = profiles.model_copy(
        update={"sites": {"slow": profiles.sites["padova"].model_copy(
            update={"agent": profiles.sites["padova"].agent.model_copy(update={"url": slow.url})}
        ), **profiles.sites}}
    )  # fmt: skip
    sites = make_sites(both, timeout_seconds=20)
    sites.start()
    # then
    try:
        await until(lambda: padova(sites).state is SiteState.AVAILABLE, seconds=10)
    finally:
        await sites.stop()
        await slow.stop()


async def test_a_change_rings_the_bell_of_who_waits(agent, with_agent):
    # given
    sites = make_sites(with_agent(agent.url))
    bell = asyncio.Event()
    # when
    with sites.changed.ringing(bell):
        await look(sites)
    # then
    assert bell.is_set()


async def test_looking_goes_on_by_itself_and_ends(agent, with_agent):
    # given
    sites = make_sites(with_agent(agent.url), refresh_seconds=0.1)
    # when
    sites.start()
    sites.start()
    await until(lambda: agent.asked >= 6)
    await sites.stop()
    # then
    asked = agent.asked
    await asyncio.sleep(0.3)
    assert agent.asked == asked


async def test_broken_profiles_do_not_end_the_looking(agent, with_agent):
    # given
    good, calls = with_agent(agent.url), []

    def get_profiles() -> ProfileSet:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("no profiles")
        return good

    sites = Sites(get_profiles, None, LOG, refresh_seconds=0.05)
    # when
    sites.start()
    # then
    await until(lambda: sites.status(good.get("padova")).state is SiteState.AVAILABLE)
    await sites.stop()


async def test_an_outage_is_dated_by_the_node_or_by_when_it_was_seen():
    # given
    nodes = list(DOWN)
    sites = make_sites(profile_set(), nodes, wall_clock=lambda: 1.9e9)
    # when
    await look(sites)
    # then
    assert padova(sites).since == 1795615320.0  # its own word
    # when
    nodes[:] = []
    sites = make_sites(profile_set(), nodes, wall_clock=lambda: 1.9e9)
    await look(sites)
    # then
    assert padova(sites).since == 1.9e9


async def test_the_end_of_an_outage_is_the_end_of_its_date():
    # given
    nodes = list(DOWN)
    sites = make_sites(profile_set(), nodes)
    await look(sites)
    # when
    nodes[:] = UP
    await look(sites)
    # then
    assert padova(sites).since is None and padova(sites).state is SiteState.AVAILABLE


async def test_nodes_of_a_site_are_known_by_name():
    # given
    sites = make_sites(profile_set(), UP)
    # when
    await look(sites)
    # then
    assert sites.node_names_of("padova") == {"padova"}


async def test_site_that_is_back_is_seen_soon_also_when_looks_are_rare():
    async def becomes(is_unreachable: bool) -> None:
        while (padova(sites).state is SiteState.UNREACHABLE) is not is_unreachable:
            await asyncio.sleep(0.05)

    # given
    nodes = [*DOWN, UP[1]]
    sites = make_sites(profile_set(), nodes, refresh_seconds=600)
    sites.start()
    await asyncio.wait_for(becomes(True), 10)
    # when
    nodes[:] = UP
    # then
    await asyncio.wait_for(becomes(False), 30)
    await sites.stop()
