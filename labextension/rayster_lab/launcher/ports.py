"""Gives each node of this machine TCP ports that no other node has, all of them fixed before Ray starts."""

import random
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from .failures import ExitCode, LaunchError

# Ports come in units, each claimed as a whole. Below Linux' ephemeral range (32768 and up), so that no outgoing
# connection takes one between choice and use, and beside 20000 to 27999, where the service puts heads and dashboards.
UNIT = 64
_UNITS = [*range(10240, 19968, UNIT), *range(28032, 32768, UNIT)]
# Node and object manager, three ports of the agents, metrics; a head's GCS, dashboard.
_OTHERS = 8


@dataclass(frozen=True)
class Ports:
    """The TCP ports of one node. The workers' range has both ends in it."""

    node_manager: int
    object_manager: int
    agent_grpc: int
    agent_http: int
    runtime_env: int
    metrics: int
    gcs: int
    dashboard: int
    first_worker: int
    last_worker: int

    def as_json(self) -> dict[str, int]:
        return asdict(self)


@dataclass
class Claim:
    """Ports that are this process's until it ends, however it ends, or ``release`` is called.

    ``slot`` is a number that no other living claim of this machine (of this network namespace) has.
    """

    slot: int
    ports: Ports
    _holders: list[socket.socket]

    def release(self) -> None:
        for holder in self._holders:
            holder.close()

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, *_: Any) -> None:
        self.release()


def units_for(cpus: int) -> int:
    """Return how many units a node with ``cpus`` CPUs needs.

    Each worker process has a port: one per CPU, those that wait for others in a nested task, idle ones, drivers.
    """
    return -(-(_OTHERS + 40 + 4 * cpus) // UNIT)


def ports_from(first: int, units: int, gcs: int | None = None, dashboard: int | None = None) -> Ports:
    """Lay a node's ports out from ``first`` on; ``gcs`` and ``dashboard`` are a head's where they were chosen."""
    return Ports(
        node_manager=first,
        object_manager=first + 1,
        agent_grpc=first + 2,
        agent_http=first + 3,
        runtime_env=first + 4,
        metrics=first + 5,
        gcs=gcs or first + 6,
        dashboard=dashboard or first + 7,
        first_worker=first + _OTHERS,
        last_worker=first + units * UNIT - 1,
    )


def claim_ports(cpus: int, gcs: int | None = None, dashboard: int | None = None) -> Claim:
    """Claim ports for a node with ``cpus`` CPUs. Raises LaunchError when this machine has none left.

    A claim is a name in the kernel's own list of Unix sockets: it ends with the process, and covers exactly those that
    share ports, whatever their user or file system.
    """
    units = units_for(cpus)
    for index in _starts(units):
        holders: list[socket.socket] = []
        if all(_hold(unit, holders) for unit in _UNITS[index : index + units]):
            first = _UNITS[index]
            if all(is_free(port) for port in range(first, first + units * UNIT)):
                return Claim(index, ports_from(first, units, gcs, dashboard), holders)
        for holder in holders:
            holder.close()
    raise LaunchError(
        ExitCode.NO_PORTS,
        f"This machine has no {units * UNIT} free TCP ports in a row between {_UNITS[0]} and {_UNITS[-1] + UNIT - 1} "
        f"for a Ray node with {cpus} CPUs: too many Ray nodes run on it.",
    )


def is_free(port: int) -> bool:
    """Tell whether nobody listens on ``port``, on any address of this machine."""
    with socket.socket() as probe:
        # Connections that have ended do not matter: Ray's servers do the same.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - Ray binds there too; nothing listens here
            probe.listen(1)
        except OSError:
            return False
        return True


def _starts(units: int) -> Iterator[int]:
    """Yield the places in ``_UNITS`` from which ``units`` lie in a row, from a random one on."""
    places = [
        index
        for index in range(len(_UNITS) - units + 1)
        if _UNITS[index + units - 1] - _UNITS[index] == (units - 1) * UNIT
    ]
    # Random, so that a node that follows another soon does not get the address of the dead one.
    start = random.SystemRandom().randrange(len(places)) if places else 0
    yield from places[start:] + places[:start]


def _hold(unit: int, holders: list[socket.socket]) -> bool:
    holder = socket.socket(socket.AF_UNIX)
    holders.append(holder)
    try:
        holder.bind(f"\0rayster-ray-ports-{unit}")
    except OSError:
        return False
    return True
