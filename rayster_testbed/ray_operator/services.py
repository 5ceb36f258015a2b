"""The head service of a cluster, which gives the head a name (`common/service.go`); a pure function."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from rayster_testbed.kube import Obj
from rayster_testbed.ray_operator.names import (
    APPLICATION_LABEL,
    CLUSTER_LABEL,
    CREATED_BY_LABEL,
    DEFAULT_PORTS,
    HEAD,
    METRICS_PORT,
    NODE_TYPE_LABEL,
    controller_reference,
    head_service_name,
    identifier,
)


def head_service_labels(cluster: Mapping[str, Any]) -> dict[str, str]:
    """The labels by which the head service of a cluster is found again; also what it selects the head by."""
    name = cluster["metadata"]["name"]
    template = cluster["spec"]["headGroupSpec"]["template"].get("metadata") or {}
    return {
        CLUSTER_LABEL: name,
        NODE_TYPE_LABEL: HEAD,
        "ray.io/identifier": identifier(name, HEAD),
        APPLICATION_LABEL: (template.get("labels") or {}).get(APPLICATION_LABEL, "kuberay"),
        CREATED_BY_LABEL: "kuberay-operator",
    }


def head_service(cluster: Mapping[str, Any]) -> Obj:
    """The service: headless, so that its name leads to the head itself, also before the head is ready."""
    spec, metadata = cluster["spec"], cluster["metadata"]
    head = spec["headGroupSpec"]
    labels = head_service_labels(cluster)
    given = copy.deepcopy(head.get("headService") or {})
    service = given.setdefault("spec", {})
    service["ports"] = [*(service.get("ports") or []), *_ports(head)]
    service["selector"] = labels
    if head.get("serviceType"):
        service["type"] = head["serviceType"]
    if not head.get("headService") and service.get("type", "ClusterIP") == "ClusterIP":
        service |= {"clusterIP": "None", "publishNotReadyAddresses": True}
    own = given.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": head_service_name(cluster),
            "namespace": metadata["namespace"],
            "labels": {**(own.get("labels") or {}), **labels},
            "annotations": {**(own.get("annotations") or {}), **(spec.get("headServiceAnnotations") or {})},
            "ownerReferences": [controller_reference(cluster)],
        },
        "spec": service,
    }


def _ports(head: Mapping[str, Any]) -> list[Obj]:
    """The ports of the head's container, or Ray's usual ones; metrics are always among them."""
    container = head["template"]["spec"]["containers"][0]
    named = {
        port.get("name") or f"{port['containerPort']}-port": port["containerPort"]
        for port in container.get("ports") or []
    }
    ports = {"metrics": METRICS_PORT, **(named or DEFAULT_PORTS)}
    return [
        {"name": name, "port": port, "appProtocol": "tcp", "protocol": "TCP", "targetPort": port}
        for name, port in sorted(ports.items())
    ]
