"""How many servers of a profile there may be, counted from the hub's database. Pure but for one query.

A server counts from the moment in which it was accepted until it has ended: its row has a `Server` and the mark of a
spawn. The hub makes the row, and the spawner checks and writes the mark without giving way to another request, so
requests that come at the same time cannot pass together, and a restarted hub counts the same servers again.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from jupyterhub import orm
from sqlalchemy import Text, column, select, table

from ..profiles import Profile

# The states of a thousand servers are read often, so as text: what is asked for in it is found without the hub's type.
_SPAWNERS = table(
    orm.Spawner.__tablename__, column("id"), column("user_id"), column("server_id"), column("state", Text)
)


class Accepted(NamedTuple):
    """A server that was accepted and has not ended: the hub's ids of its row and its user, and its profile."""

    spawner_id: int
    user_id: int
    profile: str


class Refusal(NamedTuple):
    """Why a server is refused: a sentence for its user, and the HTTP status (403: one's own limit, 429: all in use)."""

    reason: str
    status: int


def accepted_servers(db: Any) -> list[Accepted]:
    """Return the servers that were accepted and have not ended. ``db`` is the hub's database session."""
    db.flush()
    query = select(_SPAWNERS.c.id, _SPAWNERS.c.user_id, _SPAWNERS.c.state)
    rows = db.execute(query.where(_SPAWNERS.c.server_id.isnot(None)))
    return [
        Accepted(spawner_id, user_id, profile)
        for spawner_id, user_id, text in rows
        if (profile := profile_in(text)) is not None
    ]


def profile_in(state_text: str | None) -> str | None:
    """Return the profile in the mark of a saved state, or None when there is no mark."""
    try:
        profile = json.loads(state_text or "null")["spawn"]["options"]["profile"]
    except (ValueError, KeyError, TypeError):
        return None
    return profile if isinstance(profile, str) else None


def is_limited(profile: Profile) -> bool:
    """Tell whether the number of servers of ``profile`` has a limit."""
    return profile.limits.servers_per_user is not None or profile.limits.servers_total is not None


def refusal(
    profile: Profile, accepted: Iterable[Accepted], *, user_id: int, user: str, spawner_id: int | None
) -> Refusal | None:
    """Return why a user may have no server of ``profile`` now, or None when there is room.

    Arguments: ``accepted`` are the servers that there are, ``spawner_id`` is the row of the one that is asked for; it
    does not count itself.
    """
    others = [a for a in accepted if a.profile == profile.name and a.spawner_id != spawner_id]
    mine = sum(a.user_id == user_id for a in others)
    per_user, total = profile.limits.servers_per_user, profile.limits.servers_total
    if per_user is not None and mine >= per_user:
        return Refusal(
            f"{user} has {mine} of {per_user} servers here already. Stop one of them first, or choose another profile.",
            403,
        )
    if total is not None and len(others) >= total:
        return Refusal(
            f"{len(others)} of {total} servers here are in use. Try again when one has ended, "
            "or choose another profile.",
            429,
        )
    return None


def limit_note(profile: Profile, accepted: Iterable[Accepted], user_id: int) -> str:
    """Return what the form says of the limits of ``profile``; empty while they are far away."""
    here = [a for a in accepted if a.profile == profile.name]
    mine = sum(a.user_id == user_id for a in here)
    per_user, total = profile.limits.servers_per_user, profile.limits.servers_total
    notes = []
    if per_user is not None and mine:
        notes.append(f"You have {mine} of {per_user} servers here.")
    if total is not None and len(here) >= total:
        notes.append(f"All {total} servers here are in use.")
    return " ".join(notes)
