"""Whether a part of the testbed answers: looks that take a second or two at most and do not raise."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable


def accepts_connections(port: int) -> bool:
    """Whether something listens on that port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def answers_ok(url: str) -> Callable[[], bool]:
    """Return a function that tells whether ``url`` answers with a 2xx status."""
    # Not through a proxy of the environment: it is this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask() -> bool:
        try:
            with opener.open(url, timeout=2) as answer:
                return 200 <= answer.status < 300
        except (OSError, urllib.error.URLError):
            return False

    return ask
