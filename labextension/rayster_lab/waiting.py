"""Whether waiting for a cluster is over: it is as far as wanted, or will never be. Pure."""

from dataclasses import dataclass

from .client.errors import ClusterFailed, ClusterGone, WaitedLong
from .client.feed import Snapshot
from .client.status import ClusterStatus
from .words import span, workers

# KubeRay starts new heads and workers by itself, and sites come back: waiting is right.
_MEND_THEMSELVES = frozenset({"head-lost", "worker-lost", "worker-failed", "site-unreachable", "idle"})


@dataclass(frozen=True)
class Goal:
    """What is waited for: so many workers (None: all that are wanted), or the head alone."""

    workers: int | None = None
    head_alone: bool = False

    def is_reached(self, status: ClusterStatus) -> bool:
        """Tell whether a cluster is that far."""
        if self.head_alone:
            return status.is_head_up
        return (
            status.joined >= (status.wanted_workers if self.workers is None else self.workers)
            and status.is_head_up
        )

    def __str__(self) -> str:
        if self.head_alone:
            return "its head"
        return "all its workers" if self.workers is None else workers(self.workers)


def look(snapshot: Snapshot, cluster_id: str, goal: Goal) -> ClusterStatus | None:
    """Return the cluster once the goal is reached, None while it is worth waiting. Raises ClusterError when not."""
    if snapshot.clusters is None:
        return None
    status = snapshot.cluster(cluster_id)
    if status is None or status.state == "stopping":
        raise gone(cluster_id)
    if goal.is_reached(status):
        return status
    lasting = [problem for problem in status.problems if problem.code not in _MEND_THEMSELVES]
    if status.state == "suspended" or (status.state == "failed" and lasting):
        said = " ".join(str(problem) for problem in status.problems) or status.message
        raise ClusterFailed(f"Cluster {cluster_id} will not come: {said} `.restart()` starts it anew.")
    if goal.workers is not None and goal.workers > status.wanted_workers:
        raise ClusterFailed(
            f"Cluster {cluster_id} is to have {workers(status.wanted_workers)}, so {goal.workers} will never join. "
            f"`.scale({goal.workers})` asks for them."
        )
    return None


def gone(cluster_id: str) -> ClusterGone:
    """Return what to say of a cluster that is no more."""
    return ClusterGone(f"Cluster {cluster_id} was stopped. `RayCluster(…)` makes a new one.")


def too_long(snapshot: Snapshot, cluster_id: str, goal: Goal, seconds: float) -> WaitedLong:
    """Return what to say when the time is over."""
    status = snapshot.cluster(cluster_id)
    now = f" {status.message}" if status is not None else f" {snapshot.fault}" if snapshot.fault else ""
    return WaitedLong(
        f"Cluster {cluster_id} has not got {goal} within {span(seconds)}.{now} It goes on; `.wait()` waits again."
    )
