"""Where a server listens: the choice of its port, and its address as a pod tells it."""

import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..interlink import POD_IP

PORT_NAME = "notebook-port"
# Below the range that Linux hands out to outgoing connections, above what services of a compute node use.
FIRST_PORT, LAST_PORT = 10000, 31999

GIVEN_SECONDS = 600.0
"""How long a port counts as taken whose pod is not seen: the hub hears of a pod some time after it was created."""

_random = random.SystemRandom()


class Ports:
    """Gives ports to servers. One for the whole hub: of many that start at once none knows the others' pods yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given: dict[int, float] = {}

    def choose(self, pods: Iterable[dict[str, Any]]) -> int:
        """Return a port that no server of ``pods`` uses, and that was not given to another one lately."""
        now = self._clock()
        self._given = {port: at for port, at in self._given.items() if now - at < GIVEN_SECONDS}
        port = choose_port(pods, self._given)
        self._given[port] = now
        return port


def choose_port(pods: Iterable[dict[str, Any]], given: Iterable[int] = ()) -> int:
    """Return a port that no server of ``pods`` uses, and none of ``given``: jobs of one site may share a compute node.

    If all are taken, it is one of them all the same.
    """
    taken = {port for pod in pods if (port := notebook_port(pod)) is not None}.union(given)
    while True:
        port = _random.randint(FIRST_PORT, LAST_PORT)
        if port not in taken or len(taken) > LAST_PORT - FIRST_PORT:
            return port


def notebook_port(pod: dict[str, Any]) -> int | None:
    """Return the port of the server in ``pod``, or None; a container without ports may stand before it."""
    for container in (pod.get("spec") or {}).get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("name") == PORT_NAME:
                return port.get("containerPort")
    return None


def pod_host(pod: dict[str, Any]) -> str | None:
    """Return the pod's address as it stands in a URL, or None while it has none. A host name is as good as an IP."""
    host = (pod.get("status") or {}).get("podIP")
    if not host:
        host = ((pod.get("metadata") or {}).get("annotations") or {}).get(POD_IP)
    if not host:
        return None
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
