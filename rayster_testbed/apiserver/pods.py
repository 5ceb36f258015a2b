"""What the API makes of a pod: defaults, its first status, how long it takes to go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .quantities import parse_quantity

Json = dict[str, Any]


def containers(spec: Json) -> Iterator[tuple[str, Json]]:
    """Every container of a pod spec with its path (`spec.initContainers[0]`)."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or []):
            yield f"spec.{field}[{index}]", container


def _default_pull_policy(image: str) -> str:
    tail = image.rpartition("/")[2]
    tagged = ":" in tail or "@" in tail
    return "IfNotPresent" if tagged and not tail.endswith(":latest") else "Always"


def _default_probe(probe: Json) -> None:
    for field, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        probe.setdefault(field, value)
    if "httpGet" in probe:
        probe["httpGet"].setdefault("path", "/")
        probe["httpGet"].setdefault("scheme", "HTTP")


def _default_container(container: Json) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", _default_pull_policy(container.get("image", "")))
    resources = container.setdefault("resources", {})
    for name, limit in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, limit)
    for port in container.get("ports") or []:
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if field in container:
            _default_probe(container[field])


def _default_volume(volume: Json) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for field in ("configMap", "secret", "projected", "downwardAPI"):
        if field in volume:
            volume[field].setdefault("defaultMode", 420)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    for source in (volume.get("projected") or {}).get("sources") or []:
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)


def default_pod_spec(spec: Json) -> None:
    """Fill in a pod spec's defaults, in place."""
    for field, value in (
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("dnsPolicy", "ClusterFirst"),
        ("schedulerName", "default-scheduler"),
    ):
        spec.setdefault(field, value)
    spec.setdefault("securityContext", {})
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec.get("serviceAccountName") or spec["serviceAccount"]
        spec["serviceAccount"] = spec["serviceAccountName"]
    for _, container in containers(spec):
        _default_container(container)
        if spec.get("hostNetwork"):
            for port in container.get("ports") or []:
                port.setdefault("hostPort", port.get("containerPort"))
    for volume in spec.get("volumes") or []:
        _default_volume(volume)


def default_pod(pod: Json) -> None:
    """Fill in a pod's defaults, in place."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)


def qos_class(spec: Json) -> str:
    """Guaranteed, Burstable or BestEffort, from requests and limits of cpu and memory."""
    guaranteed, any_given = True, False
    for _, container in containers(spec):
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in ("cpu", "memory"):
            any_given = any_given or name in requests or name in limits
            same = name in limits and parse_quantity(requests.get(name, limits[name])) == parse_quantity(
                limits[name]
            )
            guaranteed = guaranteed and same
    if not any_given:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def prepare_pod(pod: Json) -> None:
    """Give a pod that is being created its first status."""
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(pod["spec"])}


def grace_seconds(pod: Json, asked: int | None) -> int:
    """How long a pod may take to end: 0 when it runs nowhere or has ended."""
    spec, phase = pod.get("spec") or {}, (pod.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Failed", "Succeeded"):
        return 0
    seconds = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 30)
    return 1 if seconds < 0 else seconds
