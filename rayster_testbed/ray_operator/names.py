"""KubeRay's names: labels, annotations, ports, and how objects of a cluster are called (`utils/constant.go`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rayster_testbed.kube import Obj

API = "apis/ray.io/v1"
API_VERSION = "ray.io/v1"
KIND = "RayCluster"
PLURAL = "rayclusters"
KUBERAY_VERSION = "v1.7.0"
CLUSTER_DOMAIN = "cluster.local"
MANAGER = "ray.io/kuberay-operator"

NodeType = Literal["head", "worker"]
HEAD: NodeType = "head"
WORKER: NodeType = "worker"
HEAD_GROUP = "headgroup"

CLUSTER_LABEL = "ray.io/cluster"
NODE_TYPE_LABEL = "ray.io/node-type"
GROUP_LABEL = "ray.io/group"
REPLICA_INDEX_LABEL = "ray.io/worker-group-replica-index"
APPLICATION_LABEL = "app.kubernetes.io/name"
CREATED_BY_LABEL = "app.kubernetes.io/created-by"
# Only pods with this label reach the operator's cache, as with the real one.
POD_SELECTOR = f"{CREATED_BY_LABEL}=kuberay-operator"

OVERWRITE_COMMAND = "ray.io/overwrite-container-cmd"
UPGRADE_HASH = "ray.io/upgrade-strategy-recreate-hash"
KUBERAY_VERSION_ANNOTATION = "ray.io/kuberay-version"
FAULT_TOLERANCE = "ray.io/ft-enabled"

METRICS_PORT = 8080
AGENT_PORT = 52365
GCS_PORT = 6379
DEFAULT_PORTS = {
    "client": 10001,
    "gcs-server": GCS_PORT,
    "dashboard": 8265,
    "metrics": METRICS_PORT,
    "serve": 8000,
}

LONGEST_CLUSTER_NAME = 53
_LONGEST_PREFIX = 50
_LONGEST_LABEL = 63


def labels(
    node_type: NodeType, cluster: str, group: str, own: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The labels of a pod; its template may have others, and change all but those that say which pod it is."""
    fixed = {CLUSTER_LABEL: cluster, NODE_TYPE_LABEL: node_type, GROUP_LABEL: group}
    defaults = {
        "ray.io/is-ray-node": "yes",
        "ray.io/identifier": identifier(cluster, node_type),
        APPLICATION_LABEL: "kuberay",
        CREATED_BY_LABEL: "kuberay-operator",
    }
    return defaults | dict(own or {}) | fixed


def identifier(cluster: str, node_type: NodeType) -> str:
    """The value of `ray.io/identifier`: the end of it when it is too long for a label."""
    return f"{cluster}-{node_type}"[-_LONGEST_LABEL:]


def pod_prefix(cluster: str, node_type: NodeType, group: str = "") -> str:
    """The `generateName` of a pod."""
    prefix = f"{cluster}-{group}" if group else cluster
    return f"{prefix[:_LONGEST_PREFIX]}-{node_type}-".lower()


def secret_name(cluster: str) -> str:
    """The secret with the token of a cluster: the last 50 characters of its name, never a digit or a dash first."""
    name = cluster[-_LONGEST_PREFIX:]
    return name if name[0].isalpha() else f"r{name[1:]}"


def head_service_name(cluster: Mapping[str, Any]) -> str:
    """The head service: `<cluster>-head-svc` unless the spec gives a name."""
    given = ((cluster["spec"]["headGroupSpec"].get("headService") or {}).get("metadata") or {}).get("name")
    return given or f"{cluster['metadata']['name']}-head-svc"


def head_address(cluster: Mapping[str, Any]) -> str:
    """The full name of the head service, which KubeRay hands to the workers."""
    return f"{head_service_name(cluster)}.{cluster['metadata']['namespace']}.svc.{CLUSTER_DOMAIN}"


def controller_reference(cluster: Mapping[str, Any]) -> Obj:
    """The owner reference of everything that the operator makes."""
    metadata = cluster["metadata"]
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def uses_token(spec: Mapping[str, Any]) -> bool:
    """Whether Ray's own authentication is on."""
    return (spec.get("authOptions") or {}).get("mode") == "token"
