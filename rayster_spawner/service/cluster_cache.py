"""The namespace's Ray clusters in memory: their objects, what their own Ray said, who ended; and the view of each."""

import time
from collections.abc import Awaitable, Callable, Iterable
from logging import Logger
from typing import Any
from weakref import WeakValueDictionary

from ..life.pod_status import Pod
from ..ray import names
from ..ray.facts import Facts
from ..ray.membership import RayHeard
from ..ray.policy import whom_to_send_away
from ..ray.records import Ended, ended_of
from ..ray.rows import end_of, learned, site_of
from ..ray.status import view_cluster
from ..ray.view import ClusterView
from ..sites import Sites
from ..sites.change import Change
from .attention import Attention
from .cluster_objects import Cluster, is_ours, oldest_first, trim, user_of
from .pod_cache import PodCache, cluster_of
from .pod_feed import WATCH_SECONDS, Feed

_FEW = 20
# Of who has ended and was not written down yet; a bound for a cluster that nothing can be written to.
_MAX_ENDED = 50


class ClusterCache(Attention):
    """All clusters, and what changes of them.

    Arguments: ``pods`` and ``sites`` are the service's; ``base_url`` is its prefix, for links; ``clock`` counts
    monotonic seconds, ``wall_clock`` seconds since the epoch.
    """

    def __init__(
        self,
        pods: PodCache,
        sites: Sites,
        base_url: str = "/",
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ):
        super().__init__(clock)
        self.is_synced = False
        # Why there are no Ray clusters at all; empty where there may be some.
        self.not_served = ""
        self._pods, self._sites, self._base_url = pods, sites, base_url
        self._wall_clock = wall_clock
        self._heard_at = clock()
        self._clusters: dict[str, Cluster] = {}
        self._of_user: dict[str, set[str]] = {}
        self._ray: dict[str, tuple[RayHeard, float]] = {}
        self._ended: dict[str, dict[str, Ended]] = {}
        # Told as they are in lists of many, until something changes, or somebody renews them.
        self._views: dict[str, ClusterView] = {}
        self.changed = Change()
        # Held by the streams that wait for them, and gone with the last of these. By cluster, and by user.
        self._changes: WeakValueDictionary[str, Change] = WeakValueDictionary()
        self._user_changes: WeakValueDictionary[str, Change] = WeakValueDictionary()
        self._listeners: list[Callable[[str], None]] = []
        pods.listen(self._hear_pod)

    # What the API server says

    @property
    def age_seconds(self) -> float:
        """How long ago the API server was heard."""
        return self._clock() - self._heard_at

    def hear(self) -> None:
        """Note that the API server spoke."""
        self._heard_at = self._clock()

    def refuse(self, why: str) -> None:
        """Note that there are no Ray clusters here: their definition is missing, or nobody may see them."""
        self.not_served = why
        self.replace([])

    def replace(self, clusters: Iterable[Cluster]) -> None:
        """Take ``clusters`` (as `trim` returns them) for all there are."""
        before = {name: user_of(cluster) for name, cluster in self._clusters.items()}
        self._clusters, self._of_user = {}, {}
        for cluster in filter(is_ours, clusters):
            self._add(cluster)
        for gone in before.keys() - self._clusters.keys():
            self._forget(gone)
        self.is_synced = True
        self.hear()
        for name, user in (before | {name: user_of(one) for name, one in self._clusters.items()}).items():
            self._tell(name, user)

    def put(self, cluster: Cluster) -> None:
        """Add a cluster, or what is new of one."""
        self.hear()
        if is_ours(cluster):
            self.not_served = ""
            self._add(cluster)
            self._tell(cluster["metadata"]["name"], user_of(cluster))

    def remove(self, cluster: Cluster) -> None:
        """Forget a cluster that is gone."""
        self.hear()
        name = cluster["metadata"]["name"]
        known = self._clusters.pop(name, None)
        if known is not None:
            mine = self._of_user.get(user_of(known), set())
            mine.discard(name)
            if not mine:
                self._of_user.pop(user_of(known), None)
            self._forget(name)
            self._tell(name, user_of(known))

    def _add(self, cluster: Cluster) -> None:
        name = cluster["metadata"]["name"]
        self._clusters[name] = cluster
        self._of_user.setdefault(user_of(cluster), set()).add(name)
        if (ended := self._ended.get(name)) is not None:
            for one in ended_of(cluster):
                ended.pop(one.uid, None)

    def _forget(self, name: str) -> None:
        for memory in (self._ray, self._ended, self._views):
            memory.pop(name, None)
        self.forget_asked(name)

    def _hear_pod(self, pod: Pod, is_gone: bool) -> None:
        name = cluster_of(pod)
        if name is None or (cluster := self._clusters.get(name)) is None:
            return
        facts = Facts(cluster, (pod,), self._wall_clock())
        uid = pod["metadata"]["uid"]
        ended = end_of(
            pod,
            self._sites.jobs_of(site_of(pod), uid),
            self.ray(name),
            self._wall_clock(),
            sent_away=facts.is_sent_away(pod),
            is_gone=is_gone,
        )
        if ended is not None and uid not in {one.uid for one in ended_of(cluster)}:
            known = self._ended.setdefault(name, {})
            known.setdefault(uid, ended)
            while len(known) > _MAX_ENDED:
                del known[next(iter(known))]
        self._tell(name, user_of(cluster))

    # What their Ray says

    def ray(self, name: str) -> RayHeard | None:
        """Return what the cluster's Ray said last, and how long ago."""
        if (known := self._ray.get(name)) is None:
            return None
        heard, at = known
        return RayHeard(**{**heard.__dict__, "age_seconds": max(0.0, self._clock() - at)})

    def hear_ray(self, name: str, heard: RayHeard) -> None:
        """Take what the cluster's Ray says, which is ``age_seconds`` old already."""
        if (cluster := self._clusters.get(name)) is not None:
            before = self._ray.get(name)
            self._ray[name] = heard, self._clock() - heard.age_seconds
            if before is None or _news(before[0]) != _news(heard):
                self._tell(name, user_of(cluster))

    # What is known

    def get(self, name: str) -> Cluster | None:
        """Return a RayCluster, as `trim` leaves it."""
        return self._clusters.get(name)

    def of_user(self, user: str) -> list[Cluster]:
        """Return the clusters of a user, oldest first."""
        return oldest_first(self._clusters[name] for name in self._of_user.get(user, ()))

    def all(self) -> list[Cluster]:
        """Return all clusters, oldest first."""
        return oldest_first(self._clusters.values())

    def pods_of(self, name: str) -> list[Pod]:
        """Return the pods of a cluster, oldest first."""
        return self._pods.of_cluster(name)

    def facts(self, name: str) -> Facts | None:
        """Return all that is known of a cluster; None when there is none."""
        if (cluster := self._clusters.get(name)) is None:
            return None
        now, ray = self._wall_clock(), self.ray(name)
        pods = self._pods.of_cluster(name)
        ended = {one.uid: one for one in (*ended_of(cluster), *self._ended.get(name, {}).values())}
        profile = self._profile(cluster)
        site = (cluster["metadata"].get("labels") or {}).get(names.SITE_LABEL, "")
        heard = {}
        for pod in pods:
            uid = pod["metadata"]["uid"]
            heard[uid] = self._sites.jobs_of(site_of(pod), uid)
        for uid in ended.keys() - heard.keys():
            heard[uid] = self._sites.jobs_of(site, uid)
        return Facts(
            cluster=cluster,
            pods=pods,
            now=now,
            heard=heard,
            ray=ray,
            ended=tuple(learned(one, ray, now) for one in ended.values()),
            profile=profile,
            site=self._sites.status(profile) if profile is not None else None,
            dashboard_url=f"{self._base_url}api/clusters/{name}/dashboard/",
        )

    def view(self, name: str) -> ClusterView | None:
        """Return what is told of a cluster; None when there is none."""
        facts = self.facts(name)
        if facts is None:
            return None
        view = view_cluster(facts)
        self._views[name] = view
        return view

    def renew(self, name: str) -> None:
        """Make the view of a cluster anew that lists of many were made of: its site may have news of it."""
        known = self._views.get(name)
        if known is not None and (view := self.view(name)) is not None and view.key != known.key:
            self._tell(name, view.user)

    def views(self, names_: Iterable[str]) -> list[ClusterView]:
        """Return what is told of several clusters; of many, those may be some seconds old that are as before."""
        found, asked = [], list(names_)
        for name in asked:
            known = self._views.get(name) if len(asked) > _FEW else None
            view = known if known is not None else self.view(name)
            if view is not None:
                found.append(view)
        return found

    def victims(self, name: str, workers: int) -> list[str]:
        """Return the pods to send away so that ``workers`` stay: those first that do the least."""
        facts = self.facts(name)
        return [] if facts is None else whom_to_send_away(facts, workers)

    def _profile(self, cluster: Cluster) -> Any:
        name = (cluster["metadata"].get("labels") or {}).get(names.PROFILE_LABEL)
        try:
            return self._sites.get_profiles().get(name) if name else None
        except Exception:  # a profiles file that is being written; the sites' log says so
            return None

    # Who waits for news, and who looks

    def change_of(self, name: str) -> Change:
        """Return what rings when something of a cluster changes. Keep it as long as you wait."""
        change = self._changes.get(name)
        if change is None:
            change = self._changes[name] = Change()
        return change

    def change_of_user(self, user: str) -> Change:
        """Return what rings when something of a user's clusters changes. Keep it as long as you wait."""
        change = self._user_changes.get(user)
        if change is None:
            change = self._user_changes[user] = Change()
        return change

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with the name of each cluster of which something is new."""
        self._listeners.append(listener)

    def _tell(self, name: str, user: str) -> None:
        self._views.pop(name, None)
        for change in (self._changes.get(name), self._user_changes.get(user)):
            if change is not None:
                change.tell()
        self.changed.tell()
        for listener in self._listeners:
            listener(name)


def cluster_feed(
    api: Any, namespace: str, cache: ClusterCache, log: Logger, watch_seconds: int = WATCH_SECONDS
) -> Feed:
    """Return the feed of all RayClusters of ``namespace``. ``api`` is a CustomObjectsApi of kubernetes_asyncio."""

    def ask(**query: Any) -> Awaitable[Any]:
        return api.list_namespaced_custom_object(
            names.API_GROUP, names.API_VERSION, namespace, names.PLURAL, **query
        )

    return Feed(ask, cache, trim, "Ray clusters", log, watch_seconds, cache.refuse)


def _news(heard: RayHeard) -> Any:
    """Return what is new of an answer, and not just later."""
    activity = heard.activity.is_active if heard.activity is not None else None
    return heard.head_uid, heard.session, heard.members, activity, heard.has_answered
