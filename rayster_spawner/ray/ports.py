"""Chooses the two ports of a cluster's head that others dial. Pure but for the dice."""

import secrets
from collections.abc import Callable, Iterable
from typing import NamedTuple

# Below what systems give to outgoing connections, and above what most services take.
FIRST_PORT = 20000
LAST_PORT = 27999


class HeadPorts(NamedTuple):
    """Where the head of a cluster listens: Ray's own protocol (GCS), and its dashboard with the REST interface."""

    gcs: int
    dashboard: int


class NoPorts(Exception):
    """All ports are taken by clusters."""


def choose_ports(taken: Iterable[int], pick: Callable[[int], int] = secrets.randbelow) -> HeadPorts:
    """Return two neighbouring ports, none of them ``taken`` by a living cluster.

    Clusters of one network may share a host (the nodes of a site), so no two of them get the same ports. ``pick``
    returns a number below its argument: at random, because other programs have ports, too. Raises NoPorts.
    """
    used = set(taken)
    free = [port for port in range(FIRST_PORT, LAST_PORT, 2) if port not in used and port + 1 not in used]
    if not free:
        raise NoPorts(f"all ports from {FIRST_PORT} to {LAST_PORT} are taken by Ray clusters")
    port = free[pick(len(free))]
    return HeadPorts(port, port + 1)
