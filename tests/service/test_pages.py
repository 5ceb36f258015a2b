"""What pages and users are told of sites and servers, and who is told nothing."""

import asyncio
import json
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from rayster_spawner.service.handlers import _old
from rayster_spawner.service.openapi import openapi

from .conftest import BASE, profiles_data, ticket

USER = {"kind": "user", "name": "ada", "groups": [], "scopes": ["access:services!service=rayster"]}


async def test_every_path_is_described(service):
    # when
    status, document = await service.get("openapi.json")
    # then
    assert status == 200 and document["servers"] == [{"url": BASE.rstrip("/")}]
    for path in [path for path, item in document["paths"].items() if "get" in item]:
        url = f"{service.url}{BASE.rstrip('/')}{path}"
        async with service.session.get(url, allow_redirects=False) as answer:
            assert answer.status in (200, 302, 401), path


@pytest.mark.parametrize(
    "path,schema,authorization",
    [
        ("api/sites", "Sites", ticket()),
        ("api/server", "Server", ticket()),
        ("api/server", "Server", ticket("nobody")),
        ("api/live-pods", "LivePods", "Bearer the-token-of-padova"),
        ("api/live-pods", "Error", "Bearer wrong"),
        ("nowhere", "Error", None),
        ("readyz", "Readiness", None),
        ("healthz", "Health", None),
    ],
)
async def test_answers_are_as_described(cluster, service, path, schema, authorization):
    # given
    cluster.add_pod("jupyter-ada")
    # when
    _, answer = await service.get(path, authorization)
    # then
    schemas = openapi(BASE, "0")["components"]["schemas"]
    jsonschema.Draft202012Validator(schemas[schema]).validate(answer)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", f"{BASE}healthz", f"{BASE}readyz"])
async def test_probes_need_no_token_and_no_prefix(service, path):
    async with service.session.get(service.url + path) as answer:
        assert answer.status == 200


async def test_answers_are_kept_and_framed_by_nobody(service):
    async with service.session.get(f"{service.url}{BASE}api/sites") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


# Who may ask

REFUSED = [
    ("nobody", "api/sites", None, 401),
    ("wrong-ticket", "api/sites", "Ticket abc", 401),
    ("ticket-as-token", "api/sites", ticket().replace("Ticket", "token"), 401),
    ("unknown-token", "api/sites", "token unknown", 401),
    ("password", "api/sites", "Basic YTpi", 401),
    ("site-token", "api/sites", "Bearer the-token-of-padova", 401),
    ("nobodys-server", "api/server", None, 401),
    ("user-token-for-a-server", "api/server", "token of-ada", 401),
    ("page-without-a-server", "api/server", ticket(server=None), 403),
    ("no-site", "api/live-pods", None, 401),
    ("wrong-site-token", "api/live-pods", "Bearer the-token-of-nobody", 401),
    ("empty-site-token", "api/live-pods", "Bearer ", 401),
    ("page-for-an-agent", "api/live-pods", ticket(), 401),
    ("user-for-an-agent", "api/live-pods", "token of-ada", 401),
]


@pytest.mark.parametrize(
    "path,authorization,status", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_whoever_has_no_right_is_told_nothing(service, hub, path, authorization, status):
    # given
    hub.users["of-ada"] = USER
    # when
    answered, answer = await service.get(path, authorization)
    # then
    assert answered == status
    assert set(answer) == {"error"}


@pytest.mark.parametrize(
    "headers,query",
    [({"Cookie": f"ticket={ticket()[7:]}"}, ""), ({}, f"?ticket={ticket()[7:]}"), ({}, "?token=of-ada")],
    ids=["cookie", "ticket-in-url", "token-in-url"],
)
async def test_a_secret_anywhere_but_in_the_header_counts_for_nothing(service, hub, headers, query):
    hub.users["of-ada"] = USER
    async with service.session.get(f"{service.url}{BASE}api/sites{query}", headers=headers) as answer:
        assert answer.status == 401


async def test_a_page_sees_the_profiles_of_its_ticket(service):
    # when
    _, answer = await service.get("api/sites", ticket(profiles=("padova", "gone")))
    # then
    assert list(answer["profiles"]) == ["padova"]


@pytest.mark.parametrize(
    "changes,profiles",
    [({}, ["cloud", "padova"]), ({"groups": ["physics"]}, ["cloud", "padova", "bari"])],
    ids=["everybody", "physicist"],
)
async def test_a_user_sees_the_profiles_that_are_open_to_them(service, hub, changes, profiles):
    # given
    hub.users["of-ada"] = {**USER, **changes}
    # when
    status, answer = await service.get("api/sites", "token of-ada")
    # then
    assert status == 200 and list(answer["profiles"]) == profiles


async def test_a_token_without_the_scope_is_refused(service, hub):
    hub.users["of-ada"] = {**USER, "scopes": ["access:services!service=another"]}
    assert (await service.get("api/sites", "token of-ada"))[0] == 403


async def test_without_the_hub_tickets_are_good_and_tokens_are_not(service, hub):
    # when
    await hub.stop()
    # then
    assert (await service.get("api/sites", ticket()))[0] == 200
    assert (await service.get("api/sites", "token of-ada"))[0] == 503


# Sites


async def test_the_states_of_sites_follow_nodes_and_agents(cluster, service, agent):
    # given
    cluster.add_node("padova")
    async with service.stream("api/sites/events", ticket()) as stream:
        # then
        await stream.until(lambda event: event["profiles"]["padova"]["state"] == "available")
        # when
        agent.free_cores = 0
        event = await stream.until(lambda event: event["profiles"]["padova"]["state"] == "busy")
        assert event["profiles"]["padova"]["text"] == "Busy, typical wait about 25 min"
        # when
        cluster.add_node("padova", "False")
        event = await stream.until(lambda event: event["profiles"]["padova"]["state"] == "unreachable")
        # not since 14:02, as the node's wrong clock has it: it was seen up a moment ago
        assert abs(event["profiles"]["padova"]["since"] - time.time()) < 60


async def test_a_stream_of_sites_speaks_at_once_and_then_shows_that_it_is_there(service):
    async with service.stream("api/sites/events", ticket()) as stream:
        assert stream.answer.content_type == "text/event-stream"
        assert (await stream.next())[0] == "sites"
        assert (await stream.until_comment()) == ": nothing new"


@pytest.mark.parametrize(
    "age_seconds,later_seconds,is_news",
    [(3, 13, False), (50, 59, False), (59, 60, True), (61, 89, False), (89, 91, True), (None, None, False)],
)
def test_an_age_is_news_when_it_is_one_to_show(age_seconds, later_seconds, is_news):
    assert (_old(age_seconds) != _old(later_seconds)) is is_news


async def test_profiles_that_change_are_taken_without_a_restart(service, settings, agent, tmp_path):
    # given
    data = profiles_data(agent.url, tmp_path)
    data["profiles"][1]["name"] = "padua"
    # when
    Path(settings.profiles_file).write_text(yaml.safe_dump(data))
    # then
    _, answer = await service.get("api/sites", ticket(profiles=("padova", "padua")))
    assert list(answer["profiles"]) == ["padua"]


# Servers


def said(state: str, **more):
    """Return whether an event says this."""
    return lambda event: event["state"] == state and all(event[key] == value for key, value in more.items())


async def test_a_servers_life_is_told_as_it_happens(cluster, service, agent):
    async with service.stream("api/server/events", ticket()) as stream:
        # the page is open before the pod is there
        await stream.until(said("submitted", site=""))
        uid = cluster.add_pod("jupyter-ada")
        await stream.until(said("submitted", site="padova"))
        cluster.annotate("jupyter-ada", JobID="12")
        await stream.until(said("queued", job_id="12", position=None))
        # its site says more of it
        job = {"id": "12", "pod_uid": uid, "partition": "gpu", "state": "pending", "raw_reason": "Resources"}
        agent.jobs = [
            {**job, "reason": "Waiting for free nodes.", "position": 3, "expected_start_in_seconds": 840}
        ]
        event = await stream.until(said("queued", position=3))
        assert event["raw_reason"] == "Resources" and event["reason"] == "Waiting for free nodes."
        assert event["partition"] == "gpu" and 0 < event["expected_start_in_seconds"] <= 840
        assert event["heard_seconds_ago"] is not None and event["elapsed_seconds"] >= 0
        # it starts
        agent.jobs = [{**job, "state": "running"}]
        await stream.until(said("running"))
        # it goes
        cluster.delete("jupyter-ada")
        await stream.until(said("gone"))


async def test_the_site_is_believed_when_it_says_that_the_job_was_cancelled(cluster, service, agent):
    # given
    uid = cluster.add_pod("jupyter-ada", JobID="12")
    agent.jobs = [{"id": "12", "pod_uid": uid, "state": "cancelled"}]
    # then
    async with service.stream("api/server/events", ticket()) as stream:
        await stream.until(said("failed"))


async def test_a_page_is_told_of_its_own_server_only(cluster, service):
    # given
    cluster.add_pod("jupyter-ada", JobID="1")
    cluster.add_pod("jupyter-ada--gpu", server="gpu", JobID="2")
    cluster.add_pod("jupyter-bruno", user="bruno", JobID="3")
    await until_pods(service, 3)
    # then
    for header, job in (
        (ticket("ada", ""), "1"),
        (ticket("ada", "gpu"), "2"),
        (ticket("bruno", ""), "3"),
        (ticket("bruno", "gpu"), None),
    ):
        assert (await service.get("api/server", header))[1]["job_id"] == job


async def until_pods(service, count: int) -> None:
    """Wait until the service knows so many pods."""
    for _ in range(600):
        if (await service.get("readyz"))[1]["pods"] == count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the service never knew {count} pods")


async def test_a_pod_that_no_spawner_made_is_nobodys_server(cluster, service):
    # given
    cluster.add_other_pod("raycluster", "padova")
    await until_pods(service, 1)
    # then
    assert (await service.get("api/server", ticket()))[1]["state"] == "gone"


async def test_the_time_since_the_request_is_the_spawners(cluster, service):
    # given
    cluster.add_pod("jupyter-ada", **{"rayster.dev/requested-at": "1000000000"})
    await until_pods(service, 1)
    # then
    assert (await service.get("api/server", ticket()))[1]["elapsed_seconds"] > 10**8


async def test_an_unchanged_server_is_told_again_with_its_age(cluster, service):
    # given
    cluster.add_pod("jupyter-ada")
    async with service.stream("api/server/events", ticket()) as stream:
        first = await stream.until(said("submitted", site="padova"))
        # then
        await stream.until(lambda event: event["elapsed_seconds"] > first["elapsed_seconds"])


async def test_no_secret_of_a_server_is_told(cluster, service):
    # given
    cluster.add_pod("jupyter-ada")
    await until_pods(service, 1)
    # then
    assert "secret-of-the-server" not in json.dumps(await service.get("api/server", ticket()))


# Many pages


async def test_a_users_open_pages_are_counted(cluster, start_service):
    async with start_service(cluster, max_streams_of_user=1) as service:
        async with service.stream("api/sites/events", ticket()) as stream:
            await stream.next()
            # then
            async with service.stream("api/server/events", ticket()) as second:
                assert second.answer.status == 429
            async with service.stream("api/sites/events", ticket("bruno")) as other:
                assert other.answer.status == 200
        # a page that is closed makes room
        for _ in range(600):
            async with service.stream("api/sites/events", ticket()) as stream:
                if stream.answer.status == 200:
                    return
            await asyncio.sleep(0.05)
        raise AssertionError("a closed page was counted for ever")


async def test_all_open_pages_are_counted(cluster, start_service):
    async with (
        start_service(cluster, max_streams=1) as service,
        service.stream("api/sites/events", ticket()) as stream,
    ):
        await stream.next()
        async with service.stream("api/sites/events", ticket("bruno")) as second:
            assert second.answer.status == 503
