"""Addresses, marks, progress reports and counts: the pure parts, by tables."""

import asyncio
import json

import pytest

from rayster_spawner.life.belief import Belief
from rayster_spawner.life.endings import EndCode
from rayster_spawner.life.pod_address import (
    FIRST_PORT,
    GIVEN_SECONDS,
    LAST_PORT,
    Ports,
    choose_port,
    notebook_port,
    pod_host,
)
from rayster_spawner.life.pod_status import PodView, State
from rayster_spawner.life.progress import duration, make_report, new_events, ordinal, repeat_seconds
from rayster_spawner.life.spawn_errors import end_of_spawn, is_counted, options_refused, spawn_failed
from rayster_spawner.life.spawn_life import SpawnLife
from rayster_spawner.life.spawn_mark import SpawnMark, read_mark
from rayster_spawner.options import FieldError, OptionsError
from rayster_spawner.spawner import RaysterSpawner


def pod_with(*containers, ip=None, **annotations):
    """Return a pod with these containers."""
    return {
        "metadata": {"uid": "u", "annotations": annotations},
        "spec": {"containers": list(containers)},
        "status": {"podIP": ip} if ip else {},
    }


NOTEBOOK = {"name": "notebook", "ports": [{"name": "notebook-port", "containerPort": 23456}]}


def test_container_without_ports_before_the_notebook_is_no_trouble_k10():
    assert notebook_port(pod_with({"name": "sidecar"}, {"name": "other", "ports": None}, NOTEBOOK)) == 23456


@pytest.mark.parametrize("pod", [{}, {"spec": {}}, pod_with(), pod_with({"name": "notebook"})])
def test_pod_without_a_port_has_none(pod):
    assert notebook_port(pod) is None


HOSTS = {
    "ipv4": (pod_with(ip="10.0.0.1"), "10.0.0.1"),
    "ipv6": (pod_with(ip="fd00::1"), "[fd00::1]"),
    "host name (K11)": (pod_with(ip="compute-1.site.example"), "compute-1.site.example"),
    "annotation only": (pod_with(**{"interlink.eu/pod-ip": "127.0.50.7"}), "127.0.50.7"),
    "none": (pod_with(), None),
    "no status": ({"metadata": {}}, None),
}


@pytest.mark.parametrize(("pod", "host"), HOSTS.values(), ids=HOSTS)
def test_host(pod, host):
    assert pod_host(pod) == host


def test_port_is_free_among_live_pods(monkeypatch):
    monkeypatch.setattr("rayster_spawner.life.pod_address.FIRST_PORT", 23455)
    monkeypatch.setattr("rayster_spawner.life.pod_address.LAST_PORT", 23457)
    other = {"name": "notebook", "ports": [{"name": "notebook-port", "containerPort": 23455}]}
    assert {choose_port([pod_with(NOTEBOOK), pod_with(other)]) for _ in range(50)} == {23457}


def test_servers_that_start_at_once_get_different_ports_though_no_pod_is_seen(monkeypatch):
    monkeypatch.setattr("rayster_spawner.life.pod_address.FIRST_PORT", 23455)
    monkeypatch.setattr("rayster_spawner.life.pod_address.LAST_PORT", 23457)
    now = [0.0]
    ports = Ports(lambda: now[0])
    assert ports.choose([pod_with(NOTEBOOK)]) in (23455, 23457)
    assert {ports.choose([pod_with(NOTEBOOK)]), *ports._given} == {23455, 23457}
    # All are taken: better one that may be free than none.
    assert ports.choose([pod_with(NOTEBOOK)]) in range(23455, 23458)
    # Those of servers that have never come up are free again.
    now[0] = GIVEN_SECONDS
    assert {ports.choose([]) for _ in range(3)} == {23455, 23456, 23457}


def test_port_is_chosen_even_when_none_is_free(monkeypatch):
    monkeypatch.setattr("rayster_spawner.life.pod_address.FIRST_PORT", 23456)
    monkeypatch.setattr("rayster_spawner.life.pod_address.LAST_PORT", 23456)
    assert choose_port([pod_with(NOTEBOOK)]) == 23456
    assert 10000 <= FIRST_PORT < LAST_PORT < 32768, "below the ports of outgoing connections"


MARK = SpawnMark(100.0, 200.0, {"profile": "padova"}, token_id=7, port=12345, created=True)


def test_mark_comes_back_from_the_database():
    assert read_mark(MARK.as_state()) == MARK
    assert read_mark({**MARK.as_state(), "of a later version": 1}) == MARK


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        "x",
        {},
        {"options": {}},
        {**MARK.as_state(), "options": 1},
        {**MARK.as_state(), "deadline": 1},
        {**MARK.as_state(), "deadline": "x"},
    ],
)
def test_what_is_no_mark_is_none(state):
    assert read_mark(state) is None


def test_mark_holds_no_token():
    assert not any("token" in key and key != "token_id" for key in MARK.as_state())


SENTENCES = {
    "submitted": (PodView(State.SUBMITTED), 3, "padova", "Submitted at padova, 3 s so far"),
    "queued": (PodView(State.QUEUED, "", "42"), 724, "padova", "Queued at padova as job 42, 12 min so far"),
    "starting": (PodView(State.STARTING, "ErrImagePull"), 61, "", "Starting, 1 min so far: ErrImagePull"),
    "running": (
        PodView(State.RUNNING, "", "42"),
        11100,
        "padova",
        "Running at padova as job 42, waiting for JupyterLab to answer, 3 h 05 min so far",
    ),
    "believed to be booting": (
        PodView(State.ENDED),
        5,
        "padova",
        "Checking on the server at padova, 5 s so far",
    ),
}


QUEUED = Belief(PodView(State.QUEUED, "Waiting for free nodes.", "12"), told=True, raw_reason="Resources")
PLACES = {
    "place and start": (
        {"position": 3, "expected_start_in_seconds": 840},
        ", 3rd in line, expected to start in about 14 min",
    ),
    "place only": ({"position": 1}, ", 1st in line"),
    "start only": ({"expected_start_in_seconds": 40}, ", expected to start in about 40 s"),
    "any moment": ({"expected_start_in_seconds": 0}, ", expected to start any moment"),
    "neither": ({}, ""),
}


@pytest.mark.parametrize(("facts", "place"), PLACES.values(), ids=PLACES)
def test_place_in_the_queue(facts, place):
    sentence = make_report(QUEUED._replace(**facts), 125, "padova").sentence()
    assert sentence == f"Queued at padova as job 12{place}, 2 min so far: Waiting for free nodes."


def test_event_has_the_facts_of_the_site():
    facts = {
        "partition": "long",
        "position": 3,
        "expected_start_in_seconds": 840,
        "heard_seconds_ago": 4,
        "note": "n",
    }
    event = make_report(QUEUED._replace(**facts), 125, "padova").as_event()
    assert facts.items() <= event.items()
    assert (event["state"], event["raw_reason"], event["site"]) == ("queued", "Resources", "padova")
    assert json.loads(json.dumps(event)) == event


def test_every_step_in_the_queue_is_news_and_the_passing_time_is_not():
    def key(**facts):
        return make_report(QUEUED._replace(**facts), 1, "padova").key

    assert key(position=3) != key(position=2)
    assert key(expected_start_in_seconds=9, heard_seconds_ago=1) == key(
        expected_start_in_seconds=8, heard_seconds_ago=2
    )


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (113, "113th"),
        (21, "21st"),
        (1002, "1002nd"),
    ],
)
def test_ordinal(number, text):
    assert ordinal(number) == text


@pytest.mark.parametrize(("view", "elapsed", "site", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_report(view, elapsed, site, sentence):
    event = make_report(Belief(view), elapsed, site).as_event()
    assert event["message"] == sentence
    assert event["elapsed_seconds"] == elapsed
    assert 0 < event["progress"] < 100 and "html_message" not in event


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h 00 min"), (90000, "25 h 00 min")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_lines_of_an_hours_queue_are_few():
    elapsed = lines = 0
    while elapsed < 6 * 3600:
        elapsed += repeat_seconds(elapsed)
        lines += 1
    assert lines < 450


def event_of(uid, name, at, count=1, message="m"):
    """Return an event of the cluster."""
    return {
        "metadata": {"uid": name},
        "involvedObject": {"uid": uid, "name": "jupyter-ada"},
        "lastTimestamp": at,
        "count": count,
        "message": message,
        "type": "Normal",
    }


def test_new_events_are_still_shown_after_old_ones_expired_k13():
    seen = set()
    old = [event_of("u", f"e{n}", f"2026-11-21T00:00:0{n}Z") for n in range(5)]
    assert len(new_events(old, pod_with(), seen)) == 5
    fresh = event_of("u", "e9", "2026-11-21T01:30:00Z", message="back again")
    assert [event["message"] for event in new_events([fresh], pod_with(), seen)] == [
        "2026-11-21T01:30:00Z [Normal] back again"
    ]
    assert new_events([fresh], pod_with(), seen) == []


def test_repeated_event_and_order_and_strangers():
    seen = set()
    events = [event_of("u", "b", "2"), event_of("u", "a", "1"), event_of("other", "c", "0")]
    assert [event["message"][0] for event in new_events(events, pod_with(), seen)] == ["1", "2"]
    assert len(new_events([event_of("u", "a", "3", count=2)], pod_with(), seen)) == 1


@pytest.mark.parametrize(
    "at", [{"lastTimestamp": None, "eventTime": "5"}, {"lastTimestamp": None, "eventTime": None}]
)
def test_event_without_times_is_no_trouble(at):
    assert len(new_events([{**event_of("u", "a", "1"), **at}], pod_with(), set())) == 1


REFUSED = options_refused(OptionsError([FieldError("cpu", "<b>", "must be 1 to 8")], status=400))
COUNTED = {
    "refused on 6": (REFUSED, 6, False),
    "refused on 5": (REFUSED, 5, True),
    "site's failure on 6": (spawn_failed("x", reason="r", counted=False), 6, False),
    "cloud's failure on 6": (spawn_failed("x", reason="r", counted=True), 6, True),
    "anything else": (RuntimeError(), 6, True),
}


@pytest.mark.parametrize(("error", "hub", "counted"), COUNTED.values(), ids=COUNTED)
def test_what_the_hub_counts(error, hub, counted, request):
    import jupyterhub

    if "site's failure" in request.node.name and jupyterhub.version_info[0] < 6:
        counted = True  # there is no SpawnException yet
    assert is_counted(error, hub) is counted


LOST = spawn_failed("Lost.", reason="r", counted=False, end=EndCode.NODE_FAILED)
ENDS = {
    "refused": (REFUSED, None),
    "failed": (spawn_failed("Why.", reason="r", counted=True), (EndCode.START_FAILED, "Why.")),
    "known better": (LOST, (EndCode.NODE_FAILED, "Lost.")),
    "the hub's own timeout": (TimeoutError("x"), (EndCode.START_FAILED, "The server was not up in time.")),
    "asyncio's timeout": (
        asyncio.TimeoutError(),
        (EndCode.START_FAILED, "The server was not up in time."),
    ),
    "anything else": (RuntimeError("secret"), (EndCode.START_FAILED, "The server could not be started.")),
}


@pytest.mark.parametrize(("error", "end"), ENDS.values(), ids=ENDS)
def test_end_of_a_spawn_that_failed(error, end):
    assert end_of_spawn(error) == end


def test_message_for_pages_is_escaped_and_for_the_api_is_not():
    assert REFUSED.jupyterhub_message == "cpu: <b>: must be 1 to 8"
    assert REFUSED.jupyterhub_html_message == "cpu: &lt;b&gt;: must be 1 to 8"
    assert REFUSED.status_code == 400


def test_the_spawner_leaves_nothing_abstract():
    names = [name for name in dir(RaysterSpawner) if is_abstract(getattr(RaysterSpawner, name, None))]
    assert names == []
    assert is_abstract(SpawnLife.profile_traits)


def is_abstract(thing):
    """Return whether a subclass has to write this itself."""
    return getattr(thing, "__isabstractmethod__", False)
