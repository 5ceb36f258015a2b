"""What all answers about clusters need: who asks, which cluster, what Kubernetes says, and who else is being served."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ..options import FieldError, OptionsError
from ..profiles import Profile
from ..ray import names
from ..ray.limits import Held, merged, refusal
from ..ray.ports import HeadPorts
from ..ray.request import ClusterRequest
from ..ray.steps import Step, as_patch
from ..text import shown
from .access import Asker
from .base import ApiError
from .claims import Claim
from .cluster_objects import Cluster, user_of
from .json_body import JsonBody
from .ray_objects import Away, Refused

# A change is seen by the watch within milliseconds; an answer that comes before that would show what was.
_SEEN_SECONDS = 3

Answer = TypeVar("Answer")


def group_of(cluster: Cluster) -> dict[str, Any]:
    """Return the worker group of a RayCluster."""
    groups = cluster["spec"].get("workerGroupSpecs") or []
    return next((group for group in groups if group.get("groupName") == names.WORKER_GROUP), {})


def request_of(cluster: Cluster) -> ClusterRequest | None:
    """Return what was asked for, None when the annotation is not as the service wrote it."""
    try:
        return ClusterRequest.from_json(cluster["metadata"]["annotations"].get(names.REQUEST, ""))
    except ValueError:
        return None


def held_of(cluster: Cluster) -> Held:
    """Return what a cluster counts for. Workers that the service took away are its user's until it is deleted."""
    metadata, request = cluster["metadata"], request_of(cluster)
    workers = int(group_of(cluster).get("replicas") or 0)
    if request is not None:
        workers = max(workers, request.workers)
    profile = (metadata.get("labels") or {}).get(names.PROFILE_LABEL, "")
    return Held(metadata["name"], user_of(cluster), profile, workers)


def unknown(name: str) -> ApiError:
    """Return the one answer for a cluster that is not there, or not this one's to see."""
    return ApiError(404, "not-found", f"There is no cluster {shown(name)} of yours.")


def wrong_fields(error: OptionsError) -> ApiError:
    """Return what is wrong with a request, field by field."""
    code = {400: "bad-request", 403: "forbidden", 404: "not-found"}[error.status]
    return ApiError(error.status, code, "\n".join(map(str, error.errors)), error.errors)


def wrong_field(field: str, value: Any, reason: str, status: int = 400) -> ApiError:
    """Return what is wrong with one field."""
    return wrong_fields(OptionsError([FieldError(field, shown(value), reason)], status))


def _is_since(cluster: Cluster, version: str) -> bool:
    """Tell whether ``cluster`` is as it was at ``version``, or later."""
    known = cluster["metadata"]["resourceVersion"]
    # Versions are opaque by contract, and numbers in every API server (Kubernetes 1.35 makes that the contract).
    return known == version or (known.isdecimal() and version.isdecimal() and int(known) > int(version))


class ClusterHandler(JsonBody):
    """A handler of clusters."""

    def user_to_list(self, asker: Asker) -> str | None:
        """Return whose clusters are asked for: one's own; for administrators everybody's (None), or those of `?user=`.

        Raises ApiError 403.
        """
        user = self.get_query_argument("user", None)
        if user is not None and not asker.may_touch(user):
            raise ApiError(403, "forbidden", "only administrators see the clusters of others")
        return asker.name or "" if user is None and not asker.is_admin else user

    async def asker(self) -> Asker:
        """Return who asks. Raises HTTPError."""
        return await self.parts.access.asker(self.authorization)

    def know_clusters(self) -> None:
        """Raise ApiError 503 while nobody knows which clusters there are."""
        clusters = self.parts.clusters
        if not self.parts.settings.token:
            raise ApiError(
                503, "no-token", "The service has no token of the hub, and makes no clusters without."
            )
        if not (clusters.is_synced and self.parts.pods.is_synced):
            self.set_header("Retry-After", "2")
            raise ApiError(
                503, "unavailable", "The service has only just started. Try again in some seconds."
            )
        if clusters.not_served:
            raise ApiError(503, "not-served", f"There are no Ray clusters here: {clusters.not_served}")

    def cluster_of(self, asker: Asker, name: str) -> Cluster:
        """Return a cluster. Raises ApiError: 404 alike for one that is not there and for somebody else's."""
        self.know_clusters()
        cluster = self.parts.clusters.get(name) if names.is_cluster_id(name) else None
        if cluster is None or not asker.may_touch(user_of(cluster)):
            raise unknown(name)
        return cluster

    def entered(self, asker: Asker, name: str) -> Cluster:
        """Return a cluster in which somebody may run code. Raises ApiError 404, or 403 for an administrator."""
        cluster = self.cluster_of(asker, name)
        if not asker.may_enter(user_of(cluster)):
            raise ApiError(
                403, "forbidden", "to enter somebody's cluster takes the right to enter their servers"
            )
        return cluster

    def profile_of(self, cluster: Cluster) -> Profile:
        """Return the profile that a cluster was made with, as it is now. Raises ApiError when it is none any more."""
        name = (cluster["metadata"].get("labels") or {}).get(names.PROFILE_LABEL, "")
        profile = self.parts.profiles().get(name)
        if profile is None or profile.ray is None:
            raise ApiError(409, "profile-gone", f"The profile {shown(name)} has no Ray workers any more.")
        return profile

    async def ask_kubernetes(self, request: Awaitable[Answer]) -> Answer:
        """Return what Kubernetes answers. Raises ApiError when it refuses, or is away."""
        try:
            return await request
        except Away as error:
            self.parts.log.warning("The API server does not do what a user asked for: %s", error)
            self.set_header("Retry-After", "5")
            raise ApiError(
                503,
                "cluster-away",
                "Kubernetes does not answer at the moment. Nothing was made; try again later.",
            ) from None
        except Refused as error:
            self.parts.log.warning("The API server refuses what a user asked for: %s", error)
            raise ApiError(409, "refused", f"Kubernetes refuses it: {error}") from None

    async def take(self, cluster: Cluster, step_for: Callable[[Cluster], Step]) -> None:
        """Change a cluster and answer with what it is then. Raises ApiError."""
        name, uid = cluster["metadata"]["name"], cluster["metadata"]["uid"]
        changed = await self.ask_kubernetes(
            self.parts.objects.change(name, uid, lambda now: as_patch(now, step_for(now)))
        )
        if changed is None:
            raise unknown(name)
        version = changed["metadata"]["resourceVersion"]
        await self.seen(name, lambda known: known is None or _is_since(known, version))
        self.tell(name)

    async def seen(self, name: str, what: Callable[[Cluster | None], bool]) -> None:
        """Wait until the cache has what is asked of a cluster, but not for long: an outage must not hold an answer."""
        bell = asyncio.Event()
        deadline = time.monotonic() + _SEEN_SECONDS
        change = self.parts.clusters.change_of(name)
        with change.ringing(bell):
            while not what(self.parts.clusters.get(name)):
                bell.clear()
                try:
                    await asyncio.wait_for(bell.wait(), max(0.0, deadline - time.monotonic()))
                except asyncio.TimeoutError:
                    return

    def tell(self, name: str, status: int = 200) -> None:
        """Answer with the view of a cluster. Raises ApiError when it is gone."""
        view = self.parts.clusters.view(name)
        if view is None:
            raise unknown(name)
        self.parts.clusters.note_asked(name)
        self.set_status(status)
        self.write(view.as_json())

    def held(self) -> list[Held]:
        """Return the clusters that count, those that are being made or grown among them."""
        known = [held_of(cluster) for cluster in self.parts.clusters.all()]
        return merged(known, [claim.held for claim in self.parts.claims.open(known)])

    def claim(self, profile: Profile, wanted: Held, ports: HeadPorts | None = None) -> Claim:
        """Claim a place for ``wanted``, in one step with the look whether there is one. Raises ApiError 409."""
        if reason := refusal(profile, wanted, self.held()):
            raise ApiError(409, "limit", reason)
        return self.parts.claims.add(wanted, ports)
