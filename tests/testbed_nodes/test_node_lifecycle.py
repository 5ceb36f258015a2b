"""Taints and evictions of nodes that are not ready: the pure rules, and the controller process."""

from __future__ import annotations

import pytest

from rayster_testbed.kube import COORDINATION, path
from rayster_testbed.kube_events import parse_timestamp, timestamp
from rayster_testbed.node_lifecycle import eviction_time, silenced_conditions, wanted_taints

NOW = "2026-11-21T00:00:00Z"
EARLIER = "2026-11-20T23:00:00Z"
VIRTUAL = {"key": "virtual-node.interlink/no-schedule", "value": "true", "effect": "NoSchedule"}
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"


def node(*conditions, taints=(), **spec):
    return {
        "metadata": {"name": "n", "creationTimestamp": EARLIER},
        "spec": {"taints": list(taints), **spec},
        "status": {"conditions": [{"type": kind, "status": status} for kind, status in conditions]},
    }


def keys(taints):
    return [(taint["key"], taint["effect"]) for taint in taints]


@pytest.mark.parametrize(
    ("the_node", "expected"),
    [
        pytest.param(node(("Ready", "True"), taints=[VIRTUAL]), [(VIRTUAL["key"], "NoSchedule")], id="ready"),
        pytest.param(
            node(("Ready", "True"), taints=[{"key": NOT_READY, "effect": "NoExecute"}]), [], id="ready again"
        ),
        pytest.param(
            node(("Ready", "False"), ("NetworkUnavailable", "True")),
            [
                (NOT_READY, "NoSchedule"),
                (NOT_READY, "NoExecute"),
                ("node.kubernetes.io/network-unavailable", "NoSchedule"),
            ],
            id="as a virtual node whose plugin is away",
        ),
        pytest.param(
            node(("Ready", "Unknown"), taints=[{"key": NOT_READY, "effect": "NoExecute"}]),
            [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")],
            id="silent",
        ),
        pytest.param(node(), [(NOT_READY, "NoSchedule")], id="never reported"),
        pytest.param(
            node(("Ready", "True"), unschedulable=True),
            [("node.kubernetes.io/unschedulable", "NoSchedule")],
            id="cordoned",
        ),
    ],
)
def test_taints_follow_the_conditions(the_node, expected):
    assert keys(wanted_taints(the_node, NOW)) == expected


def test_a_taint_that_stays_keeps_the_time_when_it_was_added():
    present = {"key": NOT_READY, "effect": "NoExecute", "timeAdded": EARLIER}
    taints = wanted_taints(node(("Ready", "False"), taints=[present]), NOW)
    assert present in taints
    (new,) = [t for t in wanted_taints(node(("Ready", "False")), NOW) if t["effect"] == "NoExecute"]
    assert new["timeAdded"] == NOW


ADDED = parse_timestamp(EARLIER)
TAINTS = [{"key": NOT_READY, "effect": "NoExecute", "timeAdded": EARLIER}]


@pytest.mark.parametrize(
    ("tolerations", "taints", "expected"),
    [
        pytest.param([], TAINTS, 5.0, id="nothing tolerated: now"),
        pytest.param([{"key": NOT_READY, "operator": "Exists"}], TAINTS, None, id="without limit: never"),
        pytest.param(
            [{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            TAINTS,
            ADDED + 300,
            id="counted from when the taint came",
        ),
        pytest.param(
            [
                {"operator": "Exists", "tolerationSeconds": 300},
                {"key": NOT_READY, "operator": "Exists", "tolerationSeconds": 20},
            ],
            TAINTS,
            ADDED + 20,
            id="the shortest",
        ),
        pytest.param([], [VIRTUAL], None, id="NoSchedule evicts nobody"),
    ],
)
def test_when_a_pod_has_to_leave(tolerations, taints, expected):
    assert eviction_time({"spec": {"tolerations": tolerations}}, taints, 5.0) == expected


def test_a_silent_node_becomes_unknown_and_other_conditions_stay():
    conditions = {c["type"]: c for c in silenced_conditions(node(("Ready", "True"), ("Custom", "True")), NOW)}
    assert (conditions["Ready"]["status"], conditions["Ready"]["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert conditions["Custom"]["status"] == "True"
    assert conditions["MemoryPressure"]["reason"] == "NodeStatusNeverUpdated"


async def set_ready(cluster, name, status):
    ready = {"type": "Ready", "status": status, "lastHeartbeatTime": timestamp()}
    await cluster.client.merge(path("nodes", "", name, "status"), {"status": {"conditions": [ready]}})


async def taints_of(cluster, name):
    return keys((await cluster.client.get(path("nodes", "", name)))["spec"].get("taints") or [])


async def test_pods_are_evicted_when_their_toleration_ends_and_others_stay(cluster):
    # Given three pods on a node: one that tolerates not-ready for a second, one for ever, one by default (300 s)
    await cluster.make_node("n1", taints=(VIRTUAL, {"key": NOT_READY, "effect": "NoSchedule"}))
    cluster.start("node_lifecycle")
    short = [{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]
    long = [{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute"}]
    for name, tolerations in (("short", short), ("long", long), ("default", [])):
        await cluster.create_pod(name, "true", nodeName="n1", tolerations=tolerations)
        running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await cluster.client.merge(path("pods", cluster.namespace, name, "status"), {"status": running})

    async def left_alone():
        return await taints_of(cluster, "n1") == keys([VIRTUAL])

    await cluster.until(left_alone)

    # When the node is not ready
    await set_ready(cluster, "n1", "False")

    # Then it is tainted at once and the pod whose toleration is over is deleted
    async def tainted():
        return {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")} < set(await taints_of(cluster, "n1"))

    await cluster.until(tainted)

    async def deleted():
        return (await cluster.pod("short"))["metadata"].get("deletionTimestamp")

    await cluster.until(deleted)
    conditions = {c["type"]: c for c in (await cluster.pod("short"))["status"]["conditions"]}
    assert conditions["DisruptionTarget"]["reason"] == "DeletionByTaintManager"
    for name in ("long", "default"):
        found = await cluster.pod(name)
        assert "deletionTimestamp" not in found["metadata"]
        assert [c["status"] for c in found["status"]["conditions"] if c["type"] == "Ready"] == ["False"]

    # And when it is ready again, only its own taint is left
    await set_ready(cluster, "n1", "True")
    await cluster.until(left_alone)


async def test_a_node_whose_agent_is_silent_becomes_unreachable_until_it_speaks(cluster):
    await cluster.make_node("n1")
    lease = {"metadata": {"name": "n1"}, "spec": {"renewTime": timestamp(micro=True)}}
    await cluster.client.create(path("leases", "kube-node-lease", api=COORDINATION), lease)
    cluster.start("node_lifecycle", "--monitor-grace-seconds", "1")

    async def unreachable():
        return (UNREACHABLE, "NoExecute") in await taints_of(cluster, "n1")

    await cluster.until(unreachable)
    await cluster.until_ready("n1", "Unknown")

    async def untainted():
        # It speaks again and again, else it is soon a silent one again.
        await set_ready(cluster, "n1", "True")
        return await taints_of(cluster, "n1") == []

    await cluster.until(untainted)
