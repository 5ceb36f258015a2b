"""What is just being made or grown: it counts against limits before the cluster itself can be seen to have it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..ray.limits import Held
from ..ray.ports import HeadPorts

# A cluster that was made is seen within a second or so. One that is not seen after so long is gone again.
_SEEN_SECONDS = 60


@dataclass
class Claim:
    """A place that is taken. ``made_at`` is set once the API server has what it is for (seconds of a ``clock``)."""

    held: Held
    ports: HeadPorts | None = None
    made_at: float | None = None


class Claims:
    """All claims of a service. Nothing here waits, so looking and claiming are one step."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._claims: dict[str, Claim] = {}

    def add(self, held: Held, ports: HeadPorts | None = None) -> Claim:
        """Claim what ``held`` says. Of two for one cluster, which may come to pass in any order, the larger counts."""
        earlier = self._claims.get(held.id)
        if earlier is not None and earlier.made_at is None:
            held = held._replace(workers=max(held.workers, earlier.held.workers))
        claim = self._claims[held.id] = Claim(held, ports)
        return claim

    def made(self, claim: Claim) -> None:
        """Note that it is there; the claim ends when it is seen."""
        claim.made_at = self._clock()

    def drop(self, claim: Claim) -> None:
        """Give the place back."""
        if self._claims.get(claim.held.id) is claim:
            del self._claims[claim.held.id]

    def open(self, known: Iterable[Held]) -> list[Claim]:
        """Return the claims that still count, beside the clusters that are ``known``."""
        seen = {each.id: each.workers for each in known}
        for name, claim in list(self._claims.items()):
            if claim.made_at is None:
                continue
            is_seen = seen.get(name, -1) >= claim.held.workers
            if is_seen or self._clock() - claim.made_at > _SEEN_SECONDS:
                del self._claims[name]
        return list(self._claims.values())
