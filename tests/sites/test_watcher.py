"""The background look at nodes and agents: whatever these do, what is known is told at once, with its age."""

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rayster_spawner.profiles import ProfileSet
from rayster_spawner.site_facts import JobState, SiteState
from rayster_spawner.sites import Sites

from .conftest import TOKEN, FakeAgent, jobs_answer, node_manifest, profile_set, site_answer

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

    return Sites(lambda: profiles, list_nodes, LOG, **{"timeout_seconds": 2, **settings})


async def look(sites: Sites) -> None:
    """Let them look once."""
    await sites.look_at_nodes()
    async with aiohttp.ClientSession() as session:
        await sites.ask_agents(session)


def padova(sites: Sites) -> Any:
    return sites.status(sites.get_profiles().get("padova"))


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


FAULTS = [
    ("down", lambda agent: setattr(agent, "answers", {}), "answers HTTP 404"),
    ("error", lambda agent: setattr(agent, "status", 500), "answers HTTP 500"),
    ("elsewhere", lambda agent: setattr(agent, "status", 302), "answers HTTP 302"),
    ("wrong-token", lambda agent: setattr(agent, "token", "another"), "refuses the token"),
    ("no-json", lambda agent: agent.answers.update({"/v1/site": "<html>"}), "cannot be understood"),
    ("json-of-another", lambda agent: agent.answers.update({"/v1/site": "[1]"}), "cannot be understood"),
    ("negative", lambda agent: agent.answers.update({"/v1/site": site_answer(age_seconds=-5)}), "age_seconds"),
    ("not-a-number", lambda agent: agent.answers.update({"/v1/site": '{"age_seconds": NaN}'}), "age_seconds"),
    ("nested", lambda agent: agent.answers.update({"/v1/site": "[" * 100_000}), "cannot be understood"),
    ("slow", lambda agent: setattr(agent, "delay_seconds", 30), "has not answered in 0.3 s"),
]  # fmt: skip


@pytest.mark.parametrize("break_it,said", [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
async def test_a_faulty_agent_leaves_its_site_unknown_and_says_why_in_the_log(
    agent, with_agent, caplog, break_it, said
):
    # given
    break_it(agent)
    sites = make_sites(with_agent(agent.url), timeout_seconds=0.3)
    # when
    with caplog.at_level(logging.INFO):
        await look(sites)
    # then
    assert padova(sites).state is SiteState.UNKNOWN
    assert said in caplog.text
    assert TOKEN not in caplog.text


async def test_an_agent_that_answers_too_much_is_not_listened_to(agent, with_agent, monkeypatch, caplog):
    # given
    monkeypatch.setattr("rayster_spawner.agent_client.MAX_ANSWER_BYTES", 1000)
    agent.answers["/v1/site"] = json.dumps(site_answer(scheduler="x" * 2000))
    sites = make_sites(with_agent(agent.url))
    # when
    await look(sites)
    # then
    assert padova(sites).state is SiteState.UNKNOWN
    assert "more than 1000 bytes" in caplog.text


@pytest.mark.parametrize(
    "content,said",
    [(None, "cannot be read: No such file"), (b"", "there is no token"), (b"a\nb", "is no token"),
     (b"\xff\xfe", "is no token"), (b"x" * 9000, "is no token")],
    ids=["missing", "empty", "two-lines", "binary", "huge"],
)  # fmt: skip
async def test_a_token_that_cannot_be_used_stops_nothing(agent, with_agent, tmp_path, caplog, content, said):
    # given
    sites = make_sites(with_agent(agent.url))
    token = tmp_path / "token"
    token.unlink()
    if content is not None:
        token.write_bytes(content)
    # when
    await look(sites)
    # then
    assert padova(sites).state is SiteState.UNKNOWN
    assert said in caplog.text and agent.asked == 0


async def test_a_new_token_is_taken_without_a_restart(agent, with_agent, tmp_path):
    # given
    sites = make_sites(with_agent(agent.url))
    await look(sites)
    # when
    agent.token = "the-next-token"
    (tmp_path / "token").write_text("the-next-token")
    await look(sites)
    # then
    assert padova(sites).age_seconds == 3


async def test_a_token_may_come_from_the_environment(agent, monkeypatch):
    # given
    monkeypatch.setenv("PADOVA_TOKEN", TOKEN)
    sites = make_sites(
        profile_set(sites={"padova": {"agent": {"url": agent.url, "token_env": "PADOVA_TOKEN"}}})
    )
    # when
    await look(sites)
    # then
    assert padova(sites).state is SiteState.AVAILABLE


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


async def test_another_sites_agent_is_noticed(agent, with_agent, caplog):
    # given
    agent.answers["/v1/site"] = site_answer(site="bari")
    # when
    await look(make_sites(with_agent(agent.url)))
    # then
    assert "The agent of site padova says that it is the one of bari" in caplog.text


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


async def until(what: Any, seconds: float = 15) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


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


# Nodes


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


# Jobs

JOB = {
    "id": "12",
    "pod_uid": "u-1",
    "partition": "gpu",
    "state": "pending",
    "raw_reason": "Resources",
    "position": 3,
}


async def heard(sites: Sites) -> list[Any]:
    await look(sites)
    return sites.jobs_of("padova", "u-1")


async def test_a_pods_jobs_are_known_by_its_uid(agent, with_agent):
    # given
    agent.answers["/v1/jobs"] = jobs_answer(JOB, {**JOB, "id": "13"}, {**JOB, "id": "14", "pod_uid": "u-2"})
    sites = make_sites(with_agent(agent.url))
    # when
    jobs = await heard(sites)
    # then
    assert [(word.job.id, word.job.state, word.is_fresh) for word in jobs] == [
        ("12", JobState.PENDING, True),
        ("13", JobState.PENDING, True),
    ]
    assert sites.jobs_of("padova", "u-3") == sites.jobs_of("elsewhere", "u-1") == []


@pytest.mark.parametrize(
    "changes,fresh",
    [({}, True), ({"age_seconds": 119.0}, True), ({"age_seconds": 121.0}, False),
     ({"error": {"command": "squeue", "message": "down"}}, False)],
    ids=["now", "a-little-old", "old", "scheduler-down"],
)  # fmt: skip
async def test_only_a_fresh_word_decides(agent, with_agent, changes, fresh):
    # given
    agent.answers["/v1/jobs"] = jobs_answer(JOB, **changes)
    # then
    assert [word.is_fresh for word in await heard(make_sites(with_agent(agent.url), clock=Clock()))] == [
        fresh
    ]


async def test_jobs_that_were_never_collected_are_not_told(agent, with_agent):
    agent.answers["/v1/jobs"] = jobs_answer(
        JOB, age_seconds=None, error={"command": "squeue", "message": "down"}
    )
    assert await heard(make_sites(with_agent(agent.url))) == []


async def test_what_counts_down_is_told_as_of_now(agent, with_agent):
    # given
    clock = Clock()
    agent.answers["/v1/jobs"] = jobs_answer(
        {**JOB, "expected_start_in_seconds": 600, "time_left_seconds": 100}
    )
    sites = make_sites(with_agent(agent.url), clock=clock)
    await look(sites)
    # when
    clock.now += 40
    # then
    (word,) = sites.jobs_of("padova", "u-1")
    assert (word.job.expected_start_in_seconds, word.job.time_left_seconds, word.age_seconds) == (560, 60, 43)


async def test_one_bad_job_makes_the_whole_answer_none(agent, with_agent, caplog):
    # given
    agent.answers["/v1/jobs"] = jobs_answer(JOB, {**JOB, "id": "12; rm -rf /"})
    # then
    assert await heard(make_sites(with_agent(agent.url))) == []
    assert "jobs.1.id" in caplog.text


async def test_a_site_that_leaves_the_profiles_is_forgotten(agent, with_agent):
    # given
    agent.answers["/v1/jobs"] = jobs_answer(JOB)
    profiles = [with_agent(agent.url)]
    sites = Sites(lambda: profiles[0], None, LOG)
    assert await heard(sites)
    # when
    profiles[0] = profile_set()
    # then
    assert await heard(sites) == []


async def test_ten_thousand_jobs_hold_nobody_up(agent, with_agent):
    # given
    jobs = [{**JOB, "id": str(n), "pod_uid": f"u-{n}"} for n in range(10_000)]
    agent.answers["/v1/jobs"] = json.dumps(jobs_answer(*jobs))
    sites = make_sites(with_agent(agent.url), timeout_seconds=30)
    held_up_seconds: list[float] = []

    async def measure() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            held_up_seconds.append(time.monotonic() - began)

    task = asyncio.create_task(measure())
    # when
    await look(sites)
    task.cancel()
    # then
    assert len(sites.jobs_of("padova", "u-9999")) == 1
    assert max(held_up_seconds) < 1.0


# The hub's own


def test_without_a_loop_the_hub_has_no_sites():
    from types import SimpleNamespace

    from rayster_spawner.sites import hub_sites

    assert hub_sites(SimpleNamespace(api=None, log=LOG)) is None


async def test_the_hub_has_one_set_of_sites(tmp_path: Path):
    # given
    from types import SimpleNamespace

    from rayster_spawner.sites import hub_sites

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
    from types import SimpleNamespace

    from rayster_spawner.sites import hub_sites

    assert hub_sites(SimpleNamespace(log=LOG)) is None


# Certificates


@pytest.fixture
async def agent_over_tls(tmp_path: Path):
    """An agent behind a certificate of its own authority; its URL and the authority's file."""
    import ssl

    from aiohttp import web

    from rayster_testbed.certificates import server_certificate

    made = server_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    app = web.Application()

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(site_answer() if request.path == "/v1/site" else jobs_answer())

    app.router.add_get("/v1/{what}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}", made.authority
    await runner.cleanup()


@pytest.mark.parametrize(
    "trusted,state",
    [(True, SiteState.AVAILABLE), (False, SiteState.UNKNOWN)],
    ids=["its-authority", "the-systems"],
)
async def test_an_agents_certificate_must_come_from_whom_the_profiles_name(
    agent_over_tls, monkeypatch, trusted, state
):
    # given
    url, authority = agent_over_tls
    monkeypatch.setenv("PADOVA_TOKEN", TOKEN)
    agent = {"url": url, "token_env": "PADOVA_TOKEN", **({"ca_file": str(authority)} if trusted else {})}
    sites = make_sites(profile_set(sites={"padova": {"agent": agent}}))
    # when
    await look(sites)
    # then
    assert padova(sites).state is state


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "garbage"])
async def test_certificates_that_cannot_be_read_stop_nothing(agent, monkeypatch, tmp_path, content, caplog):
    # given
    monkeypatch.setenv("PADOVA_TOKEN", TOKEN)
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    known = {"url": agent.url, "token_env": "PADOVA_TOKEN", "ca_file": str(file)}
    sites = make_sites(profile_set(sites={"padova": {"agent": known}}))
    # when
    await look(sites)
    # then
    assert padova(sites).state is SiteState.UNKNOWN
    assert "cannot be asked" in caplog.text


# The API server's answers


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
    from types import SimpleNamespace

    from rayster_spawner.sites.hub import list_nodes

    async def list_node(**query: Any) -> NodesAnswer:
        return answer

    api = SimpleNamespace(list_node=list_node)
    sites = Sites(lambda: profile_set(), lambda: list_nodes(api), LOG)
    # when
    await look(sites)
    # then
    assert sites.status(profile_set().get("cloud")).state is cloud


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
