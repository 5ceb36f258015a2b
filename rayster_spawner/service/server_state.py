"""What to tell of a server: its pod as the cluster has it, put right by what its site says of its job. Pure."""

import contextlib
import math
from datetime import datetime
from typing import Any, NamedTuple

from ..life.belief import Belief, believe
from ..life.pod_status import Pod, view_pod
from ..life.progress import make_report
from ..offload import SITE_LABEL
from ..profile_checks import CLOUD_SITE
from ..site_facts import HeardJob
from .pod_cache import REQUESTED_AT

GONE = "gone"
# A spawn's page is open a little before its pod is there.
UNSEEN_SECONDS = 60
# Older than this, the cluster's word is worth a remark.
OLD_SECONDS = 60


class Told(NamedTuple):
    """An event for a page, and what of it is worth an event at once when it changes."""

    key: tuple[Any, ...]
    event: dict[str, Any]


def site_of(pod: Pod) -> str:
    """Return the site of a pod; empty for cloud nodes."""
    site = pod["metadata"]["labels"].get(SITE_LABEL, CLOUD_SITE)
    return "" if site == CLOUD_SITE else site


def tell_server(
    pod: Pod | None, heard: list[HeardJob], now: float, cluster_age_seconds: float, seen_none_seconds: float
) -> Told:
    """Return what to tell of a server.

    Arguments: ``now`` is in seconds since the epoch; ``cluster_age_seconds`` is how old the cluster's word is;
    ``seen_none_seconds`` for how long the asking page has seen no pod at all (only of use without one).
    """
    if pod is None:
        told = _tell_nothing(seen_none_seconds)
    else:
        site = site_of(pod)
        belief = believe(view_pod(pod, offloaded=bool(site)), heard, None)
        told = _tell_pod(belief, max(0.0, now - _requested_at(pod, now)), site, now)
    if cluster_age_seconds <= OLD_SECONDS:
        return told
    old = "The cluster does not answer at the moment; this is what was known last."
    event = {**told.event, "note": " ".join(filter(None, (told.event["note"], old)))}
    return Told((*told.key, "old"), event)


def _tell_pod(belief: Belief, elapsed_seconds: float, site: str, now: float) -> Told:
    report = make_report(belief, elapsed_seconds, site)
    start = report.expected_start_in_seconds
    # Counted down it changes every second; the moment itself changes when the site thinks again.
    moment = None if start is None else round((now + start) / 60)
    return Told((*report.key, moment), report.as_event())


def _tell_nothing(seen_none_seconds: float) -> Told:
    if seen_none_seconds < UNSEEN_SECONDS:
        state, message = "submitted", "Submitted; the cluster has not taken it yet"
    else:
        state, message = GONE, "The cluster has no such server"
    event = dict.fromkeys(
        ("job_id", "position", "expected_start_in_seconds", "elapsed_seconds", "heard_seconds_ago")
    )
    words = {"reason": "", "raw_reason": "", "site": "", "partition": "", "note": ""}
    return Told((state,), {**event, **words, "state": state, "message": message, "progress": 10})


def _requested_at(pod: Pod, now: float) -> float:
    """Return when the pod's server was asked for: by the spawner's word, else when the pod was made."""
    metadata = pod["metadata"]
    with contextlib.suppress(KeyError, ValueError):
        said = float(metadata["annotations"][REQUESTED_AT])
        if math.isfinite(said):
            return said
    with contextlib.suppress(KeyError, ValueError):
        return datetime.fromisoformat(metadata["creationTimestamp"].replace("Z", "+00:00")).timestamp()
    return now
