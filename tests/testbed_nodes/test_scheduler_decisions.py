"""Where a pod goes and why not: the scheduler's pure decisions."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rayster_testbed.quantity import parse_quantity, pod_requests
from rayster_testbed.scheduler.affinity import selector_matches
from rayster_testbed.scheduler.decide import backoff_seconds, claims, decide, used_by_node
from rayster_testbed.taints import tolerates

VIRTUAL = {"key": "virtual-node.interlink/no-schedule", "value": "true", "effect": "NoSchedule"}
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}


def node(name, *, labels=None, taints=(), cpu="4", memory="8Gi", pods="10", **more):
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {"taints": list(taints), **more.pop("spec", {})},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **more}},
    }


def pod(name="p", *, limits=None, requests=None, **spec):
    resources = {"limits": limits or {}, "requests": requests or {}}
    return {
        "metadata": {"name": name, "namespace": "lab", "uid": f"uid-{name}"},
        "spec": {"containers": [{"name": "main", "resources": resources}], **spec},
        "status": {"phase": "Pending"},
    }


def affinity(*terms):
    return {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    }


def expression(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("1500m", "1.5", id="milli"),
        pytest.param("2", "2", id="plain"),
        pytest.param(3, "3", id="integer"),
        pytest.param("16Gi", str(16 * 2**30), id="binary"),
        pytest.param("3000G", "3000000000000", id="decimal"),
        pytest.param("1e3", "1000", id="exponent"),
        pytest.param(".5", "0.5", id="no leading digit"),
        pytest.param("1E", "1000000000000000000", id="exa"),
    ],
)
def test_quantities_are_exact_numbers(text, number):
    assert parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1gi", "NaN", "1e", "--1", "1.2.3", "١"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        parse_quantity(text)


def test_a_pod_asks_for_its_containers_together_or_its_largest_init_container():
    spec = {
        "containers": [
            {
                "name": "a",
                "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "2", "memory": "1Gi"}},
            },
            {"name": "b", "resources": {"limits": {"cpu": "1"}}},
        ],
        "initContainers": [{"name": "i", "resources": {"requests": {"cpu": "1", "memory": "3Gi"}}}],
    }
    assert pod_requests(spec) == {"cpu": Decimal("1.5"), "memory": Decimal(3 * 2**30)}


@pytest.mark.parametrize(
    ("toleration", "taint", "expected"),
    [
        pytest.param({"key": VIRTUAL["key"], "operator": "Exists"}, VIRTUAL, True, id="exists"),
        pytest.param({"key": VIRTUAL["key"], "value": "true"}, VIRTUAL, True, id="equal by default"),
        pytest.param(
            {"key": VIRTUAL["key"], "operator": "Equal", "value": "no"}, VIRTUAL, False, id="other value"
        ),
        pytest.param({"operator": "Exists"}, VIRTUAL, True, id="empty key covers all"),
        pytest.param({"operator": "Equal"}, VIRTUAL, False, id="empty key needs Exists"),
        pytest.param(
            {"key": VIRTUAL["key"], "operator": "Exists", "effect": "NoExecute"}, VIRTUAL, False, id="effect"
        ),
        pytest.param({"key": "other", "operator": "Exists"}, VIRTUAL, False, id="other key"),
        pytest.param(
            {"key": NOT_READY["key"], "operator": "Equal"}, NOT_READY, True, id="no value equals no value"
        ),
    ],
)
def test_tolerations(toleration, taint, expected):
    assert tolerates(toleration, taint) is expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, True, id="nothing asked"),
        pytest.param({"nodeSelector": {"site": "padova"}}, True, id="selector"),
        pytest.param({"nodeSelector": {"site": "padova", "gpu": "yes"}}, False, id="one of two labels"),
        pytest.param({"affinity": affinity(expression("site", "In", "bologna", "padova"))}, True, id="In"),
        pytest.param({"affinity": affinity(expression("site", "NotIn", "padova"))}, False, id="NotIn"),
        pytest.param(
            {"affinity": affinity(expression("gpu", "NotIn", "a100"))}, True, id="NotIn of an absent label"
        ),
        pytest.param({"affinity": affinity(expression("site", "Exists"))}, True, id="Exists"),
        pytest.param({"affinity": affinity(expression("site", "DoesNotExist"))}, False, id="DoesNotExist"),
        pytest.param({"affinity": affinity(expression("cores", "Gt", "8"))}, True, id="Gt"),
        pytest.param({"affinity": affinity(expression("cores", "Lt", "8"))}, False, id="Lt"),
        pytest.param({"affinity": affinity(expression("site", "Gt", "8"))}, False, id="Gt of no number"),
        pytest.param(
            {"affinity": affinity(expression("site", "In", "x"), expression("cores", "Exists"))},
            True,
            id="terms are or",
        ),
        pytest.param({"affinity": affinity({})}, False, id="an empty term matches nothing"),
        pytest.param(
            {
                "affinity": affinity(
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}
                )
            },
            True,
            id="field",
        ),
        pytest.param(
            {"nodeSelector": {"site": "padova"}, "affinity": affinity(expression("site", "In", "x"))},
            False,
            id="selector and affinity both",
        ),
    ],
)
def test_selectors(spec, expected):
    assert selector_matches(spec, node("n", labels={"site": "padova", "cores": "16"})) is expected


FULL = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
HOPELESS = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."


@pytest.mark.parametrize(
    ("the_pod", "the_node", "message"),
    [
        pytest.param(
            pod(requests={"cpu": "5"}),
            node("n"),
            f"0/1 nodes are available: 1 Insufficient cpu. {FULL}",
            id="cpu",
        ),
        pytest.param(
            pod(limits={"memory": "9Gi", "cpu": "9"}),
            node("n"),
            f"0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. {FULL}",
            id="limits count as requests",
        ),
        pytest.param(
            pod(limits={"nvidia.com/gpu": "1"}),
            node("n"),
            f"0/1 nodes are available: 1 Insufficient nvidia.com/gpu. {FULL}",
            id="extended resource",
        ),
        pytest.param(
            pod(), node("n", pods="0"), f"0/1 nodes are available: 1 Too many pods. {FULL}", id="pods"
        ),
        pytest.param(
            pod(),
            node("n", taints=[VIRTUAL]),
            "0/1 nodes are available: 1 node(s) had untolerated taint "
            f"{{virtual-node.interlink/no-schedule: true}}. {HOPELESS}",
            id="taint",
        ),
        pytest.param(
            pod(nodeSelector={"a": "b"}),
            node("n"),
            f"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {HOPELESS}",
            id="selector",
        ),
        pytest.param(
            pod(),
            node("n", spec={"unschedulable": True}),
            f"0/1 nodes are available: 1 node(s) were unschedulable. {HOPELESS}",
            id="cordoned",
        ),
    ],
)
def test_the_message_says_why_no_node_fits(the_pod, the_node, message):
    decision = decide(the_pod, [the_node], {})
    assert (decision.node, decision.message) == (None, message)


def test_reasons_of_several_nodes_are_counted_and_sorted():
    nodes = [node("cloud"), node("padova", taints=[VIRTUAL]), node("leonardo", labels={"x": "y"})]
    decision = decide(pod(requests={"cpu": "5"}, nodeSelector={"kubernetes.io/hostname": "cloud"}), nodes, {})
    assert decision.message == (
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) had untolerated taint {virtual-node.interlink/no-schedule: true}. "
        "preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling."
    )


def test_without_nodes_and_without_the_claim():
    assert decide(pod(), [], {}).message == "no nodes available to schedule pods"
    volumes = [
        {"name": "home", "persistentVolumeClaim": {"claimName": "claim-ada"}},
        {"name": "x", "emptyDir": {}},
    ]
    wanting = pod(volumes=volumes)
    assert claims(wanting["spec"]) == ["claim-ada"]
    assert decide(wanting, [node("n")], {}, ["claim-ada"]).message == (
        f'0/1 nodes are available: persistentvolumeclaim "claim-ada" not found. {HOPELESS}'
    )


def test_what_runs_and_what_was_just_bound_takes_room_but_what_has_ended_does_not():
    running = pod("a", requests={"cpu": "2"}, nodeName="n")
    ended = pod("b", requests={"cpu": "2"}, nodeName="n") | {"status": {"phase": "Succeeded"}}
    bound = pod("c", requests={"cpu": "1"})
    used = used_by_node([running, ended, bound], {"uid-c": "n"})
    assert used == {"n": {"cpu": Decimal(3), "pods": Decimal(2)}}
    assert decide(pod(requests={"cpu": "1"}), [node("n")], used).node == "n"
    assert decide(pod(requests={"cpu": "1001m"}), [node("n")], used).node is None


@pytest.mark.parametrize(
    ("spec", "nodes", "expected"),
    [
        pytest.param({}, [node("small", cpu="2"), node("large", cpu="8")], "large", id="the emptiest"),
        pytest.param(
            {},
            [node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}]), node("b", cpu="2")],
            "b",
            id="not the disliked one",
        ),
        pytest.param(
            {
                "affinity": {
                    "nodeAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "weight": 100,
                                "preference": expression("hub.jupyter.org/node-purpose", "In", "user"),
                            }
                        ]
                    }
                }
            },
            [node("a", cpu="8"), node("user", cpu="2", labels={"hub.jupyter.org/node-purpose": "user"})],
            "user",
            id="the preferred one",
        ),
        pytest.param(
            {"tolerations": [{"key": VIRTUAL["key"], "operator": "Exists"}], "nodeSelector": {"s": "p"}},
            [node("a"), node("padova", labels={"s": "p"}, taints=[VIRTUAL])],
            "padova",
            id="tolerated and selected",
        ),
    ],
)
def test_the_best_of_the_fitting_nodes_is_chosen(spec, nodes, expected):
    used = {n["metadata"]["name"]: {"cpu": Decimal(1)} for n in nodes}
    assert decide(pod(**spec), nodes, used).node == expected


def test_back_off_doubles_from_one_to_ten_seconds():
    assert [backoff_seconds(n) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]
