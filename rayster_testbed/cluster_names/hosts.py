"""Which names lead where: the lines of a hosts file from services and pods; a pure function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# What a virtual node says of a pod that no other pod can reach: Kubernetes makes no endpoint of it.
_NOWHERE = "127.0.0.1"
_DOMAIN = "cluster.local"


def hosts(services: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]) -> str:
    """The text of the file: for each headless service one line per pod that it leads to."""
    known = list(pods)
    lines = [
        f"{pod['status']['podIP']} {name}.{_DOMAIN} {name}"
        for service in services
        if service["spec"].get("clusterIP") == "None" and service["spec"].get("selector")
        for name in (f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc",)
        for pod in known
        if _leads_to(service, pod)
    ]
    return "".join(f"{line}\n" for line in sorted(lines))


def _leads_to(service: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether a pod is one of a service's endpoints."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    if metadata["namespace"] != service["metadata"]["namespace"]:
        return False
    if not service["spec"]["selector"].items() <= (metadata.get("labels") or {}).items():
        return False
    if status.get("podIP", _NOWHERE) == _NOWHERE or status.get("phase") in ("Failed", "Succeeded"):
        return False
    if service["spec"].get("publishNotReadyAddresses"):
        return True
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])
    return ready and not metadata.get("deletionTimestamp")
