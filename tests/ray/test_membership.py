"""What Ray's dashboard answers, as Ray 2.60 answered it, and what a head may answer that is no Ray."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayster_spawner.ray.membership import (
    RayHeard,
    index_by_pod,
    read_activity,
    read_nodes,
    read_summary,
    read_version,
    with_memory,
    with_summary,
)

ANSWERS = json.loads((Path(__file__).parent / "ray-2.60-answers.json").read_text())


def test_nodes_are_read_from_a_real_answer():
    head, worker = read_nodes(ANSWERS["nodes"])
    assert (head.pod, head.is_head, head.is_alive, head.python) == ("head-pod", True, True, "3.11.7")
    assert (worker.pod, worker.is_alive, worker.cpus, worker.address) == ("w-pod-1", False, 1.0, "127.0.71.2")
    assert "missing too many heartbeats" in worker.message
    assert round(worker.ended_at - worker.started_at) == 79


def test_use_and_pods_are_read_from_a_real_summary():
    summary = read_summary(ANSWERS["summary"])
    members = with_summary(read_nodes(ANSWERS["nodes_before"]), summary)
    assert [member.cpus_used for member in members] == [0.0, 0.5]
    heard = RayHeard("u", members=members)
    assert (heard.resources().cpus_total, heard.resources().cpus_used) == (1.0, 0.5)


def test_without_our_labels_the_instance_tells_the_pod():
    nodes = json.loads(json.dumps(ANSWERS["nodes_before"]))
    for node in nodes["data"]["result"]["result"]:
        del node["labels"]
    members = with_summary(read_nodes(nodes), read_summary(ANSWERS["summary"]))
    assert set(index_by_pod(members)) == {"head-pod", "w-pod-1"}


def test_what_was_known_of_a_node_is_remembered_when_it_is_dead_or_forgotten():
    before = read_nodes(ANSWERS["nodes_before"])
    # a dead node without its labels
    dead = json.loads(json.dumps(ANSWERS["nodes"]))
    dead["data"]["result"]["result"][1]["labels"] = {}
    members = with_memory(read_nodes(dead), before)
    assert index_by_pod(members)["w-pod-1"].is_alive is False
    # and one that is not in the list at all
    dead["data"]["result"]["result"].pop()
    members = with_memory(read_nodes(dead), before)
    assert index_by_pod(members)["w-pod-1"].is_alive is False
    assert index_by_pod(members)["w-pod-1"].message == "it is not among Ray's nodes any more"


def test_the_living_node_of_a_pod_counts():
    dead, alive = read_nodes(ANSWERS["nodes"])[1], read_nodes(ANSWERS["nodes_before"])[1]
    for order in ((dead, alive), (alive, dead)):
        assert index_by_pod(order)["w-pod-1"].is_alive


ACTIVITIES = [
    ("none-yet", {"is_active": "INACTIVE", "timestamp": 100.0, "last_activity_at": None}, (False, None), 100.0),
    ("gone", {"is_active": "INACTIVE", "timestamp": 100.0, "last_activity_at": 40.0}, (False, 60.0), 100.0),
    ("clock-set-back", {"is_active": "INACTIVE", "timestamp": 30.0, "last_activity_at": 40.0}, (False, 0.0), 30.0),
    ("there", {"is_active": "ACTIVE", "timestamp": 100.0, "last_activity_at": 40.0}, (True, 0), 100.0),
    ("error", {"is_active": "ERROR", "timestamp": 100.0}, None, 100.0),
    ("no-time", {"is_active": "INACTIVE", "last_activity_at": 40.0}, (False, None), None),
]  # fmt: skip


@pytest.mark.parametrize("driver,activity,now", [row[1:] for row in ACTIVITIES], ids=[row[0] for row in ACTIVITIES])  # fmt: skip
def test_activity(driver, activity, now):
    told, head_now = read_activity({"driver": driver})
    assert (None if told is None else (told.is_active, told.idle_seconds)) == activity
    assert head_now == now


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(ANYTHING)
def test_whatever_a_head_answers_is_read_or_refused(answer):
    for read in (read_nodes, read_summary, read_activity, read_version):
        for given_ in (
            answer,
            {"data": {"result": {"result": [answer]}, "summary": [answer]}, "driver": answer},
        ):
            try:
                read(given_)
            except ValueError:
                continue


def test_texts_of_a_head_are_short_and_on_one_line():
    nodes = {"data": {"result": {"result": [{"node_id": "n" * 9999, "state": "DEAD", "state_message": "a\x00\n" * 9999}]}}}  # fmt: skip
    (member,) = read_nodes(nodes)
    assert len(member.node_id) <= 253 and len(member.message) <= 300 and member.message.isprintable()
