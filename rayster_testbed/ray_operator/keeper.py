"""Keeps the pods of one cluster at what its spec says (`reconcilePods`): one step, as far as it gets now."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import structlog

from rayster_testbed.kube import ApiError, KubeClient, Obj, path, path_of
from rayster_testbed.kube_informer import Informer, Key
from rayster_testbed.ray_operator import names
from rayster_testbed.ray_operator.expectations import Expectations
from rayster_testbed.ray_operator.pods import head_pod, worker_pod
from rayster_testbed.ray_operator.status import SUSPENDED, SUSPENDING, desired_replicas, suspend_state

log = structlog.get_logger()

_HEAD_EXPECTATIONS = "headgroup"


class Unfinished(Exception):
    """Something was done that must be seen before the rest can be."""


class ReplicaFailure(Exception):
    """A pod could not be made or deleted; `reason` is that of the condition `ReplicaFailure`."""

    def __init__(self, reason: str, cause: ApiError) -> None:
        super().__init__(f"{reason}\n{cause.message}")
        self.reason = reason
        self.cause = cause


class Tell(Protocol):
    """Records an event on the cluster."""

    def __call__(self, cluster: Obj, kind: str, reason: str, action: str, message: str) -> None: ...


class PodKeeper:
    """Makes and deletes the pods of clusters.

    Args:
        client: of the API server.
        pods: all Ray pods as they are known.
        tell: records events.
    """

    def __init__(self, client: KubeClient, pods: Informer, tell: Tell) -> None:
        self._client = client
        self._pods = pods
        self._tell = tell
        self.expectations = Expectations(pods.items)

    def pods_of(self, cluster: Mapping[str, Any]) -> list[Obj]:
        """All pods that carry the cluster's label, those that are being deleted too, oldest known first."""
        namespace, name = _key(cluster)
        return [
            pod
            for (place, _), pod in self._pods.items.items()
            if place == namespace and (pod["metadata"].get("labels") or {}).get(names.CLUSTER_LABEL) == name
        ]

    async def reconcile(self, cluster: Obj) -> None:
        """One step.

        Raises: Unfinished or ReplicaFailure; what `kube.TROUBLE` names.
        """
        spec = cluster["spec"]
        state = suspend_state(cluster.get("status") or {})
        if state == SUSPENDING:
            await self._delete_all(
                cluster, self.pods_of(cluster), "FailedDeleteAllPods", "FailedToDeletePodCollection"
            )
            where = f"{cluster['metadata']['namespace']}/{cluster['metadata']['name']}"
            words = f"Deleted Pods for RayCluster {where} due to suspension"
            self._tell(cluster, "Normal", "DeletedPod", "Delete", words)
            return
        if state == SUSPENDED or spec.get("suspend"):
            return
        spec_hash = hash_of(spec)
        if await self._deleted_for_new_spec(cluster, spec_hash):
            return
        await self._keep_head(cluster, spec_hash)
        for group in spec.get("workerGroupSpecs") or []:
            await self._keep_group(cluster, group)

    async def _deleted_for_new_spec(self, cluster: Obj, spec_hash: str) -> bool:
        """With `upgradeStrategy: Recreate`, all pods go when the spec is no longer the head's."""
        if (cluster["spec"].get("upgradeStrategy") or {}).get("type") != "Recreate":
            return False
        heads = self._of_type(cluster, names.HEAD)
        known = (heads[0]["metadata"].get("annotations") or {}).get(names.UPGRADE_HASH) if heads else None
        if known in (None, "", spec_hash):
            return False
        await self._delete_all(
            cluster, self.pods_of(cluster), "FailedDeleteAllPods", "FailedToDeletePodCollection"
        )
        self.expectations.forget(_key(cluster))
        where = f"{cluster['metadata']['namespace']}/{cluster['metadata']['name']}"
        words = f"Deleted all Pods for RayCluster {where} due to spec change with Recreate upgradeStrategy"
        self._tell(cluster, "Normal", "DeletedPod", "Delete", words)
        return True

    async def _keep_head(self, cluster: Obj, spec_hash: str) -> None:
        if not self.expectations.met(_key(cluster), _HEAD_EXPECTATIONS):
            return
        heads = self._of_type(cluster, names.HEAD)
        if len(heads) > 1:
            found = [pod["metadata"]["name"] for pod in heads]
            raise Unfinished(f"{len(heads)} head pods found {found}. Please delete extra head pods")
        if not heads:
            pod = await self._create(cluster, head_pod(cluster, spec_hash), "Head")
            self._expect(cluster, _HEAD_EXPECTATIONS, pod, "create")
        elif why := reason_to_delete(heads[0]):
            await self._delete(cluster, heads[0], "Head", f"Deleted head Pod {_words(heads[0])}")
            self._expect(cluster, _HEAD_EXPECTATIONS, heads[0], "delete")
            raise Unfinished(why)

    async def _keep_group(self, cluster: Obj, group: Obj) -> None:
        name, key = group["groupName"], _key(cluster)
        if not self.expectations.met(key, name):
            log.info("group waits for its pods", cluster=key, group=name)
            return
        pods = [
            pod for pod in self.pods_of(cluster) if pod["metadata"]["labels"].get(names.GROUP_LABEL) == name
        ]
        if group.get("suspend"):
            await self._delete_all(
                cluster, pods, "FailedDeleteWorkerPod", "FailedToDeleteWorkerPodCollection"
            )
            where = f"{key[0]}/{key[1]}"
            words = f"Deleted all pods for suspended worker group {name} in RayCluster {where}"
            self._tell(cluster, "Normal", "DeletedWorkerPod", "Delete", words)
            return
        ended = [pod for pod in pods if reason_to_delete(pod)]
        for pod in ended:
            await self._delete(cluster, pod, "Worker", f"Deleted worker Pod {_words(pod)}")
            self._expect(cluster, name, pod, "delete")
        if ended:
            raise Unfinished(f"delete {len(ended)} unhealthy worker Pods")
        deleted = await self._delete_named(cluster, group)
        pods = [pod for pod in pods if pod["metadata"]["name"] not in deleted]
        missing = desired_replicas(group) - len(pods)
        for index in free_indices(pods, missing):
            pod = await self._create(cluster, worker_pod(cluster, group, index), "Worker")
            self._expect(cluster, name, pod, "create")
        # From the front of the list, whatever runs there: who cares which one goes names it.
        for pod in pods[: max(0, -missing)]:
            await self._delete(cluster, pod, "Worker", f"Deleted Pod {_name(pod)}")
            self._expect(cluster, name, pod, "delete")

    async def _delete_named(self, cluster: Obj, group: Obj) -> set[str]:
        """Delete the pods of `workersToDelete`, also when `replicas` did not go down; the list itself stays."""
        deleted = set()
        namespace = cluster["metadata"]["namespace"]
        for name in (group.get("scaleStrategy") or {}).get("workersToDelete") or []:
            pod = {"metadata": {"namespace": namespace, "name": name}}
            if await self._delete(cluster, pod, "Worker", f"Deleted pod {namespace}/{name}"):
                self._expect(cluster, group["groupName"], pod, "delete")
                deleted.add(name)
        return deleted

    def _of_type(self, cluster: Obj, node_type: str) -> list[Obj]:
        return [
            pod
            for pod in self.pods_of(cluster)
            if pod["metadata"]["labels"].get(names.NODE_TYPE_LABEL) == node_type
        ]

    def _expect(self, cluster: Obj, group: str, pod: Obj, action: Any) -> None:
        self.expectations.expect(_key(cluster), group, _key(pod), action)

    async def _create(self, cluster: Obj, pod: Obj, kind: str) -> Obj:
        try:
            made = await self._client.create(path("pods", pod["metadata"]["namespace"]), pod)
        except ApiError as error:
            words = f"Failed to create {kind.lower()} Pod for the cluster {_name(cluster)}, {error.message}"
            self._tell(cluster, "Warning", f"FailedToCreate{kind}Pod", "Create", words)
            raise ReplicaFailure(f"FailedCreate{kind}Pod", error) from error
        words = f"Created {kind.lower()} Pod {_name(made)}"
        self._tell(cluster, "Normal", f"Created{kind}Pod", "Create", words)
        return made

    async def _delete(self, cluster: Obj, pod: Obj, kind: str, words: str) -> bool:
        """Delete a pod; whether it was there."""
        try:
            await self._client.request("DELETE", path_of("pods", pod))
        except ApiError as error:
            if error.status == 404:
                return False
            words = f"Failed deleting pod {_name(pod)}, {error.message}"
            self._tell(cluster, "Warning", f"FailedToDelete{kind}Pod", "Delete", words)
            raise ReplicaFailure(f"FailedDelete{kind}Pod", error) from error
        self._tell(cluster, "Normal", f"Deleted{kind}Pod", "Delete", words)
        return True

    async def _delete_all(self, cluster: Obj, pods: Iterable[Obj], failure: str, event: str) -> None:
        for pod in pods:
            if pod["metadata"].get("deletionTimestamp"):
                continue
            try:
                await self._client.delete(path_of("pods", pod))
            except ApiError as error:
                words = f"Failed deleting Pods for RayCluster {'/'.join(_key(cluster))}, {error.message}"
                self._tell(cluster, "Warning", event, "Delete", words)
                raise ReplicaFailure(failure, error) from error


def reason_to_delete(pod: Mapping[str, Any]) -> str | None:
    """Why a pod is to be replaced, or None: it has ended, or its Ray container has and may not start again."""
    status, spec = pod.get("status") or {}, pod["spec"]
    phase, name = status.get("phase"), pod["metadata"]["name"]
    node_type = pod["metadata"]["labels"].get(names.NODE_TYPE_LABEL)
    if phase in ("Failed", "Succeeded"):
        return (
            f"The {node_type} Pod {name} status is {phase} which is a terminal state. "
            "KubeRay will delete the Pod and create new Pods in the next reconciliation if necessary."
        )
    if phase == "Running" and spec.get("restartPolicy") == "Never" and (ended := _ray_container_end(pod)):
        return (
            f"The Pod status of the {node_type} Pod {name} is {phase}, and the Ray container terminated status is "
            f"{ended}. The container is unable to restart due to its restart policy Never, so KubeRay will delete it."
        )
    return None


def free_indices(pods: Iterable[Mapping[str, Any]], count: int) -> list[int]:
    """The *count* lowest replica numbers that none of the group's pods has."""
    taken = {pod["metadata"]["labels"].get(names.REPLICA_INDEX_LABEL) for pod in pods}
    free: list[int] = []
    index = 0
    while len(free) < count:
        if str(index) not in taken:
            free.append(index)
        index += 1
    return free


def hash_of(spec: Mapping[str, Any]) -> str:
    """A hash of what of a spec would need other pods: not the number of replicas, nor what schedulers add."""
    rest = copy.deepcopy(dict(spec))
    rest.pop("upgradeStrategy", None)
    groups = rest.get("workerGroupSpecs") or []
    for group in groups:
        for field in ("replicas", "minReplicas", "maxReplicas", "scaleStrategy"):
            group.pop(field, None)
    for group in [rest["headGroupSpec"], *groups]:
        for field in ("tolerations", "schedulingGates"):
            group["template"].get("spec", {}).pop(field, None)
    digest = hashlib.sha1(json.dumps(rest, sort_keys=True).encode(), usedforsecurity=False).digest()
    return base64.b32hexencode(digest).decode()


def _ray_container_end(pod: Mapping[str, Any]) -> Obj | None:
    name = pod["spec"]["containers"][0]["name"]
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        if container["name"] == name:
            return (container.get("state") or {}).get("terminated")
    return None


def _key(obj: Mapping[str, Any]) -> Key:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _name(obj: Mapping[str, Any]) -> str:
    return "/".join(_key(obj))


def _words(pod: Mapping[str, Any]) -> str:
    return (
        f"{_name(pod)}; Pod status: {(pod.get('status') or {}).get('phase', '')}; "
        f"Pod restart policy: {pod['spec'].get('restartPolicy', '')}; "
        f"Ray container terminated status: {_ray_container_end(pod)}"
    )
