"""The namespace's pods in memory: as little of each as is needed, found by server and by site, and how old all is."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from .. import interlink
from ..life.pod_status import Pod
from ..offload import PROFILE_LABEL, SITE_LABEL
from ..ray.names import RAY_CLUSTER_LABEL, RAY_GROUP_LABEL, RAY_NODE_TYPE_LABEL
from ..ray.rows import ENDED_ITSELF
from ..sites.change import Change

USERNAME = "hub.jupyter.org/username"
SERVERNAME = "hub.jupyter.org/servername"
SPAWN_ID = "rayster.dev/spawn-id"
REQUESTED_AT = "rayster.dev/requested-at"

_LABELS = (PROFILE_LABEL, SITE_LABEL, RAY_CLUSTER_LABEL, RAY_NODE_TYPE_LABEL, RAY_GROUP_LABEL)
_ANNOTATIONS = (USERNAME, SERVERNAME, SPAWN_ID, REQUESTED_AT, interlink.JOB_ID_ANNOTATION)
_METADATA = ("name", "uid", "creationTimestamp", "deletionTimestamp")
_STATUS = ("phase", "reason", "message", "podIP")
_CONDITION = ("type", "status", "reason", "message")
_CONTAINER = ("name", "ready", "state")


class ServerName(NamedTuple):
    """Whose server, and which of theirs (the default one has an empty name)."""

    user: str
    server: str


def trim(pod: Pod) -> Pod:
    """Return what is needed of ``pod``. Its environment is not: it holds the server's token."""
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    return {
        "metadata": {
            **_some(metadata, _METADATA),
            "labels": _some(metadata.get("labels") or {}, _LABELS),
            "annotations": _some(metadata.get("annotations") or {}, _ANNOTATIONS),
        },
        "spec": _some(pod.get("spec") or {}, ("nodeName",)),
        "status": {
            **_some(status, _STATUS),
            "conditions": [
                _some(condition, _CONDITION)
                for condition in status.get("conditions") or []
                if condition.get("type") == "PodScheduled"
            ],
            "containerStatuses": [_some(c, _CONTAINER) for c in status.get("containerStatuses") or []],
        },
    }


def _some(mapping: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: mapping[key] for key in keys if mapping.get(key) is not None}


def server_of(pod: Pod) -> ServerName | None:
    """Return whose server ``pod`` is, or None when no RaySTER spawner made it."""
    annotations = pod["metadata"]["annotations"]
    if USERNAME not in annotations or SPAWN_ID not in annotations:
        return None
    return ServerName(annotations[USERNAME], annotations.get(SERVERNAME, ""))


def cluster_of(pod: Pod) -> str | None:
    """Return the Ray cluster that ``pod`` is the head or a worker of, or None."""
    return pod["metadata"]["labels"].get(RAY_CLUSTER_LABEL)


def _is_over(pod: Pod) -> bool:
    status = pod["status"]
    return status.get("phase") in ("Failed", "Succeeded") or any(
        "terminated" in (container.get("state") or {}) for container in status["containerStatuses"]
    )


def _ended_itself(pod: Pod, before: Pod | None) -> bool:
    """Tell whether ``pod`` ended before anybody deleted it. Its last phase does not tell: all end."""
    if before is not None and ENDED_ITSELF in before:
        return True
    return "deletionTimestamp" not in pod["metadata"] and _is_over(pod)


class PodCache:
    """What the API server said of all pods, and when it was heard last (seconds of a monotonic ``clock``)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.pods: dict[str, Pod] = {}
        self.is_synced = False
        self._clock = clock
        self._heard_at = clock()
        self._uids: dict[ServerName, set[str]] = {}
        self._of_cluster: dict[str, set[str]] = {}
        self._listeners: list[Callable[[Pod, bool], None]] = []
        # Held by the streams that wait for them, and gone with the last of these.
        self._changes: WeakValueDictionary[ServerName, Change] = WeakValueDictionary()

    @property
    def age_seconds(self) -> float:
        """How long ago the API server was heard."""
        return self._clock() - self._heard_at

    def hear(self) -> None:
        """Note that the API server spoke, so that what is here is as it is there."""
        self._heard_at = self._clock()

    def replace(self, pods: Iterable[Pod]) -> None:
        """Take ``pods`` (as `trim` returns them) for all there are."""
        before, self.pods = self.pods, {}
        self._uids, self._of_cluster = {}, {}
        for pod in pods:
            self._add(pod, before.get(pod["metadata"]["uid"]))
        self.is_synced = True
        self.hear()
        for change in list(self._changes.values()):
            change.tell()
        for uid, pod in before.items():
            if uid not in self.pods:
                self._tell_listeners(pod, True)
        for pod in list(self.pods.values()):
            self._tell_listeners(pod, False)

    def put(self, pod: Pod) -> None:
        """Add a pod, or what is new of one."""
        self._add(pod, self.pods.get(pod["metadata"]["uid"]))
        self.hear()
        self._tell(pod)
        self._tell_listeners(pod, False)

    def remove(self, pod: Pod) -> None:
        """Forget a pod that is gone."""
        uid, server, cluster = pod["metadata"]["uid"], server_of(pod), cluster_of(pod)
        before = self.pods.pop(uid, None)
        if server in self._uids:
            self._uids[server].discard(uid)
            if not self._uids[server]:
                del self._uids[server]
        if cluster in self._of_cluster:
            self._of_cluster[cluster].discard(uid)
            if not self._of_cluster[cluster]:
                del self._of_cluster[cluster]
            if _ended_itself(pod, before):
                pod[ENDED_ITSELF] = True
        self.hear()
        self._tell(pod)
        self._tell_listeners(pod, True)

    def _add(self, pod: Pod, before: Pod | None) -> None:
        uid, server, cluster = pod["metadata"]["uid"], server_of(pod), cluster_of(pod)
        self.pods[uid] = pod
        if cluster is not None:
            self._of_cluster.setdefault(cluster, set()).add(uid)
            if _ended_itself(pod, before):
                pod[ENDED_ITSELF] = True
        if server is not None:
            self._uids.setdefault(server, set()).add(uid)

    def _tell(self, pod: Pod) -> None:
        server = server_of(pod)
        change = self._changes.get(server) if server is not None else None
        if change is not None:
            change.tell()

    def listen(self, listener: Callable[[Pod, bool], None]) -> None:
        """Call ``listener`` with each pod of a Ray cluster that is new or another, or that is gone (then with True)."""
        self._listeners.append(listener)

    def _tell_listeners(self, pod: Pod, is_gone: bool) -> None:
        if self._listeners and cluster_of(pod) is not None:
            for listener in self._listeners:
                listener(pod, is_gone)

    def of_cluster(self, cluster: str) -> list[Pod]:
        """Return the pods of a Ray cluster, oldest first."""
        pods = [self.pods[uid] for uid in self._of_cluster.get(cluster, ())]
        return sorted(
            pods, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"])
        )

    def of_server(self, server: ServerName) -> Pod | None:
        """Return the pod of a server: the newest one, one that is not going if there is such."""

        def worth(pod: Pod) -> tuple[bool, str]:
            metadata = pod["metadata"]
            return "deletionTimestamp" not in metadata, metadata.get("creationTimestamp", "")

        return max((self.pods[uid] for uid in self._uids.get(server, ())), key=worth, default=None)

    def of_site(self, site: str, nodes: Iterable[str]) -> list[str]:
        """Return the UIDs of all pods of a site, whoever made them: by their label, or by the node they are on."""
        names = {site, *nodes}
        return [
            uid
            for uid, pod in self.pods.items()
            if pod["metadata"]["labels"].get(SITE_LABEL) == site or pod["spec"].get("nodeName") in names
        ]

    def job_of(self, uid: str) -> str | None:
        """Return the job that a pod follows, by interLink's word, or None when it has none yet."""
        return self.pods[uid]["metadata"]["annotations"].get(interlink.JOB_ID_ANNOTATION)

    def change_of(self, server: ServerName) -> Change:
        """Return what rings when the pod of a server changes. Keep it as long as you wait."""
        change = self._changes.get(server)
        if change is None:
            change = self._changes[server] = Change()
        return change
