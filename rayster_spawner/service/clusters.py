"""Clusters over HTTP: which profiles have workers; make, list, show, change, restart, stop and attach to clusters."""

import time
from dataclasses import replace
from functools import partial
from typing import Any

from ..offload import OffloadError
from ..options import OptionsError
from ..profiles import Profile
from ..ray import names
from ..ray.limits import Held
from ..ray.manifest import ray_cluster, token_secret
from ..ray.network import network_told
from ..ray.owner import Owner
from ..ray.ports import NoPorts, choose_ports
from ..ray.records import stopped_of
from ..ray.request import ClusterRequest, read_title, read_workers
from ..ray.steps import Step, restart, scale
from ..ray.tokens import cluster_token
from ..text import did_you_mean, shown
from .access import Asker
from .base import ApiError
from .cluster_handler import ClusterHandler, group_of, request_of, unknown, wrong_field, wrong_fields
from .cluster_objects import Cluster, trim, user_of
from .pod_cache import SITE_LABEL, ServerName
from .profiles_told import profile_told


class Profiles(ClusterHandler):
    """What somebody may use for workers."""

    async def get(self) -> None:
        """Answer."""
        asker = await self.asker()
        allowed = self.parts.profiles().allowed(asker.name, asker.groups)
        profiles = [profile for profile in allowed if profile.ray is not None]
        statuses, held = self.parts.sites.statuses(profiles), self.held()
        told = []
        for profile in profiles:
            mine = sum(each.user == asker.name and each.profile == profile.name for each in held)
            told.append(profile_told(profile, statuses[profile.name].as_json(), mine))
        self.write({"profiles": told})


class Clusters(ClusterHandler):
    """All clusters of somebody, and new ones."""

    async def get(self) -> None:
        """List one's own; for administrators everybody's, or those of `?user=`."""
        asker = await self.asker()
        self.know_clusters()
        clusters, user = self.parts.clusters, self.user_to_list(asker)
        found = clusters.all() if user is None else clusters.of_user(user)
        ids = [cluster["metadata"]["name"] for cluster in found]
        for cluster_id in ids:
            clusters.note_asked(cluster_id)
        self.write({"clusters": [view.as_json() for view in clusters.views(ids)]})

    async def post(self) -> None:
        """Make one."""
        asker = await self.asker()
        asked = self.json_object()
        self.know_clusters()
        if asker.name is None:
            raise ApiError(403, "forbidden", "a cluster belongs to a user's server, and a service is no user")
        profile = self._profile(asker, asked)
        try:
            request = ClusterRequest.parse(asked, profile, asker.groups, user=asker.name)
        except OptionsError as error:
            raise wrong_fields(error) from None
        pod_name = self._pod_of(asker.name, request.server)
        # From the look at limits and ports to the claim nothing gives way to another request.
        try:
            ports = choose_ports(self._taken_ports())
        except NoPorts as error:
            raise ApiError(409, "limit", f"{error}. Try again when one has ended.") from None
        cluster_id = names.new_cluster_id()
        claim = self.claim(profile, Held(cluster_id, asker.name, profile.name, request.workers), ports)
        drop = partial(self.parts.claims.drop, claim)
        try:
            owner = await self._owner(pod_name, asker.name, request.server)
            secret = token_secret(cluster_id, self._token(cluster_id), owner)
            cluster = ray_cluster(cluster_id, request, profile, owner, ports, time.time())
        except OffloadError as error:
            drop()
            self.parts.log.error("Profile %s cannot have Ray clusters: %s", profile.name, error)
            raise ApiError(
                409, "profile-unusable", f"The profile {profile.name} cannot be used:\n{error}"
            ) from None
        except BaseException:
            drop()
            raise
        made = await self.ask_kubernetes(self.parts.objects.create(secret, cluster, drop))
        self.parts.claims.made(claim)
        await self.seen(cluster_id, lambda known: known is not None)
        if self.parts.clusters.get(cluster_id) is None:
            self.parts.clusters.put(trim(made))
        self.set_header("Location", f"{self.parts.settings.base_url}api/clusters/{cluster_id}")
        self.tell(cluster_id, 201)

    def _profile(self, asker: Asker, asked: dict[str, Any]) -> Profile:
        """Return the profile that is asked for. Raises ApiError 400, 403 or 404."""
        profiles, name = self.parts.profiles(), asked.get("profile")
        allowed = profiles.allowed(asker.name, asker.groups)
        mine = [profile.name for profile in allowed if profile.ray is not None]
        yours = f"yours are {', '.join(mine)}" if mine else "none of yours has any"
        if not isinstance(name, str):
            reason = "is required" if name is None else "must be the name of a profile with Ray workers"
            raise wrong_field("profile", name, f"{reason}; {yours}")
        profile = profiles.get(name)
        if profile is None:
            raise wrong_field("profile", name, f"is not a profile; {yours}{did_you_mean(name, mine)}", 404)
        if profile not in allowed:
            raise wrong_field("profile", name, f"is not one of your profiles; {yours}", 403)
        if profile.ray is None:
            raise wrong_field("profile", name, f"has no Ray workers; {yours}")
        return profile

    def _pod_of(self, user: str, server: str) -> str:
        pod = self.parts.pods.of_server(ServerName(user, server))
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            raise _no_server(server)
        return pod["metadata"]["name"]

    async def _owner(self, pod_name: str, user: str, server: str) -> Owner:
        """Return the server as it is at this moment: what belongs to one that has gone would stay for ever."""
        pod = await self.ask_kubernetes(self.parts.objects.server_pod(pod_name))
        if pod is None or pod.is_over:
            raise _no_server(server)
        return Owner(pod_name, pod.uid, user, server, pod.user_label)

    def _taken_ports(self) -> set[int]:
        taken = {port for claim in self.parts.claims.open([]) if claim.ports for port in claim.ports}
        for cluster in self.parts.clusters.all():
            for annotation in (names.GCS_PORT, names.DASHBOARD_PORT):
                text = cluster["metadata"]["annotations"].get(annotation, "")
                if text.isdecimal():
                    taken.add(int(text))
        return taken

    def _token(self, cluster_id: str) -> str:
        return cluster_token(self.parts.settings.token, cluster_id)


class OneCluster(ClusterHandler):
    """One cluster."""

    async def get(self, cluster_id: str) -> None:
        """Show it."""
        self.cluster_of(await self.asker(), cluster_id)
        self.tell(cluster_id)

    async def patch(self, cluster_id: str) -> None:
        """Scale it, or call it something else."""
        asker = await self.asker()
        asked = self.json_object()
        cluster = self.cluster_of(asker, cluster_id)
        changes: dict[str, Any] = {key: asked[key] for key in ("workers", "name") if key in asked}
        if unknown_field := next((key for key in asked if key not in changes), None):
            raise wrong_field(
                shown(unknown_field), asked[unknown_field], "cannot be changed; workers and name can"
            )
        if not changes:
            raise ApiError(400, "bad-request", "nothing to change: give workers or name")
        title = self._title(cluster, changes)
        if "workers" not in changes:
            await self.take(cluster, lambda now: _told(Step("its user renames it"), now, title, None))
            return
        await self._scale(cluster, changes["workers"], title)

    def _title(self, cluster: Cluster, changes: dict[str, Any]) -> str | None:
        if "name" not in changes:
            return cluster["metadata"]["annotations"].get(names.TITLE)
        try:
            return read_title(changes["name"])
        except ValueError as error:
            raise wrong_field("name", changes["name"], str(error)) from None

    async def _scale(self, cluster: Cluster, wanted: Any, title: str | None) -> None:
        cluster_id, profile = cluster["metadata"]["name"], self.profile_of(cluster)
        if wanted is None:
            raise wrong_field("workers", wanted, "must be a number")
        try:
            workers = read_workers(wanted, profile)
        except ValueError as error:
            raise wrong_field("workers", wanted, str(error)) from None
        stopped = stopped_of(cluster)
        if stopped is not None and cluster["spec"].get("suspend"):
            raise ApiError(409, "stopped", f"It is stopped: {stopped.message} Restart it first.")
        held = Held(cluster_id, user_of(cluster), profile.name, workers)
        grows = workers > int(group_of(cluster).get("replicas") or 0)
        claim = self.claim(profile, held) if grows else self.parts.claims.add(held)

        def step(now: Cluster) -> Step:
            victims = self.parts.clusters.victims(cluster_id, workers)
            return _told(scale(workers, victims, time.time()), now, title, workers)

        try:
            await self.take(cluster, step)
        finally:
            self.parts.claims.made(claim)

    async def delete(self, cluster_id: str) -> None:
        """Stop it for good."""
        cluster = self.cluster_of(await self.asker(), cluster_id)
        await self.ask_kubernetes(self.parts.objects.delete(cluster_id, cluster["metadata"]["uid"]))
        self.set_status(202)
        self.write({"id": cluster_id, "state": "stopping"})


class Restart(ClusterHandler):
    """Begin anew, with a new head and the workers that were asked for."""

    async def post(self, cluster_id: str) -> None:
        """Restart it."""
        cluster = self.cluster_of(await self.asker(), cluster_id)
        request = request_of(cluster)
        workers = int(group_of(cluster).get("replicas") or 0)
        if request is not None and stopped_of(cluster) is not None:
            workers = request.workers
        await self.take(cluster, lambda now: restart(workers, time.time()))


class Attach(ClusterHandler):
    """What a notebook needs to become the driver."""

    async def get(self, cluster_id: str) -> None:
        """Answer, with 409 while there is no head to attach to."""
        asker = await self.asker()
        cluster = self.entered(asker, cluster_id)
        clusters = self.parts.clusters
        view = clusters.view(cluster_id)
        clusters.note_asked(cluster_id)
        if view is None:
            raise unknown(cluster_id)
        if not view.is_ready:
            raise ApiError(409, "not-ready", f"Its head is not up yet. {view.message}")
        pod = self.parts.pods.of_server(ServerName(view.user, view.server))
        server_site = pod["metadata"]["labels"].get(SITE_LABEL) if pod is not None else None
        told = network_told(
            cluster,
            self.parts.settings.namespace,
            head_address=view.head.address if view.head is not None else None,
            is_at_site=server_site == view.site,
        )
        if told is None:
            raise ApiError(409, "made-elsewhere", "It was not made by this service; make a new one.")
        self.write(
            {
                "cluster": cluster_id,
                **told,
                "dashboard_url": view.dashboard_url,
                "token": cluster_token(self.parts.settings.token, cluster_id),
                "ray_version": view.ray_version,
                "python_version": view.python_version,
                "session": view.session,
            }
        )


def _told(step: Step, now: Cluster, title: str | None, workers: int | None) -> Step:
    """Return ``step``, which also writes down what is asked for by now."""
    annotations: dict[str, str | None] = {names.TITLE: title}
    if (request := request_of(now)) is not None:
        changed = request.model_copy(
            update={"title": title, **({} if workers is None else {"workers": workers})}
        )
        annotations[names.REQUEST] = changed.as_json()
    return replace(step, annotations={**step.annotations, **annotations})


def _no_server(server: str) -> ApiError:
    which = f"no running server {shown(server)}" if server else "no running default server"
    return wrong_field(
        "server", server, f"you have {which}; a cluster belongs to a server and ends with it", 404
    )


ROUTES: list[tuple[str, type[ClusterHandler]]] = [
    ("api/profiles", Profiles),
    ("api/clusters", Clusters),
    (r"api/clusters/([^/]+)", OneCluster),
    (r"api/clusters/([^/]+)/restart", Restart),
    (r"api/clusters/([^/]+)/attach", Attach),
]
