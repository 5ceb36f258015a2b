"""Tickets: what lets a page of the hub read live states from the service, also while the hub is away.

The hub writes one into each page that it renders; the page sends it as ``Authorization: Ticket …``, never in a URL.
A ticket is signed, not secret from its own user: it says whose page it is, of which server, and which profiles it
may look at. It gives no right to change anything.
"""

import hashlib
import json
import time
from collections.abc import Callable
from typing import NamedTuple

from tornado.web import create_signed_value, decode_signed_value

SCHEME = "Ticket"
LIFETIME_DAYS = 1
MAX_CHARACTERS = 32_768

_NAME = "rayster-page"


class PageView(NamedTuple):
    """What a page may look at: the user, one of their servers (None: of none), and profiles by name."""

    user: str
    server: str | None
    profiles: tuple[str, ...]


def make_ticket(key: str, view: PageView, clock: Callable[[], float] = time.time) -> str:
    """Return a ticket for ``view``, good for a day.

    Arguments: ``key`` is the service's API token, which hub and service both know. Raises ValueError when it is empty.
    """
    value = json.dumps([view.user, view.server, list(view.profiles)], separators=(",", ":"))
    return create_signed_value(_secret(key), _NAME, value, clock=clock).decode("ascii")


def read_ticket(key: str, text: str, clock: Callable[[], float] = time.time) -> PageView | None:
    """Return what a page with this ticket may look at, or None when it is not one of ours or too old."""
    if len(text) > MAX_CHARACTERS:
        return None
    value = decode_signed_value(
        _secret(key), _NAME, text, max_age_days=LIFETIME_DAYS, min_version=2, clock=clock
    )
    if value is None:
        return None
    user, server, profiles = json.loads(value)  # signed, so it is as `make_ticket` wrote it
    return PageView(user, server, tuple(profiles))


def _secret(key: str) -> str:
    if not key:
        raise ValueError("a ticket needs a key: the service's API token is empty")
    # Another use of the same token must never sign what counts as a ticket.
    return hashlib.sha256(b"rayster ticket\0" + key.encode()).hexdigest()
