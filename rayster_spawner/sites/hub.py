"""The hub's own view of the sites: one per process, kept up by the loop that the hub runs on."""

import asyncio
import json
from typing import Any
from weakref import WeakKeyDictionary

from ..life.profile_source import current_profiles
from ..profiles import ProfileSet
from .watcher import Sites

_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Sites] = WeakKeyDictionary()


def hub_sites(spawner: Any) -> Sites | None:
    """Return the sites of the hub that ``spawner`` belongs to, started when it is the first to ask.

    None where there is no running loop or no client of the cluster, as in a test of a spawner alone. Never raises.
    """
    try:
        loop = asyncio.get_running_loop()
        sites = _by_loop.get(loop)
        if sites is None:
            if not hasattr(spawner, "api"):
                return None
            sites = Sites(_profiles_of(spawner), _nodes_of(spawner), spawner.log)
            sites.start()
            _by_loop[loop] = sites
        return sites
    except RuntimeError:
        return None
    except Exception:
        spawner.log.exception("The states of sites are not known")
        return None


def _profiles_of(spawner: Any) -> Any:
    # Not the spawner itself: it goes when its user goes, and this stays as long as the hub.
    given, path, log = spawner.profiles, spawner.profiles_file, spawner.log

    def profiles() -> ProfileSet:
        return given if given is not None else current_profiles(path, log)

    return profiles


def _nodes_of(spawner: Any) -> Any:
    api = spawner.api
    return lambda: list_nodes(api)


async def list_nodes(api: Any) -> list[dict[str, Any]]:
    """Return the cluster's nodes as the API server sends them. ``api`` is a CoreV1Api of kubernetes_asyncio."""
    # As text, because models of a thousand nodes would hold the hub up; and from the server's memory, like a watch.
    answer = await api.list_node(resource_version="0", _preload_content=False)
    try:
        if answer.status != 200:
            raise NodesRefused(answer.status)
        return json.loads(await answer.read())["items"]
    finally:
        answer.release()


class NodesRefused(Exception):
    """The API server does not list its nodes; ``status`` is HTTP's."""

    def __init__(self, status: int):
        super().__init__(f"HTTP {status}")
        self.status = status
