"""The kubelet's Node object: registration, heartbeat, readiness."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from rayster_testbed.kube import COORDINATION, TROUBLE, KubeClient, Obj, path
from rayster_testbed.kube_events import timestamp

log = structlog.get_logger()

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_VERSION = "v1.36.2"
_FULL_REPORT_SECONDS = 300.0


@dataclass(frozen=True)
class NodeSettings:
    """How this node presents itself. `cpu`, `memory` and `pods` are Kubernetes quantities."""

    name: str
    address: str
    port: int
    cpu: str = "4"
    memory: str = "8Gi"
    pods: str = "110"
    labels: Mapping[str, str] = field(default_factory=dict)
    pod_cidr: str = ""


def node_object(settings: NodeSettings) -> Obj:
    """The Node as it is registered."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": settings.name,
            "labels": {
                "kubernetes.io/hostname": settings.name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture,
                "beta.kubernetes.io/os": "linux",
                "beta.kubernetes.io/arch": architecture,
                **settings.labels,
            },
        },
        "spec": {"podCIDR": settings.pod_cidr, "podCIDRs": [settings.pod_cidr]} if settings.pod_cidr else {},
    }


def node_status(settings: NodeSettings, now: str, present: Mapping | None = None) -> Obj:
    """The status of a healthy node; transition times of conditions that did not change are kept."""
    capacity = {"cpu": settings.cpu, "memory": settings.memory, "pods": settings.pods}
    conditions = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    before = {
        (c["type"], c["status"]): c for c in ((present or {}).get("status") or {}).get("conditions") or []
    }
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [
            {"type": "InternalIP", "address": settings.address},
            {"type": "Hostname", "address": settings.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.port}},
        "nodeInfo": {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "operatingSystem": "linux",
            "kernelVersion": platform.release(),
            "osImage": "RaySTER testbed",
            "containerRuntimeVersion": "testbed://1",
            "kubeletVersion": _VERSION,
            "kubeProxyVersion": "",
            "machineID": settings.name,
            "systemUUID": settings.name,
            "bootID": settings.name,
        },
        "conditions": [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": before.get((kind, status), {}).get("lastTransitionTime", now),
            }
            for kind, status, reason, message in conditions
        ],
    }


class NodeAgent:
    """Registers the node and keeps saying that it lives."""

    def __init__(self, client: KubeClient, settings: NodeSettings, lease_seconds: int = 40) -> None:
        self._client = client
        self._settings = settings
        self._lease_seconds = lease_seconds

    async def run(self) -> None:
        """Renew the lease every quarter of its duration; report the status when it is not what it should be."""
        interval = self._lease_seconds / 4
        since_report = _FULL_REPORT_SECONDS
        while True:
            try:
                since_report += interval
                node = await self._client.find(path("nodes", "", self._settings.name))
                if since_report >= _FULL_REPORT_SECONDS or node is None or not _reported(node):
                    await self._report(node)
                    since_report = 0.0
                await renew_lease(self._client, self._settings.name, self._lease_seconds)
            except TROUBLE as error:
                log.warning("heartbeat failed", error=str(error))
                await asyncio.sleep(min(1.0, interval))
                continue
            await asyncio.sleep(interval)

    async def _report(self, node: Obj | None) -> None:
        wanted = node_object(self._settings)
        if node is None:
            node = await self._client.create(path("nodes"), wanted)
            log.info("registered", node=self._settings.name)
        else:
            await self._client.merge(
                path("nodes", "", self._settings.name), {"metadata": {"labels": wanted["metadata"]["labels"]}}
            )
        status = node_status(self._settings, timestamp(), node)
        await self._client.merge(path("nodes", "", self._settings.name, "status"), {"status": status})


def _reported(node: Obj) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


async def renew_lease(client: KubeClient, node_name: str, duration_seconds: int) -> None:
    """Renew the node's lease in `kube-node-lease`, or make it."""
    spec = {
        "holderIdentity": node_name,
        "leaseDurationSeconds": duration_seconds,
        "renewTime": timestamp(micro=True),
    }
    where = path("leases", "kube-node-lease", node_name, api=COORDINATION)
    if await client.find(where) is not None:
        await client.merge(where, {"spec": spec})
        return
    await client.create(
        path("leases", "kube-node-lease", api=COORDINATION),
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": node_name, "namespace": "kube-node-lease"},
            "spec": spec,
        },
    )
