"""The events that a report shows one by one: a usual one, and those that went most wrong."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from herd_tracking.events import Events
from herd_tracking.physics.fit import Tracks
from herd_tracking.physics.matching import Matches, Truth


@dataclass(frozen=True)
class Example:
    """``events`` holds one event; ``scores`` f[n] are those of the method ``method``; ``why``: for the caption."""

    events: Events
    scores: np.ndarray
    method: str
    why: str


def choose_examples(
    events: Events,
    scores: Mapping[str, np.ndarray],
    fitted: Mapping[str, tuple[Tracks, Matches]],
    true: Truth,
    count: int,
) -> list[Example]:
    """Return ``count`` events of the first method that is in ``scores``: the median one by angle, then the worst."""
    if not scores or count < 1:
        return []
    name = next(iter(scores))
    tracks, matches = fitted[name]
    shown = np.flatnonzero(tracks.found & true.reconstructable)
    if len(shown) == 0:
        return []
    by_angle = shown[np.argsort(matches.angle_deg[shown], kind="stable")]
    usual = by_angle[len(by_angle) // 2]
    worst = [one for one in by_angle[::-1][: count - 1] if one != usual]
    reasons = ["Usual: half of all tracks point better", "Largest error"]
    reasons += [f"Error number {place} by size" for place in range(2, len(worst) + 1)]
    return [
        Example(
            events=events.take(int(index), int(index) + 1),
            scores=np.asarray(scores[name][events.node_ptr[index] : events.node_ptr[index + 1]]),
            method=name,
            why=why,
        )
        for index, why in zip([usual, *worst], reasons, strict=False)
    ]
