"""Finds free TCP ports on loopback for parts that must keep their port when they are started again."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

# Below those of the hub's servers (10000 and up) and Linux' ephemeral range (32768 and up), so that neither a server
# nor an outgoing connection takes a port between choice and use. Above those that browsers refuse.
_LOWEST, _HIGHEST = 7000, 9999

# Sockets whose names are what this process has claimed; the kernel frees the names when it ends, however it does.
_claims: dict[str, socket.socket] = {}


def claim(name: str) -> bool:
    """Take ``name`` for as long as this process lives; tell whether nobody on this machine, itself included, had it."""
    if name in _claims:
        return False
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0rayster-testbed-{name}")
    except OSError:
        holder.close()
        return False
    _claims[name] = holder
    return True


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_ports(count: int, without: Collection[int | None] = ()) -> list[int]:
    """Return ``count`` different free ports, none of ``without``; no other testbed of this machine is given them.

    Raises OSError when the machine has none left.
    """
    candidates = random.SystemRandom().sample(range(_LOWEST, _HIGHEST + 1), k=_HIGHEST - _LOWEST + 1)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            break
        # A part that is being started again does not listen, and its port is not free for all that.
        if port not in without and is_free(port) and claim(_name(port)):
            found.append(port)
    if len(found) < count:
        raise OSError(f"no {count} free TCP ports between {_LOWEST} and {_HIGHEST}")
    return found


def take_again(ports: Collection[int]) -> bool:
    """Tell whether all of the ``ports`` that an earlier process had are free still; if so they are this one's."""
    return all(is_free(port) and (_name(port) in _claims or claim(_name(port))) for port in ports)


def _name(port: int) -> str:
    return f"port-{port}"
