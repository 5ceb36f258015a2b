"""What the service does to a cluster: one patch that is taken as a whole or not at all. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from . import names
from .records import IDLE_WARNED_AT, RESTARTED_AT, RESTARTING, annotations_of

# For a JSON patch (RFC 6902), whose paths escape `~` and `/`.
_ESCAPES: Final = str.maketrans({"~": "~0", "/": "~1"})

Cluster = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """A change of a RayCluster, and why, for the log.

    ``annotations`` are to be written (None: removed); ``replicas`` and ``victims`` go together, because KubeRay chooses
    for itself whom it deletes when nobody is named. ``delete`` ends the cluster for good.
    """

    why: str
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    replicas: int | None = None
    victims: Sequence[str] = ()
    suspend: bool | None = None
    delete: bool = False


def as_patch(cluster: Cluster, step: Step) -> list[dict[str, Any]]:
    """Return the JSON patch of ``step``, which the API server refuses when the cluster is another one by then."""
    metadata = cluster["metadata"]
    patch: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
    ]
    present = annotations_of(cluster)
    for name, value in step.annotations.items():
        path = f"/metadata/annotations/{name.translate(_ESCAPES)}"
        if value is not None:
            patch.append({"op": "add", "path": path, "value": value})
        elif name in present:
            patch.append({"op": "remove", "path": path})
    if step.replicas is not None:
        group = f"/spec/workerGroupSpecs/{_group_index(cluster)}"
        patch += [
            {"op": "test", "path": f"{group}/groupName", "value": names.WORKER_GROUP},
            {"op": "add", "path": f"{group}/replicas", "value": step.replicas},
            {"op": "add", "path": f"{group}/scaleStrategy", "value": {"workersToDelete": list(step.victims)}},
        ]
    if step.suspend is not None:
        patch.append({"op": "add", "path": "/spec/suspend", "value": step.suspend})
    return patch


def scale(workers: int, victims: Sequence[str], now: float) -> Step:
    """Return the step to ``workers`` workers, as their user wants it: past failures do not count any more.

    ``victims`` are the pods that go; ``now`` is in seconds since the epoch.
    """
    annotations = {names.STOPPED_BECAUSE: None, RESTARTED_AT: f"{now:.3f}"}
    return Step(f"its user wants {workers} workers", annotations, workers, victims)


def restart(workers: int, now: float) -> Step:
    """Return the first step of a restart: all pods go; `resume` follows when they are gone.

    ``now`` is in seconds since the epoch.
    """
    annotations = {
        RESTARTING: f"{now:.3f}",
        RESTARTED_AT: f"{now:.3f}",
        names.STOPPED_BECAUSE: None,
        names.IDLE_SINCE: None,
        IDLE_WARNED_AT: None,
    }
    return Step("its user restarts it", annotations, workers, (), True)


def resume(cluster: Cluster, pods: int) -> Step | None:
    """Return the last step of a restart, None while ``pods`` old pods are still there.

    A queue of Kueue lets the cluster run again itself.
    """
    if pods:
        return None
    is_queued = names.QUEUE_LABEL in (cluster["metadata"].get("labels") or {})
    return Step("its old pods are gone", {RESTARTING: None}, suspend=None if is_queued else False)


def _group_index(cluster: Cluster) -> int:
    groups = cluster["spec"].get("workerGroupSpecs") or ()
    return next(i for i, group in enumerate(groups) if group.get("groupName") == names.WORKER_GROUP)
