"""The testbed's node lifecycle controller: taints nodes that are not ready and evicts the pods that do not tolerate it.

`python -m rayster_testbed.node_lifecycle --kubeconfig FILE`. It follows kube-controller-manager: a node whose agent is
silent for the grace period becomes Unknown; a node that is not ready gets its NoSchedule taint at once and the
NoExecute taint with it; pods are deleted when the time that they tolerate the NoExecute taint is over.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import structlog

from rayster_testbed.kube import COORDINATION, TROUBLE, KubeClient, KubeConfig, Obj, path, path_of
from rayster_testbed.kube_events import EventRecorder, parse_timestamp, reference, timestamp
from rayster_testbed.kube_informer import Informer
from rayster_testbed.process import configure_logging, run_until_signalled
from rayster_testbed.taints import tolerates

log = structlog.get_logger()

_NOT_READY = "node.kubernetes.io/not-ready"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
# (condition type, status) -> taint key; the source is kube-controller-manager's nodeConditionToTaintKeyStatusMap.
_CONDITION_TAINTS = {
    ("Ready", "False"): _NOT_READY,
    ("Ready", "Unknown"): _UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
_OWN_KEYS = {*_CONDITION_TAINTS.values(), _UNSCHEDULABLE}
_AGENT_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_LONGEST_LOOK_SECONDS = 5.0


def wanted_taints(node: Mapping, now: str) -> list[Obj]:
    """The taints that *node* should have: foreign ones as they are, ours as its conditions say.

    Args:
        node: the Node object.
        now: `timeAdded` of NoExecute taints that are new.
    """
    taints = (node.get("spec") or {}).get("taints") or []
    kept = [taint for taint in taints if taint["key"] not in _OWN_KEYS]
    present = {(taint["key"], taint["effect"]): taint for taint in taints}
    wanted: list[Obj] = []
    conditions = (node.get("status") or {}).get("conditions") or []
    for condition in conditions:
        key = _CONDITION_TAINTS.get((condition["type"], condition["status"]))
        if key is None:
            continue
        effects = ["NoSchedule", "NoExecute"] if condition["type"] == "Ready" else ["NoSchedule"]
        for effect in effects:
            fresh = {"key": key, "effect": effect} | ({"timeAdded": now} if effect == "NoExecute" else {})
            wanted.append(dict(present.get((key, effect), fresh)))
    if not any(condition["type"] == "Ready" for condition in conditions):
        wanted.append(
            dict(present.get((_NOT_READY, "NoSchedule"), {"key": _NOT_READY, "effect": "NoSchedule"}))
        )
    if (node.get("spec") or {}).get("unschedulable"):
        wanted.append({"key": _UNSCHEDULABLE, "effect": "NoSchedule"})
    return kept + wanted


def eviction_time(pod: Mapping, taints: Iterable[Mapping], now: float) -> float | None:
    """When *pod* must leave a node with *taints* (seconds since the epoch), or None when it may stay.

    A taint that nothing tolerates means now; else the shortest `tolerationSeconds` counts from the taint's `timeAdded`.
    """
    tolerations = pod["spec"].get("tolerations") or []
    deadline: float | None = None
    for taint in taints:
        if taint["effect"] != "NoExecute":
            continue
        covering = [t for t in tolerations if tolerates(t, taint)]
        if not covering:
            return now
        limits = [t["tolerationSeconds"] for t in covering if t.get("tolerationSeconds") is not None]
        if limits:
            added = parse_timestamp(taint["timeAdded"]) if taint.get("timeAdded") else now
            leave = added + max(0, min(limits))
            deadline = leave if deadline is None else min(deadline, leave)
    return deadline


def silenced_conditions(node: Mapping, now: str) -> list[Obj]:
    """The conditions of a node whose agent is silent: those that it reports become Unknown."""
    conditions = {c["type"]: dict(c) for c in (node.get("status") or {}).get("conditions") or []}
    for kind in _AGENT_CONDITIONS:
        condition = conditions.get(kind)
        if condition is None:
            condition = {"type": kind, "lastHeartbeatTime": node["metadata"].get("creationTimestamp", now)}
            reason, message = "NodeStatusNeverUpdated", "Kubelet never posted node status."
        else:
            reason, message = "NodeStatusUnknown", "Kubelet stopped posting node status."
        if condition.get("status") != "Unknown":
            condition |= {
                "status": "Unknown",
                "reason": reason,
                "message": message,
                "lastTransitionTime": now,
            }
        conditions[kind] = condition
    return list(conditions.values())


def ready_status(node: Mapping | None) -> str:
    """`True`, `False` or `Unknown`: the node's Ready condition."""
    conditions = ((node or {}).get("status") or {}).get("conditions") or []
    return next((c["status"] for c in conditions if c["type"] == "Ready"), "Unknown")


class NodeLifecycle:
    """Watches nodes, their leases and pods; see the module."""

    def __init__(self, client: KubeClient, monitor_grace_seconds: float) -> None:
        self._client = client
        self._grace_seconds = monitor_grace_seconds
        self._wake = asyncio.Event()
        self._heartbeats: dict[str, tuple[str | None, str | None, float | None]] = {}
        self._ready: dict[str, str] = {}
        self._nodes = Informer(client, path("nodes"), on_change=self._changed)
        self._pods = Informer(client, path("pods"), on_change=self._changed)
        self._leases = Informer(client, path("leases", "kube-node-lease", api=COORDINATION))
        self._node_events = EventRecorder(client, "node-controller")
        self._eviction_events = EventRecorder(client, "taint-eviction-controller")

    async def run(self) -> None:
        """Look after the nodes for ever."""
        informers = (self._nodes, self._pods, self._leases)
        recorders = (self._node_events, self._eviction_events)
        await asyncio.gather(self._loop(), *(part.run() for part in (*informers, *recorders)))

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        self._wake.set()

    async def _loop(self) -> None:
        for informer in (self._nodes, self._pods, self._leases):
            await informer.synced.wait()
        while True:
            self._wake.clear()
            wait_seconds = min(_LONGEST_LOOK_SECONDS, self._grace_seconds / 4)
            try:
                for node in list(self._nodes.items.values()):
                    await self._look_after(node)
                wait_seconds = min(wait_seconds, await self._evict_due())
            except TROUBLE as error:
                log.warning("API server away or object changed", error=str(error))
                wait_seconds = 1.0
            try:
                await asyncio.wait_for(self._wake.wait(), max(wait_seconds, 0.05))
            except asyncio.TimeoutError:
                continue

    async def _look_after(self, node: Obj) -> None:
        name = node["metadata"]["name"]
        before, status = self._ready.get(name), ready_status(node)
        if self._silent_seconds(node) > self._grace_seconds and status != "Unknown":
            log.warning("node is silent", node=name)
            conditions = silenced_conditions(node, timestamp())
            node = await self._client.merge(
                path_of("nodes", node, "status"), {"status": {"conditions": conditions}}
            )
            status = "Unknown"
        taints = wanted_taints(node, timestamp())
        if taints != ((node.get("spec") or {}).get("taints") or []):
            log.info("taints", node=name, keys=[f"{t['key']}:{t['effect']}" for t in taints])
            version = node["metadata"]["resourceVersion"]
            await self._client.merge(
                path_of("nodes", node),
                {"metadata": {"resourceVersion": version}, "spec": {"taints": taints or None}},
            )
        if before == "True" and status != "True":
            await self._mark_pods_not_ready(node)
        self._ready[name] = status

    def _silent_seconds(self, node: Obj) -> float:
        """Seconds since the lease was renewed or the Ready heartbeat moved, by our own clock."""
        name = node["metadata"]["name"]
        lease = self._leases.items.get(("kube-node-lease", name), {})
        renewed = (lease.get("spec") or {}).get("renewTime")
        conditions = (node.get("status") or {}).get("conditions") or []
        # "Unknown" is what this controller wrote itself, so it is no sign of life of the agent.
        ready = [c for c in conditions if c["type"] == "Ready" and c["status"] != "Unknown"]
        beat = ready[0].get("lastHeartbeatTime") if ready else None
        known_renewed, known_beat, since = self._heartbeats.get(name, (None, None, None))
        alive = (renewed and renewed != known_renewed) or (beat and beat != known_beat)
        if alive or since is None:
            since = time.monotonic()
        self._heartbeats[name] = (renewed or known_renewed, beat or known_beat, since)
        return time.monotonic() - since

    async def _mark_pods_not_ready(self, node: Obj) -> None:
        name = node["metadata"]["name"]
        self._node_events.record(
            reference(node, "Node"), "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady"
        )
        for pod in [p for p in self._pods.items.values() if p["spec"].get("nodeName") == name]:
            conditions = (pod.get("status") or {}).get("conditions") or []
            if not any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
                continue
            change = {"status": "False", "lastTransitionTime": timestamp()}
            changed = [c | change if c["type"] == "Ready" else c for c in conditions]
            await self._client.merge(path_of("pods", pod, "status"), {"status": {"conditions": changed}})
            self._node_events.record(reference(pod, "Pod"), "Warning", "NodeNotReady", "Node is not ready")

    async def _evict_due(self) -> float:
        """Delete the pods whose time is over; seconds until the next one is due."""
        now = time.time()
        wait_seconds = _LONGEST_LOOK_SECONDS
        taints = {
            node["metadata"]["name"]: (node.get("spec") or {}).get("taints") or []
            for node in self._nodes.items.values()
        }
        for pod in list(self._pods.items.values()):
            if "deletionTimestamp" in pod["metadata"]:
                continue
            due = eviction_time(pod, taints.get(pod["spec"].get("nodeName", ""), []), now)
            if due is None:
                continue
            if due > now:
                wait_seconds = min(wait_seconds, due - now)
                continue
            await self._evict(pod)
        return wait_seconds

    async def _evict(self, pod: Obj) -> None:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        log.warning("evicting", pod=name)
        self._eviction_events.record(
            reference(pod, "Pod"), "Normal", "TaintManagerEviction", f"Marking for deletion Pod {name}"
        )
        conditions = [
            c for c in (pod.get("status") or {}).get("conditions") or [] if c["type"] != "DisruptionTarget"
        ]
        disruption = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": timestamp(),
        }
        await self._client.merge(
            path_of("pods", pod, "status"), {"status": {"conditions": [*conditions, disruption]}}
        )
        await self._client.delete(path_of("pods", pod), uid=pod["metadata"]["uid"])


async def _run(kubeconfig: Path, monitor_grace_seconds: float) -> None:
    async with KubeClient(KubeConfig.load(kubeconfig)) as client:
        await run_until_signalled(NodeLifecycle(client, monitor_grace_seconds).run())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rayster_testbed.node_lifecycle", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--monitor-grace-seconds", type=float, default=40.0)
    options = parser.parse_args()
    configure_logging("node-lifecycle")
    asyncio.run(_run(options.kubeconfig, options.monitor_grace_seconds))


if __name__ == "__main__":
    main()
