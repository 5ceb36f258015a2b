"""What a cluster is, from all that is known of it: RayCluster, pods, site, its own Ray, the service's notes. Pure.

KubeRay's `status` is asked for one thing only: whether it could make the pods. Its state, conditions and counts speak
of pods: *ready* comes before any worker has joined and stays when all are lost, and pods that are being deleted are
counted (KubeRay 1.7, `calculateStatus`).
"""

from collections.abc import Sequence

from ..life.progress import duration
from ..life.site_message import site_words
from . import names
from .facts import Facts, idle_of, is_unreachable, lost_head
from .membership import RayHeard
from .network import read_network
from .problems import problems_of
from .records import RESTARTING, Stopped, annotations_of, requested_at, stopped_of
from .rows import ended_row, is_head, row_of, site_of
from .view import ClusterState, ClusterView, Row, RowState, Wanted

# For how long a head that has answered may be silent before nothing is certain any more.
SILENT_SECONDS = 90


def view_cluster(facts: Facts) -> ClusterView:
    """Return what is told of a cluster."""
    head, workers = rows_of(facts)
    joined = sum(row.state is RowState.JOINED for row in workers)
    wanted, stopped = _wanted(facts), stopped_of(facts.cluster)
    state, message = _state(facts, head, workers, joined, wanted.workers, stopped)
    ray, request = facts.fresh_ray(), facts.request
    annotations, profile = annotations_of(facts.cluster), facts.profile
    labels = facts.cluster["metadata"].get("labels") or {}
    asked_at = requested_at(facts.cluster) or facts.now
    bounds = profile.ray.workers if profile is not None and profile.ray is not None else None
    title = annotations.get(names.TITLE) or (request.title if request is not None else None)
    told = {row.uid for row in (*((head,) if head is not None else ()), *workers)}
    ended = sorted((one for one in facts.ended if one.uid not in told), key=lambda one: -one.at)
    problems = problems_of(facts, state, head, joined, wanted.workers, stopped)
    return ClusterView(
        id=facts.id,
        name=title or facts.id,
        title=title,
        profile=labels.get(names.PROFILE_LABEL, request.profile if request is not None else ""),
        site=labels.get(names.SITE_LABEL, ""),
        network=network.mode if (network := read_network(facts.cluster)) is not None else "",
        user=annotations.get(names.USERNAME, ""),
        server=annotations.get(names.SERVERNAME, ""),
        state=state,
        message=message,
        requested_at=asked_at,
        elapsed_seconds=max(0, round(facts.now - asked_at)),
        wanted=wanted,
        joined=joined,
        head=head,
        workers=workers,
        ended=tuple(ended_row(one, facts.heard.get(one.uid, ()), facts.now) for one in ended),
        resources=ray.resources() if ray is not None else None,
        idle=idle_of(facts),
        time_left_seconds=_time_left(head, workers),
        problems=problems,
        session=ray.session or None if ray is not None else None,
        ray_version=(ray.ray_version if ray is not None else "")
        or facts.cluster["spec"].get("rayVersion", ""),
        python_version=_python(ray, head),
        workers_min=bounds.min if bounds is not None else int(facts.group.get("minReplicas") or 0),
        workers_max=bounds.max if bounds is not None else int(facts.group.get("maxReplicas") or 0),
        dashboard_url=facts.dashboard_url,
        heard_seconds_ago=round(ray.age_seconds) if ray is not None and ray.has_answered else None,
    )


def rows_of(facts: Facts) -> tuple[Row | None, tuple[Row, ...]]:
    """Return the head's row, and those of the workers, oldest first.

    Of several heads (one goes while the next one comes) the one that stays is told.
    """
    ray, request = facts.fresh_ray(), facts.request
    heads: list[Row] = []
    workers: list[Row] = []
    ended = {one.uid for one in facts.ended}
    for pod in facts.pods:
        if "deletionTimestamp" in pod["metadata"] and pod["metadata"]["uid"] in ended:
            continue  # told among those that have ended
        head = is_head(pod)
        amounts = (0.0, 0.0) if head else (request.cpus, float(request.gpus)) if request else (None, None)
        row = row_of(
            pod,
            facts.heard.get(pod["metadata"]["uid"], ()),
            ray,
            facts.now,
            sent_away=facts.is_sent_away(pod),
            amounts=amounts,
        )
        (heads if head else workers).append(row)
    gone = (RowState.STOPPING, RowState.LOST, RowState.FAILED)
    head_row = max(enumerate(heads), key=lambda one: (one[1].state not in gone, one[0]), default=(0, None))[1]
    return head_row, tuple(workers)


def _wanted(facts: Facts) -> Wanted:
    request = facts.request
    replicas = int(facts.group.get("replicas") or 0)
    if request is None:
        return Wanted(replicas, 0, 0)
    # What the service took away is still wanted; what the user scaled to is the spec's.
    workers = request.workers if stopped_of(facts.cluster) is not None else replicas
    return Wanted(
        workers,
        request.cpus,
        request.memory_mib,
        request.gpus or None,
        request.walltime_minutes,
        request.image,
    )


def _state(
    facts: Facts, head: Row | None, workers: Sequence[Row], joined: int, wanted: int, stopped: Stopped | None
) -> tuple[ClusterState, str]:
    if "deletionTimestamp" in facts.cluster["metadata"]:
        return ClusterState.STOPPING, "Stopping."
    if RESTARTING in annotations_of(facts.cluster):
        return ClusterState.STARTING, "Restarting: its old jobs are being ended."
    if facts.is_suspended:
        return _suspended(facts, stopped)
    ray = facts.fresh_ray()
    is_heard = ray is not None and ray.has_answered and ray.age_seconds <= SILENT_SECONDS
    if is_unreachable(facts.site) and not is_heard:
        assert facts.site is not None
        return (
            ClusterState.UNKNOWN,
            f"{facts.site.text}. This is what was known before; nothing was cancelled.",
        )
    count = _count(joined, wanted, workers)
    if head is not None and head.state in (RowState.LOST, RowState.FAILED):
        return ClusterState.FAILED, f"The head is gone. {head.reason}"
    if (lost := lost_head(facts)) is not None and (head is None or head.state is not RowState.JOINED):
        return ClusterState.FAILED, f"The head was lost: {lost.why} A new one is being started."
    if head is not None and head.state is RowState.JOINED:
        if ray is not None and not is_heard:
            silent = duration(round(ray.age_seconds))
            return ClusterState.UNKNOWN, f"The head has not answered for {silent}. {count}"
        return _with_head(workers, joined, wanted, count, stopped)
    if head is None:
        return ClusterState.STARTING, "Submitted."
    if head.state is RowState.STARTING:
        return ClusterState.STARTING, f"The head is starting. {count}"
    where = f" at {site}" if (site := _site_of_head(facts)) else ""
    is_job = bool(site)
    return (
        ClusterState.QUEUED if is_job else ClusterState.STARTING,
        f"The head is waiting{where}. {count}" if is_job else f"The head is being placed. {count}",
    )


def _with_head(
    workers: Sequence[Row], joined: int, wanted: int, count: str, stopped: Stopped | None
) -> tuple[ClusterState, str]:
    if joined or not wanted:
        return ClusterState.RUNNING, count
    if stopped is not None:
        return _stopped_state(stopped), stopped.message
    states = {row.state for row in workers}
    is_waiting = states & {RowState.QUEUED, RowState.SUBMITTED} and RowState.STARTING not in states
    return (ClusterState.QUEUED if is_waiting else ClusterState.STARTING), count


def _suspended(facts: Facts, stopped: Stopped | None) -> tuple[ClusterState, str]:
    if stopped is not None:
        return _stopped_state(stopped), stopped.message
    queue = (facts.cluster["metadata"].get("labels") or {}).get(names.QUEUE_LABEL)
    if queue:
        return ClusterState.QUEUED, f"Waiting for room in the queue {site_words(queue)}."
    return ClusterState.SUSPENDED, "Suspended."


def _stopped_state(stopped: Stopped) -> ClusterState:
    return ClusterState.SUSPENDED if stopped.code in ("idle", "walltime") else ClusterState.FAILED


def _count(joined: int, wanted: int, workers: Sequence[Row]) -> str:
    told = [f"{joined} of {wanted} {'worker' if wanted == 1 else 'workers'} joined"]
    for state in (RowState.QUEUED, RowState.SUBMITTED, RowState.STARTING, RowState.STOPPING, RowState.LOST):
        if number := sum(row.state is state for row in workers):
            told.append(f"{number} {state.value}")
    return ", ".join(told) + "."


def _site_of_head(facts: Facts) -> str:
    return next((site_of(pod) for pod in facts.pods if is_head(pod)), "")


def _time_left(head: Row | None, workers: Sequence[Row]) -> int | None:
    """Return when the first job ends: the head's, with which all ends, or else a worker's."""
    if head is not None and head.time_left_seconds is not None:
        return head.time_left_seconds
    left = [row.time_left_seconds for row in workers if row.time_left_seconds is not None]
    return min(left, default=None)


def _python(ray: RayHeard | None, head: Row | None) -> str | None:
    if ray is None or head is None or (member := ray.member(head.pod)) is None:
        return None
    return member.python
