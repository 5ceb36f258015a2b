"""Where a server listens: the choice of its port, and its address as a pod tells it."""

import random
from collections.abc import Iterable
from typing import Any

from ..interlink import POD_IP

PORT_NAME = "notebook-port"
# Below the range that Linux hands out to outgoing connections, above what services of a compute node use.
FIRST_PORT, LAST_PORT = 10000, 31999

_random = random.SystemRandom()


def choose_port(pods: Iterable[dict[str, Any]]) -> int:
    """Return a port that no server of ``pods`` uses: jobs of one site may share a compute node and its ports."""
    taken = {port for pod in pods if (port := notebook_port(pod)) is not None}
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
