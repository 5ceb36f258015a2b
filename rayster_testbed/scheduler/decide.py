"""Where a pod goes, or why nowhere: pure functions over plain objects.

The reasons are the strings of Kubernetes' own scheduler plugins, so that users read here what they will read on a
real cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rayster_testbed.quantity import parse_quantity, pod_requests
from rayster_testbed.scheduler.affinity import preference, selector_matches
from rayster_testbed.taints import untolerated

_UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


@dataclass(frozen=True)
class Rejection:
    """Why one node does not take a pod; *resolvable* when removing other pods could help."""

    reasons: tuple[str, ...]
    resolvable: bool = False


@dataclass(frozen=True)
class Decision:
    """The chosen node, or None with the message of `PodScheduled=False` and the `FailedScheduling` event."""

    node: str | None
    message: str = ""


def used_by_node(pods: Iterable[Mapping], assumed: Mapping[str, str]) -> dict[str, dict[str, Decimal]]:
    """What pods take of each node, `pods` included as a resource.

    Args:
        pods: all pods; finished ones take nothing.
        assumed: node by pod uid, for pods just bound whose update has not come back yet.
    """
    used: dict[str, dict[str, Decimal]] = {}
    for pod in pods:
        node = pod["spec"].get("nodeName") or assumed.get(pod["metadata"]["uid"])
        if not node or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        taken = used.setdefault(node, {})
        for name, amount in {**pod_requests(pod["spec"]), "pods": Decimal(1)}.items():
            taken[name] = taken.get(name, Decimal(0)) + amount
    return used


def rejection(pod: Mapping, node: Mapping, used: Mapping[str, Decimal]) -> Rejection | None:
    """Why *node* does not fit *pod*, or None. Filters run in the order of the real scheduler; the first one speaks."""
    spec = pod["spec"]
    tolerations = spec.get("tolerations") or []
    if (node.get("spec") or {}).get("unschedulable") and untolerated(
        [_UNSCHEDULABLE_TAINT], tolerations, ["NoSchedule"]
    ):
        return Rejection(("node(s) were unschedulable",))
    taints = (node.get("spec") or {}).get("taints") or []
    taint = untolerated(taints, tolerations, ("NoSchedule", "NoExecute"))
    if taint is not None:
        return Rejection((f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}",))
    if not selector_matches(spec, node):
        return Rejection(("node(s) didn't match Pod's node affinity/selector",))
    short = _missing_resources(pod_requests(spec), node, used)
    return Rejection(tuple(short), resolvable=True) if short else None


def _missing_resources(
    wanted: Mapping[str, Decimal], node: Mapping, used: Mapping[str, Decimal]
) -> list[str]:
    allocatable = _allocatable(node)
    zero = Decimal(0)
    reasons = []
    if used.get("pods", zero) + 1 > allocatable.get("pods", zero):
        reasons.append("Too many pods")
    for name, amount in wanted.items():
        if amount > 0 and used.get(name, zero) + amount > allocatable.get(name, zero):
            reasons.append(f"Insufficient {name}")
    return reasons


def _allocatable(node: Mapping) -> dict[str, Decimal]:
    status = node.get("status") or {}
    return {
        name: parse_quantity(value)
        for name, value in (status.get("allocatable") or status.get("capacity") or {}).items()
    }


def score(pod: Mapping, node: Mapping, used: Mapping[str, Decimal]) -> tuple[int, int, float]:
    """How good a fitting node is: preferred affinity, then fewer PreferNoSchedule taints, then the emptiest."""
    spec = pod["spec"]
    tolerations = spec.get("tolerations") or []
    soft = [t for t in (node.get("spec") or {}).get("taints") or [] if t["effect"] == "PreferNoSchedule"]
    disliked = sum(1 for taint in soft if untolerated([taint], tolerations, ["PreferNoSchedule"]))
    allocatable = _allocatable(node)
    free = [
        float((allocatable[name] - used.get(name, Decimal(0))) / allocatable[name])
        for name in ("cpu", "memory")
        if allocatable.get(name)
    ]
    return preference(spec, node), -disliked, sum(free)


def decide(
    pod: Mapping,
    nodes: Sequence[Mapping],
    used: Mapping[str, Mapping[str, Decimal]],
    missing_claims: Sequence[str] = (),
) -> Decision:
    """Choose a node for *pod*.

    Args:
        nodes: all nodes.
        used: see `used_by_node`.
        missing_claims: names of PersistentVolumeClaims that the pod mounts and that do not exist.
    """
    if not nodes:
        return Decision(None, "no nodes available to schedule pods")
    if missing_claims:
        return Decision(None, _claim_message(missing_claims[0], len(nodes)))
    fitting: list[Mapping] = []
    rejections: list[Rejection] = []
    for node in nodes:
        why = rejection(pod, node, used.get(node["metadata"]["name"], {}))
        if why is None:
            fitting.append(node)
        else:
            rejections.append(why)
    if not fitting:
        return Decision(None, failure_message(rejections))
    best = max(
        fitting, key=lambda n: (score(pod, n, used.get(n["metadata"]["name"], {})), n["metadata"]["name"])
    )
    return Decision(best["metadata"]["name"])


def failure_message(rejections: Sequence[Rejection]) -> str:
    """The sentence of kube-scheduler's FitError: reasons with their number of nodes, sorted, then preemption's view."""
    total = len(rejections)
    reasons = Counter(reason for why in rejections for reason in why.reasons)
    help_wanted = sum(why.resolvable for why in rejections)
    preemption = Counter(
        {
            "No preemption victims found for incoming pod": help_wanted,
            "Preemption is not helpful for scheduling": total - help_wanted,
        }
    )
    head = f"0/{total} nodes are available: "
    return f"{head}{_histogram(reasons)}. preemption: {head}{_histogram(preemption)}."


def _histogram(counts: Mapping[str, int]) -> str:
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items() if count))


def _claim_message(claim: str, total: int) -> str:
    head = f"0/{total} nodes are available: "
    unhelpful = f"{total} Preemption is not helpful for scheduling."
    return f'{head}persistentvolumeclaim "{claim}" not found. preemption: {head}{unhelpful}'


def claims(spec: Mapping) -> list[str]:
    """Names of the PersistentVolumeClaims that a pod mounts."""
    volumes = spec.get("volumes") or []
    return [v["persistentVolumeClaim"]["claimName"] for v in volumes if v.get("persistentVolumeClaim")]


def backoff_seconds(attempts: int) -> float:
    """How long a pod waits after its *attempts*-th failure: 1 s doubling to 10 s, as in kube-scheduler."""
    return min(10.0, 2.0 ** (attempts - 1))
