"""The status of a cluster as KubeRay works it out of the pods alone (`calculateStatus`); pure functions.

It says nothing about Ray: `state` becomes `ready` once and stays so whatever becomes of the workers.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rayster_testbed.kube import Obj
from rayster_testbed.quantity import container_requests, format_quantity
from rayster_testbed.ray_operator.names import HEAD, NODE_TYPE_LABEL, WORKER
from rayster_testbed.ray_operator.start_command import is_gpu

PROVISIONED = "RayClusterProvisioned"
HEAD_READY = "HeadPodReady"
REPLICA_FAILURE = "ReplicaFailure"
SUSPENDING = "RayClusterSuspending"
SUSPENDED = "RayClusterSuspended"
_MOST = 2**31 - 1
# A difference in these alone is not worth an update.
_INCIDENTAL = (
    "lastUpdateTime",
    "observedGeneration",
    "desiredCPU",
    "desiredMemory",
    "desiredGPU",
    "desiredTPU",
)


def desired_replicas(group: Mapping[str, Any]) -> int:
    """How many pods a worker group should have: `replicas`, silently kept between its bounds."""
    if group.get("suspend"):
        return 0
    lowest, highest = group.get("minReplicas") or 0, group.get("maxReplicas", _MOST)
    return min(max(group.get("replicas") or 0, lowest), highest)


def suspend_state(status: Mapping[str, Any]) -> str:
    """`RayClusterSuspending`, `RayClusterSuspended` or nothing."""
    for condition in status.get("conditions") or []:
        if condition["type"] in (SUSPENDING, SUSPENDED) and condition["status"] == "True":
            return condition["type"]
    return ""


def status_of(
    cluster: Mapping[str, Any],
    pods: Sequence[Mapping[str, Any]],
    service: Mapping[str, Any] | None,
    now: str,
    *,
    trouble: bool = False,
    failure: tuple[str, str] | None = None,
) -> Obj:
    """The new status.

    Args:
        cluster: the RayCluster with its old status.
        pods: all pods that carry its label, also those that are being deleted.
        service: its head service, if it is there.
        now: RFC 3339.
        trouble: whether the reconciliation before could not be finished.
        failure: reason and message when that was because a pod could not be made or deleted.
    """
    spec = cluster["spec"]
    old: Obj = cluster.get("status") or {}
    status = copy.deepcopy(old)
    conditions = _Conditions(status.get("conditions") or [], now)
    groups = spec.get("workerGroupSpecs") or []
    heads = [pod for pod in pods if pod["metadata"]["labels"].get(NODE_TYPE_LABEL) == HEAD]
    workers = [pod for pod in pods if pod["metadata"]["labels"].get(NODE_TYPE_LABEL) == WORKER]
    active = [group for group in groups if not group.get("suspend")]
    desired = sum(map(desired_replicas, groups))
    _count(status, "desiredWorkerReplicas", desired)
    _count(status, "minWorkerReplicas", sum(group.get("minReplicas") or 0 for group in active))
    _count(status, "maxWorkerReplicas", min(_MOST, sum(group.get("maxReplicas", _MOST) for group in active)))
    _count(status, "availableWorkerReplicas", sum(_phase(pod) == "Running" for pod in workers))
    _count(
        status,
        "readyWorkerReplicas",
        sum(_phase(pod) == "Running" and _ready(pod) == "True" for pod in workers),
    )
    status |= _desired_resources(spec)
    status["observedGeneration"] = cluster["metadata"].get("generation", 0)
    if failure is not None:
        conditions.set(REPLICA_FAILURE, True, *failure)
    elif not trouble:
        conditions.drop(REPLICA_FAILURE)
    if not trouble and len(pods) == desired + 1 and all_run(pods):
        status["state"] = "ready"
        status.pop("reason", None)
    conditions.put(head_condition(heads[0]) if heads else _no_head())
    _set_provisioned(conditions, suspend_state(status), pods)
    _set_suspension(conditions, suspend_state(status), bool(spec.get("suspend")), pods)
    if spec.get("suspend") and not pods:
        status["state"] = "suspended"
    status["conditions"] = conditions.items
    status |= _head_and_endpoints(heads[0] if heads else None, service, old)
    status["lastUpdateTime"] = now
    if status.get("state") != old.get("state"):
        status["stateTransitionTimes"] = {**(old.get("stateTransitionTimes") or {}), status["state"]: now}
    return status


def differs(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a status is worth an update: amounts and times alone are not."""

    def what_matters(status: Mapping[str, Any]) -> Obj:
        return {key: value for key, value in status.items() if key not in _INCIDENTAL}

    return what_matters(old) != what_matters(new)


def all_run(pods: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there are pods and all of them run, none of them said to be unready."""
    return bool(pods) and all(_phase(pod) == "Running" and _ready(pod) in ("True", None) for pod in pods)


def head_condition(head: Mapping[str, Any]) -> Obj:
    """`HeadPodReady` for a head pod: the pod's own readiness, or why its container is not ready."""
    condition = {"type": HEAD_READY, "status": "False", "reason": "Unknown", "message": ""}
    ready: Obj | None = next((c for c in _conditions(head) if c["type"] == "Ready"), None)
    if ready is None:
        return condition
    condition |= {"status": ready["status"], "message": ready.get("message") or ""}
    reason = ready.get("reason") or ("HeadPodRunningAndReady" if ready["status"] == "True" else "")
    condition["reason"] = reason or "Unknown"
    if reason == "ContainersNotReady":
        for container in (head.get("status") or {}).get("containerStatuses") or []:
            state = container.get("state") or {}
            if why := state.get("waiting") or state.get("terminated"):
                words = f"{container['name']}: {why.get('message') or ''}"
                condition["message"] = "; ".join(filter(None, [condition["message"], words]))
                condition["reason"] = why.get("reason") or "Unknown"
                break
    return condition


def _no_head() -> Obj:
    return {
        "type": HEAD_READY,
        "status": "False",
        "reason": "HeadPodNotFound",
        "message": "Head Pod not found",
    }


def _set_provisioned(conditions: _Conditions, suspend: str, pods: Sequence[Mapping[str, Any]]) -> None:
    """True for ever once every pod has run at the same time; only suspending takes it back."""
    if conditions.is_true(PROVISIONED) or suspend == SUSPENDED:
        return
    if all_run(pods):
        message = "All Ray Pods are ready for the first time"
        conditions.set(PROVISIONED, True, "AllPodRunningAndReadyFirstTime", message)
    else:
        message = "RayCluster Pods are being provisioned for first time"
        conditions.set(PROVISIONED, False, "RayClusterPodsProvisioning", message)


def _set_suspension(conditions: _Conditions, state: str, wanted: bool, pods: Sequence[Any]) -> None:
    """One step of: running, suspending until no pod is left, suspended until that is no longer wanted."""
    if state == SUSPENDING:
        if not pods:
            message = "RayCluster has been suspended"
            conditions.set(PROVISIONED, False, "RayClusterPodsProvisioning", message)
            conditions.set(SUSPENDING, False, SUSPENDING)
            conditions.set(SUSPENDED, True, SUSPENDED)
    elif state == SUSPENDED:
        if not wanted:
            conditions.set(SUSPENDED, False, SUSPENDED)
    else:
        conditions.set(SUSPENDED, False, SUSPENDED)
        conditions.set(SUSPENDING, wanted, SUSPENDING)


def _head_and_endpoints(head: Mapping | None, service: Mapping | None, old: Mapping[str, Any]) -> Obj:
    pod_ip = ((head or {}).get("status") or {}).get("podIP", "")
    known = {"podIP": pod_ip, "podName": head["metadata"]["name"] if head else ""}
    endpoints = dict(old.get("endpoints") or {})
    if service is not None:
        address = service["spec"].get("clusterIP", "")
        known |= {
            "serviceName": service["metadata"]["name"],
            "serviceIP": pod_ip if address == "None" else address,
        }
        for port in service["spec"].get("ports") or []:
            if port.get("name"):
                endpoints[port["name"]] = str(port.get("nodePort") or port.get("targetPort") or port["port"])
    return {"head": {key: value for key, value in known.items() if value}, "endpoints": endpoints}


def _desired_resources(spec: Mapping[str, Any]) -> dict[str, str]:
    """The amounts of head and all groups, by `replicas` as it stands."""
    total: dict[str, Decimal] = {}
    groups = [group for group in spec.get("workerGroupSpecs") or [] if not group.get("suspend")]
    shares = [(spec["headGroupSpec"], 1), *((group, group.get("replicas") or 0) for group in groups)]
    for group, count in shares:
        for container in group["template"]["spec"]["containers"]:
            for name, amount in container_requests(container).items():
                total[name] = total.get(name, Decimal(0)) + amount * count
    gpus = sum((amount for name, amount in total.items() if is_gpu(name)), Decimal(0))
    return {
        "desiredCPU": format_quantity(total.get("cpu", Decimal(0))),
        "desiredMemory": _in_binary(total.get("memory", Decimal(0))),
        "desiredGPU": format_quantity(gpus),
        "desiredTPU": format_quantity(total.get("google.com/tpu", Decimal(0))),
    }


def _in_binary(number: Decimal) -> str:
    """An amount of memory in the largest of Ki, Mi, Gi … that it is a whole number of."""
    for power, suffix in ((6, "Ei"), (5, "Pi"), (4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if number and number % 1024**power == 0:
            return f"{number // 1024**power}{suffix}"
    return format_quantity(number)


def _count(status: Obj, field: str, number: int) -> None:
    """A number in the status; zero is left out, as Go does."""
    status[field] = number
    if not number:
        del status[field]


def _phase(pod: Mapping[str, Any]) -> str:
    return (pod.get("status") or {}).get("phase", "")


def _conditions(pod: Mapping[str, Any]) -> list[Obj]:
    return (pod.get("status") or {}).get("conditions") or []


def _ready(pod: Mapping[str, Any]) -> str | None:
    return next((c["status"] for c in _conditions(pod) if c["type"] == "Ready"), None)


class _Conditions:
    """A list of conditions whose times change only with their status (`meta.SetStatusCondition`)."""

    def __init__(self, items: list[Obj], now: str) -> None:
        self.items = copy.deepcopy(items)
        self._now = now

    def is_true(self, kind: str) -> bool:
        return any(c["type"] == kind and c["status"] == "True" for c in self.items)

    def set(self, kind: str, true: bool, reason: str, message: str = "") -> None:
        status = "True" if true else "False"
        self.put({"type": kind, "status": status, "reason": reason, "message": message})

    def put(self, condition: Obj) -> None:
        for old in self.items:
            if old["type"] == condition["type"]:
                if old["status"] != condition["status"]:
                    old["lastTransitionTime"] = self._now
                old |= condition
                return
        self.items.append({**condition, "lastTransitionTime": self._now})

    def drop(self, kind: str) -> None:
        self.items = [c for c in self.items if c["type"] != kind]
