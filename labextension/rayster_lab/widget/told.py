"""What a panel is told, as JSON for the browser. Pure."""

from typing import Any

from ..attaching import Attached
from ..client.feed import Snapshot


def told(
    snapshot: Snapshot, attached: Attached | None, now: float, cluster_id: str = "", last: Any = None
) -> dict[str, Any]:
    """Return what is known at ``now`` (epoch seconds) of all clusters, or of ``cluster_id`` alone.

    ``last`` is what this function returned before: of a cluster that is gone the last news is kept.
    """
    clusters = None if snapshot.clusters is None else [one.told for one in snapshot.clusters]
    is_gone = False
    if cluster_id and clusters is not None:
        clusters = [one for one in clusters if one["id"] == cluster_id]
        if not clusters:
            is_gone = True
            clusters = ((last or {}).get("clusters")) or []
    return {
        "clusters": clusters,
        "is_gone": is_gone,
        "heard_at": snapshot.heard_at,
        "lost_since": snapshot.lost_since,
        "fault": snapshot.fault,
        "attached": None if attached is None else {"cluster": attached.cluster, "lost": attached.lost},
        "at": now,
    }
