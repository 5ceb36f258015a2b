"""Waits, for a bounded time, until a cluster's head is there and takes this node."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import gcs, rendezvous, versions
from .failures import ExitCode, LaunchError
from .settings import NodeSettings

_INTERVAL_SECONDS = 0.1


@dataclass(frozen=True)
class Head:
    """Where the head's GCS is: an IPv4 address and a port."""

    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def find_head(settings: NodeSettings) -> Head | None:
    """Return where the head says it is, by its name or by its rendezvous file; None when it says nothing yet."""
    if settings.network == "site":
        assert settings.rendezvous is not None
        found = rendezvous.read(Path(settings.rendezvous))
        if found is None or (settings.cluster and found.cluster != settings.cluster):
            return None
        host, _, port = found.address.rpartition(":")
        return Head(host, int(port))
    assert settings.gcs_host is not None and settings.gcs_port is not None
    try:
        # Asked each time: a head that was made anew has another address. Ray is given the address, not the name.
        found_host = socket.getaddrinfo(settings.gcs_host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
    except OSError:
        return None
    return Head(str(found_host), settings.gcs_port)


def wait_for_head(
    settings: NodeSettings,
    alive: Callable[[], None] = lambda: None,
    find: Callable[[NodeSettings], Head | None] = find_head,
) -> Head:
    """Return the head once its GCS answers; ``alive`` is called meanwhile and may raise.

    Raises LaunchError when it is not there in ``settings.head_wait_seconds``, refuses the token, or runs another Ray
    or Python.
    """
    deadline = time.monotonic() + settings.head_wait_seconds
    seen: Head | None = None
    while True:
        alive()
        head = find(settings)
        if head is not None:
            seen = head
            if gcs.is_open(head.host, head.port):
                try:
                    check_head(head.address, settings.token)
                except gcs.NoAnswer:
                    pass
                else:
                    return head
        if time.monotonic() >= deadline:
            raise LaunchError(ExitCode.HEAD_NOT_THERE, _not_there(settings, seen))
        time.sleep(_INTERVAL_SECONDS)


def check_head(address: str, token: str | None) -> None:
    """Raise LaunchError when the head refuses ``token`` or runs another Ray or Python; NoAnswer when it is silent."""
    try:
        found = gcs.ask(address, token)
    except gcs.TokenRefused:
        raise LaunchError(
            ExitCode.TOKEN_REFUSED,
            f"The head at {address} does not take this cluster's token: another cluster's head has this address, "
            "or the token's Secret was made anew. Restart the cluster.",
        ) from None
    differing = versions.difference(
        found.ray, found.python, versions.own_ray(), versions.own_python(), os.environ
    )
    if differing is not None:
        raise LaunchError(ExitCode.VERSIONS_DIFFER, differing)


def _not_there(settings: NodeSettings, seen: Head | None) -> str:
    where = settings.rendezvous if settings.network == "site" else f"{settings.gcs_host}:{settings.gcs_port}"
    if seen is not None:
        what = f"at {seen.address}, where {where} leads, nobody answers"
    elif settings.network == "site":
        what = f"the rendezvous file {where} was not written: does the head run, and does this machine see the file?"
    else:
        what = f"the name {settings.gcs_host} has no address here: is this site's network really direct?"
    return f"The head was not there within {settings.head_wait_seconds:.0f} s: {what}"
