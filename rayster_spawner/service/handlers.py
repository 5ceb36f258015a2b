"""The service's HTTP interface; `openapi.py` describes it."""

import json
import re
from importlib.metadata import version
from logging import Logger
from time import monotonic, time
from typing import Any

from tornado import web

from . import cluster_logs, cluster_streams, clusters, dashboard, job_log
from .base import Handler, Parts
from .dashboard_access import LoginCallback, cookie_secret
from .openapi import openapi
from .pod_cache import ServerName
from .server_state import Told, site_of, tell_server

# An agent may cancel what is not in the answer, so an answer that could be old is none.
LIVE_PODS_SECONDS = 60
_MAX_JOB_ID = 64
_TICKET = re.compile(r"/dashboard/~[^/]*")


class NotFound(Handler):
    """Whatever else is asked for."""

    def prepare(self) -> None:
        """Refuse."""
        raise web.HTTPError(404, "there is nothing here; see openapi.json")


class Health(Handler):
    """Whether the process lives."""

    def get(self) -> None:
        """Answer."""
        self.write({"status": "ok", "version": version("rayster")})


class Readiness(Handler):
    """Whether the service knows the cluster."""

    def get(self) -> None:
        """Answer, with 503 while pods are not known."""
        pods = self.parts.pods
        if not pods.is_synced:
            self.set_status(503)
        self.write(
            {
                "status": "ok" if pods.is_synced else "waiting for the cluster",
                "pods": len(pods.pods),
                "cluster_age_seconds": round(pods.age_seconds, 1),
                "streams": self.parts.streams.open,
            }
        )


class OpenApi(Handler):
    """The interface, for machines."""

    def get(self) -> None:
        """Answer."""
        self.write(openapi(self.parts.settings.base_url, version("rayster")))


class SiteStates(Handler):
    """The states of the sites of the profiles that somebody may use."""

    async def get(self) -> None:
        """Answer once."""
        view = await self.parts.access.viewer(self.authorization, self.parts.profiles())
        self.write(self._states(view.profiles)[1])

    def _states(self, names: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
        profiles = self.parts.profiles()
        known = [profile for name in names if (profile := profiles.get(name)) is not None]
        statuses = self.parts.sites.statuses(known)
        key = {
            name: status._replace(age_seconds=_old(status.age_seconds)) for name, status in statuses.items()
        }
        return key, {"profiles": {name: status.as_json() for name, status in statuses.items()}}


def _old(age_seconds: int | None) -> int | None:
    """Return what of an age is news: none while it is that of every look, then each half minute."""
    return None if age_seconds is None or age_seconds < 60 else age_seconds // 30


class SiteStream(SiteStates):
    """The same, as it changes."""

    async def get(self) -> None:
        """Stream."""
        view = await self.parts.access.viewer(self.authorization, self.parts.profiles())
        with self.parts.streams.counted(view.user):
            await self.send_events(
                "sites", lambda: self._states(view.profiles), [self.parts.sites.changed], self.parts.streams
            )


class ServerState(Handler):
    """The state of the server whose page asks, with its place in the site's queue."""

    def prepare(self) -> None:
        """Take the page's server from its ticket. Raises HTTPError 401 or 403."""
        view = self.parts.access.page(self.authorization)
        if view is None:
            raise web.HTTPError(401, "a ticket of one of the hub's pages is needed")
        if view.server is None:
            raise web.HTTPError(403, "this ticket is not for a server")
        self.server = ServerName(view.user, view.server)

    async def get(self) -> None:
        """Answer once, with 503 while pods are not known."""
        if not self.parts.pods.is_synced:
            raise web.HTTPError(503, "the cluster does not answer; nothing is known of the server")
        self.write(self._told(float("inf")).event)

    def _told(self, seen_none_seconds: float) -> Told:
        pods, sites = self.parts.pods, self.parts.sites
        pod = pods.of_server(self.server)
        heard = sites.jobs_of(site_of(pod), pod["metadata"]["uid"]) if pod is not None else []
        return tell_server(pod, heard, time(), pods.age_seconds, seen_none_seconds)


class ServerStream(ServerState):
    """The same, as it changes."""

    async def get(self) -> None:
        """Stream."""
        parts, began = self.parts, monotonic()
        has_seen_pod = False

        def look() -> Told | None:
            nonlocal has_seen_pod
            if not parts.pods.is_synced:
                return None
            has_seen_pod = has_seen_pod or parts.pods.of_server(self.server) is not None
            return self._told(float("inf") if has_seen_pod else monotonic() - began)

        changes = [parts.pods.change_of(self.server), parts.sites.changed]
        with parts.streams.counted(self.server.user):
            await self.send_events("server", look, changes, parts.streams, repeats=True)


class LivePods(Handler):
    """The pods of a site that exist, for the site's agent: a job of none of them is an orphan."""

    async def get(self) -> None:
        """Answer, with 503 whenever the answer could be wrong."""
        pods, sites = self.parts.pods, self.parts.sites
        names = self.parts.access.sites(self.authorization, self.parts.profiles())
        age_seconds = pods.age_seconds
        if not pods.is_synced or age_seconds > LIVE_PODS_SECONDS:
            self.set_header("Retry-After", "10")
            raise web.HTTPError(503, "the cluster has not been heard lately; nothing is known of its pods")
        uids = {uid for name in names for uid in pods.of_site(name, sites.node_names_of(name))}
        # Of two jobs of one pod the agent must keep the one that the pod follows.
        jobs = {uid: job for uid in sorted(uids) if (job := pods.job_of(uid)) and len(job) <= _MAX_JOB_ID}
        self.write(
            json.dumps(
                {
                    "version": 1,
                    "site": names[0],
                    "age_seconds": round(age_seconds, 1),
                    "uids": sorted(uids),
                    "job_ids": jobs,
                }
            )
        )


def make_app(parts: Parts) -> web.Application:
    """Return the service's application."""
    base = parts.settings.base_url
    routes: list[Any] = [
        ("api/sites", SiteStates),
        ("api/sites/events", SiteStream),
        ("api/server", ServerState),
        ("api/server/events", ServerStream),
        ("api/live-pods", LivePods),
        ("openapi.json", OpenApi),
        ("healthz", Health),
        ("readyz", Readiness),
    ]
    # The streams first: `events` is no cluster's id.
    routes += [
        *cluster_streams.ROUTES,
        *cluster_logs.ROUTES,
        *job_log.ROUTES,
        *dashboard.ROUTES,
        *clusters.ROUTES,
    ]
    rules: list[Any] = [(base + path, handler, {"parts": parts}) for path, handler in routes]
    if base != "/":  # probes come without the proxy's prefix
        rules += [("/healthz", Health, {"parts": parts}), ("/readyz", Readiness, {"parts": parts})]
    if parts.dashboards.login is not None:
        rules.append((f"{base}oauth_callback", LoginCallback, {"login": parts.dashboards.login}))
    return web.Application(
        rules,
        cookie_secret=cookie_secret(parts.settings),
        default_handler_class=NotFound,
        default_handler_args={"parts": parts},
        log_function=lambda handler: _log(handler, parts.log),
    )


def _log(handler: web.RequestHandler, log: Logger) -> None:
    """Log failures only (503 is an answer), and neither headers nor a ticket in a path."""
    if handler.get_status() >= 500 and handler.get_status() != 503:
        path = _TICKET.sub("/dashboard/~…", handler.request.path)
        log.warning("%s %s: HTTP %s", handler.request.method, path, handler.get_status())
