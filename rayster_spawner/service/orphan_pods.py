"""Finds pods whose server the hub does not know any more, and deletes them; in doubt it leaves them.

They come from a hub that lost its database, or was killed between two steps and never came back to it. What stands
against a wrong deletion: an answer of the hub that is missing, failed, empty while there are pods, or suddenly half as
long proves nothing; a pod must be nobody's in every look for a long while; many at once are for a person to judge.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from logging import Logger
from time import monotonic
from typing import Any, NamedTuple

from kubernetes_asyncio import client
from kubernetes_asyncio.client.rest import ApiException

from ..life.pod_status import Pod
from .hub_client import HubUnknown
from .pod_cache import PodCache, ServerName, server_of

LOOK_SECONDS = 60
# The cluster's word must be newer than this.
_POD_AGE_SECONDS = 60
# Fewer servers than this may end together.
_FEW = 4
# More pods than this, and than there are servers, are not swept: something else is wrong.
_MANY = 10
_DELETE_SECONDS = 10


@dataclass(frozen=True)
class Looked:
    """What the last look found: the number of the hub's servers (None: not asked yet) and, by the UID of each pod
    that is nobody's, since when (monotonic seconds)."""

    servers: int | None = None
    since: Mapping[str, float] = field(default_factory=dict)


class Decision(NamedTuple):
    """What to remember, what to delete (UIDs), and why nothing may be deleted, if so."""

    looked: Looked
    delete: tuple[str, ...] = ()
    doubt: str = ""


def decide(
    before: Looked,
    pods: Mapping[str, ServerName],
    active: set[ServerName] | None,
    now: float,
    grace_seconds: float,
) -> Decision:
    """Return which pods to delete.

    Arguments: ``pods`` are those of spawners that are not going already, by UID; ``active`` the hub's servers, None
    when it did not say; ``now`` is in monotonic seconds; ``grace_seconds`` for how long a pod must be nobody's.
    """
    if active is None:
        return Decision(before)
    if pods and not active:
        return Decision(Looked(0), doubt="the hub says that it has no server at all")
    if before.servers is not None and before.servers >= _FEW and 2 * len(active) <= before.servers:
        doubt = f"the hub has {len(active)} servers where it had {before.servers}"
        return Decision(Looked(len(active)), doubt=doubt)
    since = {uid: before.since.get(uid, now) for uid, server in pods.items() if server not in active}
    looked = Looked(len(active), since)
    if len(since) > max(_MANY, len(active)):
        doubt = (
            f"{len(since)} pods are nobody's, beside {len(active)} servers; delete them by hand if that is so"
        )
        return Decision(looked, doubt=doubt)
    return Decision(looked, tuple(uid for uid, seen in since.items() if now - seen >= grace_seconds))


class OrphanSweep:
    """Looks once a minute and deletes.

    Arguments: ``ask_hub`` returns the hub's servers or raises HubUnknown; ``api`` is a CoreV1Api.
    """

    def __init__(
        self,
        pods: PodCache,
        ask_hub: Callable[[], Awaitable[set[ServerName]]],
        api: Any,
        namespace: str,
        grace_seconds: float,
        log: Logger,
        clock: Callable[[], float] = monotonic,
    ):
        self._pods, self._ask_hub, self._api, self._namespace = pods, ask_hub, api, namespace
        self._grace_seconds, self._log, self._clock = grace_seconds, log, clock
        self._looked = Looked()
        self._doubt = ""

    async def run(self, look_seconds: float = LOOK_SECONDS) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(look_seconds)
            try:
                await self.look()
            except Exception:
                self._log.exception("A look for orphan pods failed")

    async def look(self) -> None:
        """Look once."""
        if not self._pods.is_synced or self._pods.age_seconds > _POD_AGE_SECONDS:
            self._note("the cluster does not answer")
            return
        # The hub is asked first: a pod that is made meanwhile is of a server that it knew by then.
        doubt = ""
        try:
            active = await self._ask_hub()
        except HubUnknown as error:
            active, doubt = None, str(error)
        pods = {uid: server for uid, pod in self._pods.pods.items() if (server := _candidate(pod))}
        decision = decide(self._looked, pods, active, self._clock(), self._grace_seconds)
        self._looked = decision.looked
        self._note(doubt or decision.doubt)
        for uid in decision.delete:
            await self._delete(uid)

    def _note(self, doubt: str) -> None:
        if doubt != self._doubt:
            self._doubt = doubt
            if doubt:
                self._log.warning("No orphan pod is looked for: %s", doubt)

    async def _delete(self, uid: str) -> None:
        pod = self._pods.pods.get(uid)
        if pod is None:
            return
        name = pod["metadata"]["name"]
        self._log.warning("Deleting pod %s: the hub knows no such server of %s", name, server_of(pod))
        # The grace period is the pod's own, so that a virtual node hears of it and cancels the job.
        options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
        try:
            await self._api.delete_namespaced_pod(
                name, self._namespace, body=options, _request_timeout=_DELETE_SECONDS
            )
        except ApiException as error:
            if error.status not in (404, 409):
                self._log.warning("Pod %s cannot be deleted: HTTP %s", name, error.status)
        except Exception as error:
            self._log.warning("Pod %s cannot be deleted: %s", name, error or type(error).__name__)


def _candidate(pod: Pod) -> ServerName | None:
    return None if "deletionTimestamp" in pod["metadata"] else server_of(pod)
