"""Finds free TCP ports on loopback for parts that must keep their port when they are started again."""

from __future__ import annotations

import random
import socket

# Below Linux' ephemeral range (32768 and up), so that no outgoing connection takes a port between choice and use.
_LOWEST, _HIGHEST = 20000, 31999


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Return ``count`` different free ports; raise OSError when the machine has none left."""
    candidates = random.SystemRandom().sample(range(_LOWEST, _HIGHEST + 1), k=_HIGHEST - _LOWEST + 1)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    if len(found) < count:
        raise OSError(f"no {count} free TCP ports between {_LOWEST} and {_HIGHEST}")
    return found
