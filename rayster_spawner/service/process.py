"""Puts the service's parts together and runs them until the process is told to end."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from kubernetes_asyncio import client, config
from tornado.httpserver import HTTPServer

from ..life.cancellation import end_tasks
from ..life.profile_source import current_profiles
from ..sites import Sites
from ..sites.hub import list_nodes
from .access import Access
from .claims import Claims
from .cluster_cache import ClusterCache, cluster_feed
from .cluster_logs import PodLogs
from .dashboard import Dashboards
from .dashboard_access import hub_login
from .handlers import Parts, make_app
from .hub_client import active_servers
from .keeper import Keeper
from .orphan_pods import OrphanSweep
from .pod_cache import PodCache
from .pod_feed import PodFeed
from .ray_objects import RayObjects
from .ray_rest import RayWatch
from .settings import Settings
from .streams import Streams

_CLOSE_SECONDS = 2
_IDLE_SECONDS = 120
_MAX_REQUEST_BYTES = 64 * 1024


@contextlib.asynccontextmanager
async def kubernetes_api() -> AsyncIterator[Any]:
    """Yield a CoreV1Api with the pod's own credential in a cluster, else with that of KUBECONFIG.

    Raises ConfigException when there is none.
    """
    configuration = client.Configuration()
    kubeconfig = os.environ.get("KUBECONFIG")
    if kubeconfig or "KUBERNETES_SERVICE_HOST" not in os.environ:
        await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    else:
        config.load_incluster_config(client_configuration=configuration)
    # One connection per watch is always busy.
    configuration.connection_pool_maxsize = 20
    async with client.ApiClient(configuration) as api_client:
        yield client.CoreV1Api(api_client)


@contextlib.asynccontextmanager
async def running(settings: Settings, log: logging.Logger) -> AsyncIterator[int]:
    """Run the service while the context lasts; yields the port that it listens on."""
    pods = PodCache()
    streams = Streams(settings.max_streams, settings.max_streams_of_user)
    async with kubernetes_api() as api, aiohttp.ClientSession() as session, _client() as heads:
        sites = Sites(
            lambda: current_profiles(settings.profiles_file, log),
            lambda: list_nodes(api),
            log,
            refresh_seconds=settings.refresh_seconds,
        )
        clusters = ClusterCache(pods, sites, settings.base_url)
        objects = RayObjects(api.api_client, settings.namespace, log)
        parts = Parts(
            settings,
            Access(settings, log),
            pods,
            sites,
            streams,
            clusters,
            objects,
            Claims(),
            PodLogs(api.api_client, settings.namespace),
            Dashboards(heads, settings.token, hub_login(settings)),
            log,
        )
        server = HTTPServer(
            make_app(parts), max_body_size=_MAX_REQUEST_BYTES, idle_connection_timeout=_IDLE_SECONDS
        )
        server.listen(settings.port, settings.host)
        custom = client.CustomObjectsApi(api.api_client)
        tasks = [
            asyncio.create_task(PodFeed(api, settings.namespace, pods, log).run(), name="follow pods"),
            asyncio.create_task(
                cluster_feed(custom, settings.namespace, clusters, log).run(), name="follow Ray clusters"
            ),
            asyncio.create_task(RayWatch(clusters, heads, settings.token, log).run(), name="ask Ray"),
            asyncio.create_task(Keeper(clusters, objects, log).run(), name="keep Ray clusters"),
        ]
        if settings.sweeps and settings.hub_api_url and settings.token:
            sweep = OrphanSweep(
                pods,
                lambda: active_servers(session, settings.hub_api_url, settings.token),
                api,
                settings.namespace,
                settings.orphan_grace_seconds,
                log,
            )
            tasks.append(asyncio.create_task(sweep.run(), name="sweep orphan pods"))
        sites.start()
        try:
            yield _port(server)
        finally:
            server.stop()
            await streams.close(_CLOSE_SECONDS)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(server.close_all_connections(), _CLOSE_SECONDS)
            await end_tasks(tasks)
            await objects.close()
            await sites.stop()


def _client() -> aiohttp.ClientSession:
    """Return a client for the heads of clusters, which are programs of their users: nothing is kept between them."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=200, limit_per_host=20),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


def _port(server: HTTPServer) -> int:
    return next(iter(server._sockets.values())).getsockname()[1]


async def serve(settings: Settings, log: logging.Logger) -> None:
    """Run the service until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with running(settings, log) as port:
        log.info("Listening on http://%s:%s%s", settings.host, port, settings.base_url)
        await ended.wait()
        log.info("Ending")
