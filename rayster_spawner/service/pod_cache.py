"""The namespace's pods in memory: as little of each as is needed, found by server and by site, and how old all is."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from .. import interlink
from ..life.pod_status import Pod
from ..offload import PROFILE_LABEL, SITE_LABEL
from ..sites.change import Change

USERNAME = "hub.jupyter.org/username"
SERVERNAME = "hub.jupyter.org/servername"
SPAWN_ID = "rayster.dev/spawn-id"
REQUESTED_AT = "rayster.dev/requested-at"

_LABELS = (PROFILE_LABEL, SITE_LABEL)
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


class PodCache:
    """What the API server said of all pods, and when it was heard last (seconds of a monotonic ``clock``)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.pods: dict[str, Pod] = {}
        self.is_synced = False
        self._clock = clock
        self._heard_at = clock()
        self._uids: dict[ServerName, set[str]] = {}
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
        self.pods, self._uids = {}, {}
        for pod in pods:
            self._add(pod)
        self.is_synced = True
        self.hear()
        for change in list(self._changes.values()):
            change.tell()

    def put(self, pod: Pod) -> None:
        """Add a pod, or what is new of one."""
        self._add(pod)
        self.hear()
        self._tell(pod)

    def remove(self, pod: Pod) -> None:
        """Forget a pod that is gone."""
        uid, server = pod["metadata"]["uid"], server_of(pod)
        self.pods.pop(uid, None)
        if server in self._uids:
            self._uids[server].discard(uid)
            if not self._uids[server]:
                del self._uids[server]
        self.hear()
        self._tell(pod)

    def _add(self, pod: Pod) -> None:
        uid, server = pod["metadata"]["uid"], server_of(pod)
        self.pods[uid] = pod
        if server is not None:
            self._uids.setdefault(server, set()).add(uid)

    def _tell(self, pod: Pod) -> None:
        server = server_of(pod)
        change = self._changes.get(server) if server is not None else None
        if change is not None:
            change.tell()

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
