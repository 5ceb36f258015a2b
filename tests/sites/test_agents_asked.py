"""Agents that are down, slow, wrong or somebody else's, and what makes hub and agent believe each other."""

import json
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from rayster_spawner.site_facts import SiteState
from rayster_testbed.certificates import server_certificate

from .conftest import TOKEN, jobs_answer, look, make_sites, padova, profile_set, site_answer

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
    # Only one that is slow is given no time: here even a good answer may take a moment.
    sites = make_sites(with_agent(agent.url), timeout_seconds=0.3 if agent.delay_seconds else 30)
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


async def test_another_sites_agent_is_noticed(agent, with_agent, caplog):
    # given
    agent.answers["/v1/site"] = site_answer(site="bari")
    # when
    await look(make_sites(with_agent(agent.url)))
    # then
    assert "The agent of site padova says that it is the one of bari" in caplog.text


@pytest.fixture
async def agent_over_tls(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """An agent behind a certificate of its own authority; its URL and the authority's file."""
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
