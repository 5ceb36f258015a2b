"""All that is known of one cluster at a moment, and what follows from it for more than one question. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..life.pod_status import Pod
from ..profiles import Profile
from ..site_facts import HeardJob, SiteState, SiteStatus
from . import names
from .membership import RayHeard
from .records import IDLE_WARNED_AT, RESTARTED_AT, Ended, annotations_of, idle_since, moment_of
from .request import ClusterRequest
from .rows import HEAD_GROUP, is_head
from .view import Idle

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """All that is known of one cluster at a moment.

    ``cluster`` and ``pods`` are as the caches keep them; ``heard`` has what the site says of the job of a pod, by its
    UID, of those in ``ended`` too; ``ray`` is what its Ray says (None: it was never asked); ``ended`` who ended by
    itself; ``profile`` is None when it is not in the profiles file any more; ``now`` is in seconds since the epoch.
    """

    cluster: Object
    pods: Sequence[Pod]
    now: float
    heard: Mapping[str, Sequence[HeardJob]] = field(default_factory=dict)
    ray: RayHeard | None = None
    ended: tuple[Ended, ...] = ()
    profile: Profile | None = None
    site: SiteStatus | None = None
    dashboard_url: str = ""

    @property
    def id(self) -> str:
        """The cluster's id."""
        return self.cluster["metadata"]["name"]

    @property
    def is_suspended(self) -> bool:
        """Whether it shall have no pods."""
        return self.cluster["spec"].get("suspend") is True

    @property
    def group(self) -> Object:
        """The worker group."""
        return next(iter(self.cluster["spec"].get("workerGroupSpecs") or ()), {})

    @property
    def request(self) -> ClusterRequest | None:
        """What was asked for; None when the annotation is not what the service wrote."""
        return _request(annotations_of(self.cluster).get(names.REQUEST, ""))

    def is_sent_away(self, pod: Pod) -> bool:
        """Tell whether somebody wants ``pod`` gone: it is no loss then."""
        is_going = "deletionTimestamp" in self.cluster["metadata"] or self.is_suspended
        victims = (self.group.get("scaleStrategy") or {}).get("workersToDelete") or ()
        return is_going or pod["metadata"]["name"] in victims

    def fresh_ray(self) -> RayHeard | None:
        """Return what Ray says of the head that is there now."""
        heads = {pod["metadata"]["uid"] for pod in self.pods if is_head(pod)}
        return self.ray if self.ray is not None and self.ray.head_uid in heads else None


@lru_cache(maxsize=4096)
def _request(text: str) -> ClusterRequest | None:
    try:
        return ClusterRequest.from_json(text)
    except ValueError:
        return None


def idle_of(facts: Facts) -> Idle | None:
    """Return for how long no driver has been there; None while one is, or while nobody knows."""
    since = idle_since(facts.cluster)
    if since is None or facts.is_suspended:
        return None
    policy = facts.profile.ray.idle if facts.profile is not None and facts.profile.ray is not None else None
    warned_at = moment_of(facts.cluster, IDLE_WARNED_AT)
    stops_in = None
    if policy is not None:
        stops_at = since + 60 * policy.stop_after
        if warned_at is not None:
            stops_at = max(stops_at, warned_at + 60 * policy.warn_before)
        stops_in = max(0, round(stops_at - facts.now))
    return Idle(max(0, round(facts.now - since)), stops_in, warned_at is not None)


def lost_head(facts: Facts) -> Ended | None:
    """Return the head that was lost last, if it had been up and no restart was asked for since."""
    restarted = moment_of(facts.cluster, RESTARTED_AT) or 0
    heads = [one for one in facts.ended if one.group == HEAD_GROUP and one.joined and one.at >= restarted]
    return max(heads, key=lambda one: one.at, default=None)


def is_unreachable(site: SiteStatus | None) -> bool:
    """Tell whether the site's node does not answer; a closed queue, or none, is another thing."""
    return site is not None and site.state is SiteState.UNREACHABLE and site.since is not None
