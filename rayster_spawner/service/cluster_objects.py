"""A RayCluster as the service keeps it: as little of it as is needed."""

from collections.abc import Iterable
from typing import Any

from ..ray import names
from ..ray.records import IDLE_WARNED_AT, RESTARTED_AT, RESTARTING

Cluster = dict[str, Any]

_ANNOTATIONS = (
    names.USERNAME,
    names.SERVERNAME,
    names.REQUEST,
    names.REQUESTED_AT,
    names.TITLE,
    names.NETWORK,
    names.GCS_PORT,
    names.DASHBOARD_PORT,
    names.ENDED_WORKERS,
    names.IDLE_SINCE,
    names.STOPPED_BECAUSE,
    IDLE_WARNED_AT,
    RESTARTED_AT,
    RESTARTING,
)
_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
    "ownerReferences",
)
_SPEC = ("rayVersion", "suspend")
_GROUP = ("groupName", "replicas", "minReplicas", "maxReplicas", "scaleStrategy")
_CONDITION = ("type", "status", "reason", "message")


def trim(cluster: Cluster) -> Cluster:
    """Return what is needed of a RayCluster; its pod templates are not."""
    metadata, spec, status = (cluster.get(part) or {} for part in ("metadata", "spec", "status"))
    annotations = metadata.get("annotations") or {}
    return {
        "metadata": {
            **{key: metadata[key] for key in _METADATA if metadata.get(key) is not None},
            "annotations": {key: annotations[key] for key in _ANNOTATIONS if key in annotations},
        },
        "spec": {
            **{key: spec[key] for key in _SPEC if key in spec},
            "workerGroupSpecs": [
                {key: group[key] for key in _GROUP if key in group}
                for group in spec.get("workerGroupSpecs") or []
            ],
        },
        "status": {
            "state": status.get("state"),
            "conditions": [
                {key: condition.get(key) for key in _CONDITION}
                for condition in status.get("conditions") or []
                if condition.get("type") in ("ReplicaFailure", "RayClusterSuspended")
            ],
        },
    }


def is_ours(cluster: Cluster) -> bool:
    """Tell whether the service made a RayCluster."""
    return names.REQUEST in cluster["metadata"]["annotations"]


def user_of(cluster: Cluster) -> str:
    """Return whose a cluster is."""
    return cluster["metadata"]["annotations"].get(names.USERNAME, "")


def oldest_first(clusters: Iterable[Cluster]) -> list[Cluster]:
    """Return ``clusters`` in the order of their making."""
    return sorted(
        clusters, key=lambda one: (one["metadata"].get("creationTimestamp", ""), one["metadata"]["name"])
    )
