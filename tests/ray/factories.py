"""Clusters, pods, jobs and nodes of Ray as the tests want them."""

from typing import Any

from rayster_spawner.profiles import ProfileSet
from rayster_spawner.ray import names
from rayster_spawner.ray.facts import Facts
from rayster_spawner.ray.membership import Activity, Member, RayHeard, index_by_pod
from rayster_spawner.ray.records import Ended, ended_of, write_ended
from rayster_spawner.ray.request import ClusterRequest
from rayster_spawner.site_facts import HeardJob, SiteJob

NOW = 1_795_627_000.0
ID = "ray-abcdefghij"
REQUEST = ClusterRequest(
    profile="padova", image="lab", workers=3, cpus=2, memory_mib=2048, gpus=0, walltime_minutes=60
)


def profile(**ray: Any) -> Any:
    """Return a batch profile with Ray workers."""
    amounts = {"cpu": {"max": 8, "default": 2}, "memory": {"max": "16Gi", "default": "2Gi"}}
    told = {
        **amounts,
        "name": "padova",
        "title": "Padova",
        "site": "padova",
        "images": [{"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"}],
        "scheduler": "slurm",
        "walltime": {"max": "8h", "default": "1h"},
        "network": {"mode": "site"},
        "ray": {"version": "2.60.0", "workers": {"max": 8}, "shared_directory": "/work/ray", **ray},
    }
    return ProfileSet.model_validate({"profiles": [told]}).profiles[0]


def cluster(
    replicas: int = 3,
    *,
    suspend: bool | None = None,
    victims: tuple[str, ...] = (),
    deleting: bool = False,
    queue: str | None = None,
    conditions: tuple[dict[str, str], ...] = (),
    state: str | None = "ready",
    ended: tuple[Ended, ...] = (),
    **annotations: str,
) -> dict[str, Any]:
    """Return a RayCluster as the cache keeps it. Annotations are given by their last word, with underscores."""
    labels = {names.PROFILE_LABEL: "padova", names.SITE_LABEL: "padova"}
    if queue is not None:
        labels[names.QUEUE_LABEL] = queue
    metadata = {
        "name": ID,
        "uid": "uid-of-the-cluster",
        "resourceVersion": "7",
        "creationTimestamp": stamp(-300),
        "labels": labels,
        "annotations": {
            names.USERNAME: "ada",
            names.SERVERNAME: "",
            names.REQUEST: REQUEST.as_json(),
            names.REQUESTED_AT: str(NOW - 300),
            **({names.ENDED_WORKERS: write_ended(ended)} if ended else {}),
            **{f"rayster.dev/{name.replace('_', '-')}": value for name, value in annotations.items()},
        },
    }
    if deleting:
        metadata["deletionTimestamp"] = stamp(0)
    group: dict[str, Any] = {"groupName": "w", "replicas": replicas, "minReplicas": 0, "maxReplicas": 8}
    if victims:
        group["scaleStrategy"] = {"workersToDelete": list(victims)}
    spec: dict[str, Any] = {"rayVersion": "2.60.0", "workerGroupSpecs": [group]}
    if suspend is not None:
        spec["suspend"] = suspend
    return {"metadata": metadata, "spec": spec, "status": {"state": state, "conditions": list(conditions)}}


def stamp(seconds: float) -> str:
    """Return a moment as Kubernetes writes it."""
    from datetime import datetime, timezone

    return datetime.fromtimestamp(NOW + seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(
    name: str,
    *,
    head: bool = False,
    phase: str = "Running",
    site: str = "padova",
    job: str | None = "12",
    deleting: bool = False,
    ended_itself: bool = False,
    reason: str | None = None,
    message: str | None = None,
    exit_code: int | None = None,
    age: float = 100,
) -> dict[str, Any]:
    """Return a pod as the cache keeps it."""
    metadata: dict[str, Any] = {
        "name": name,
        "uid": f"uid-of-{name}",
        "creationTimestamp": stamp(-age),
        "labels": {
            names.SITE_LABEL: site,
            names.RAY_CLUSTER_LABEL: ID,
            names.RAY_NODE_TYPE_LABEL: "head" if head else "worker",
            names.RAY_GROUP_LABEL: "headgroup" if head else "w",
        },
        "annotations": {"JobID": job} if job is not None else {},
    }
    if deleting:
        metadata["deletionTimestamp"] = stamp(0)
    status: dict[str, Any] = {"phase": phase, "podIP": "127.0.0.1", "conditions": [], "containerStatuses": []}
    if reason is not None:
        status["reason"] = reason
    if message is not None:
        status["message"] = message
    container = {"name": "ray-head" if head else "ray-worker", "ready": phase == "Running"}
    if exit_code is not None:
        container["state"] = {"terminated": {"exitCode": exit_code}}
    elif phase == "Running":
        container["state"] = {"running": {}}
    status["containerStatuses"] = [container] if "state" in container else []
    spec = {} if phase == "Pending" and job is None else {"nodeName": site}
    found: dict[str, Any] = {"metadata": metadata, "spec": spec, "status": status}
    if ended_itself:
        found["endedItself"] = True
    return found


def job(state: str, *, fresh: bool = True, pod_job: str = "12", **told: Any) -> list[HeardJob]:
    """Return what an agent says of a pod's job."""
    return [HeardJob(SiteJob(id=pod_job, state=state, **told), 4.0 if fresh else 400.0, fresh)]


def node(
    pod_name: str,
    *,
    alive: bool = True,
    head: bool = False,
    began: float = -80,
    ended: float | None = None,
    **told: Any,
) -> Member:
    """Return a node of Ray that began so many seconds from now."""
    known = {"address": "127.60.0.9", "cpus": 0.0 if head else 2.0, **told}
    ended_at = None if ended is None else NOW + ended
    return Member(
        f"node-of-{pod_name}", pod_name, alive, head, started_at=NOW + began, ended_at=ended_at, **known
    )


def ray(
    *members: Member,
    head: str = "head",
    age: float = 1,
    active: bool | None = True,
    idle: float | None = None,
) -> RayHeard:
    """Return what a head that answers says."""
    activity = None if active is None else Activity(active, idle)
    return RayHeard(
        f"uid-of-{head}", age, "session_1", "2.60.0", members, activity, by_pod=index_by_pod(members)
    )


def ended(
    name: str,
    at: float,
    *,
    code: str = "failed",
    why: str = "The job ended with exit status 1.",
    group: str = "w",
    worked: int = 0,
    made: float = -4000,
) -> Ended:
    """Return somebody who ended, and whose pod was made, so many seconds from now."""
    return Ended(name, f"uid-of-{name}", group, code, why, NOW + at, worked > 0, worked, made_at=NOW + made)


def facts(found: dict[str, Any], *pods: dict[str, Any], **known: Any) -> Facts:
    """Return all that is known of a cluster; who has ended is read from its annotation, if it is not given."""

    known.setdefault("profile", profile())
    known.setdefault("ended", ended_of(found))
    return Facts(found, pods, known.pop("now", NOW), **known)


def up(*workers: str, began: float = -80) -> RayHeard:
    """Return the Ray of a head with these workers."""
    return ray(node("head", head=True, began=-90), *(node(name, began=began) for name in workers))


def annotated(found: dict[str, Any], changes: dict[str, str | None]) -> dict[str, Any]:
    """Return a cluster after a step has written its annotations."""
    annotations = {**found["metadata"]["annotations"], **changes}
    kept = {name: value for name, value in annotations.items() if value is not None}
    return {**found, "metadata": {**found["metadata"], "annotations": kept}}
