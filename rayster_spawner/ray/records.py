"""What the service keeps of a cluster's life, in the annotations of the RayCluster: read strictly, written short.

Nothing else remembers it, so the service can be killed between any two steps. What somebody else wrote there counts as
nothing.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from .names import ENDED_WORKERS, IDLE_SINCE, REQUESTED_AT, STOPPED_BECAUSE

# When its user was warned that an idle cluster will end, and when a restart was asked for (epoch seconds).
IDLE_WARNED_AT: Final = "rayster.dev/idle-warned-at"
RESTARTED_AT: Final = "rayster.dev/restarted-at"
# While a restart waits for the old pods to go.
RESTARTING: Final = "rayster.dev/restarting"
MAX_ENDED: Final = 20
_MAX_WHY_CHARACTERS = 300


@dataclass(frozen=True)
class Ended:
    """The head or a worker that ended although nobody sent it away.

    ``group`` is the worker group, or ``head``; ``code`` one of `EndCode`'s; ``at`` in seconds since the epoch;
    ``joined`` tells that it was a node of Ray, for ``worked_seconds``; ``made_at`` is when its pod was made
    (0: not known).
    """

    pod: str
    uid: str
    group: str
    code: str
    why: str
    at: float
    joined: bool = False
    worked_seconds: int = 0
    job_id: str | None = None
    made_at: float = 0.0


@dataclass(frozen=True)
class Stopped:
    """Why the service stopped a cluster, or its workers: a code, a sentence, and when (seconds since the epoch)."""

    code: str
    message: str
    at: float


def annotations_of(cluster: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the annotations of a RayCluster."""
    return (cluster.get("metadata") or {}).get("annotations") or {}


def ended_of(cluster: Mapping[str, Any]) -> tuple[Ended, ...]:
    """Return who has ended, oldest first."""
    return tuple(filter(None, map(_ended, _json_list(annotations_of(cluster).get(ENDED_WORKERS)))))


def write_ended(ended: Iterable[Ended]) -> str:
    """Return the annotation's text for the newest of ``ended``."""
    newest = sorted(ended, key=lambda one: one.at)[-MAX_ENDED:]
    return _short([{**asdict(one), "why": one.why[:_MAX_WHY_CHARACTERS]} for one in newest])


def stopped_of(cluster: Mapping[str, Any]) -> Stopped | None:
    """Return why the service stopped the cluster; None when it did not."""
    said = _json(annotations_of(cluster).get(STOPPED_BECAUSE))
    try:
        return Stopped(str(said["code"]), str(said["message"]), _finite(said["at"]))
    except (KeyError, TypeError, ValueError):
        return None


def write_stopped(stopped: Stopped) -> str:
    """Return the annotation's text."""
    return _short(asdict(stopped))


def moment_of(cluster: Mapping[str, Any], annotation: str) -> float | None:
    """Return a moment that an annotation has, in seconds since the epoch."""
    try:
        moment = float(annotations_of(cluster)[annotation])
    except (KeyError, TypeError, ValueError):
        return None
    return moment if math.isfinite(moment) else None


def requested_at(cluster: Mapping[str, Any]) -> float | None:
    """Return when the cluster was asked for."""
    return moment_of(cluster, REQUESTED_AT)


def idle_since(cluster: Mapping[str, Any]) -> float | None:
    """Return since when no driver is there, as far as it was written down."""
    return moment_of(cluster, IDLE_SINCE)


def _ended(said: Any) -> Ended | None:
    try:
        return Ended(
            str(said["pod"]),
            str(said["uid"]),
            str(said["group"]),
            str(said["code"]),
            str(said["why"])[:_MAX_WHY_CHARACTERS],
            _finite(said["at"]),
            said.get("joined") is True,
            int(said.get("worked_seconds") or 0),
            str(said["job_id"]) if said.get("job_id") else None,
            _finite(said.get("made_at") or 0),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None


def _finite(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError("no moment")
    return number


def _json_list(text: str | None) -> list[Any]:
    said = _json(text)
    return said if isinstance(said, list) else []


def _json(text: str | None) -> Any:
    try:
        # No number here is NaN or without bounds.
        return json.loads(text, parse_constant=lambda _: None) if text else None
    except (ValueError, RecursionError):
        return None


def _short(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
