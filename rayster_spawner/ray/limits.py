"""How many clusters and workers of a profile there may be: what the cluster says, and what is being made. Pure.

The service counts the RayClusters that it knows and those that it is just creating or growing, in one step that gives
way to no other request; so requests that come at the same time cannot pass together.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ..profiles import Profile


class Held(NamedTuple):
    """A cluster that counts: its id, whose it is, its profile, how many workers it shall have."""

    id: str
    user: str
    profile: str
    workers: int


def refusal(profile: Profile, wanted: Held, held: Iterable[Held]) -> str | None:
    """Return why ``wanted`` may not be, in a sentence for its user, or None when there is room.

    Arguments: ``held`` are all clusters that there are; the one that ``wanted`` is about does not count itself, and
    what it asks for takes its place.
    """
    assert profile.ray is not None
    limits = profile.ray.limits
    held = list(held)
    others = [each for each in held if each.profile == profile.name and each.id != wanted.id]
    is_new = not any(each.id == wanted.id for each in held)
    mine = [each for each in others if each.user == wanted.user]
    if is_new and limits.clusters_per_user is not None and len(mine) >= limits.clusters_per_user:
        return (
            f"You have {len(mine)} of {limits.clusters_per_user} Ray clusters here already. Stop one of them first, "
            "or choose another profile."
        )
    if is_new and limits.clusters_total is not None and len(others) >= limits.clusters_total:
        return (
            f"{len(others)} of {limits.clusters_total} Ray clusters here are in use. Try again when one has ended, "
            "or choose another profile."
        )
    workers = sum(each.workers for each in mine)
    if limits.workers_per_user is not None and workers + wanted.workers > limits.workers_per_user:
        return (
            f"You may have {limits.workers_per_user} workers here in all; your other clusters have {workers}, and this "
            f"one asks for {wanted.workers}. Ask for fewer, or stop a cluster."
        )
    return None


def merged(known: Iterable[Held], claimed: Iterable[Held]) -> list[Held]:
    """Return what counts of clusters that are ``known`` and of what is ``claimed`` for them: of workers the more."""
    found = {each.id: each for each in known}
    for claim in claimed:
        there = found.get(claim.id)
        workers = claim.workers if there is None else max(claim.workers, there.workers)
        found[claim.id] = claim._replace(workers=workers)
    return list(found.values())
