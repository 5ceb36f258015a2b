"""What keeps a cluster from running away: failures in a row, an end by walltime, idleness; and who goes first. Pure.

KubeRay re-creates a pod that has ended at once and for ever, each time a new job (12 a minute for each worker, as was
seen). So: a head or workers that fail so many times in a row are not started again; who has used up the time that was
asked for is not, either; a cluster without a driver ends after a warning. Each decision and what it rests on is written
in one patch, so that a service that is killed before it has decided nothing, and after it everything.
"""

from collections.abc import Sequence

from ..life.endings import EndCode
from ..life.progress import duration
from ..profiles import Profile
from ..quantities import format_walltime
from . import names
from .facts import Facts
from .membership import RayHeard
from .records import (
    IDLE_WARNED_AT,
    RESTARTED_AT,
    RESTARTING,
    Ended,
    Stopped,
    annotations_of,
    ended_of,
    idle_since,
    moment_of,
    write_ended,
    write_stopped,
)
from .rows import HEAD_GROUP, amended
from .status import rows_of
from .steps import Step, resume
from .view import Row, RowState

# Who worked for so long as a node of Ray has not failed to start.
GOOD_SECONDS = 60
# Ray's word on its drivers must be newer than this.
FRESH_SECONDS = 120
# How far apart the notes of ends that belong together may lie: each is as late as a site's word, or KubeRay's.
_TOGETHER_SECONDS = 30
# A driver that came and went between two looks moves the beginning by more than clocks and ages are inexact.
_MOVED_SECONDS = 20
# How long Ray may take to say whether a worker that failed had joined.
_INFORMED_SECONDS = 30
_NO_FAILURE = (EndCode.WALLTIME.value, EndCode.PREEMPTED.value, EndCode.DELETED.value)
_WORTH = (
    RowState.FAILED,
    RowState.LOST,
    RowState.SUBMITTED,
    RowState.QUEUED,
    RowState.STARTING,
    RowState.JOINED,
)


def victims(rows: Sequence[Row], ray: RayHeard | None, workers: int) -> list[str]:
    """Return the pods that go so that ``workers`` stay: those first whose loss costs the least.

    That is who has ended, then who waits (the last in the queue first), who starts, and of the joined ones those that
    use the fewest CPUs and GPUs, the youngest first. Pods that are going already are not counted.
    """
    staying = [row for row in rows if row.state is not RowState.STOPPING]

    def cost(row: Row) -> tuple[float, ...]:
        member = ray.member(row.pod) if ray is not None else None
        used = (member.gpus_used or 0) * 1000 + (member.cpus_used or 0) if member is not None else 0
        return _WORTH.index(row.state), -(row.position or 0), used, row.since_seconds or 0

    return [row.pod for row in sorted(staying, key=cost)[: max(0, len(staying) - workers)]]


def whom_to_send_away(facts: Facts, workers: int) -> list[str]:
    """Return the pods to delete so that ``workers`` stay, those among them that were chosen before and are still there.

    KubeRay deletes whom the list names, and if that is not enough whomever it likes.
    """
    rows = rows_of(facts)[1]
    going = {pod["metadata"]["name"] for pod in facts.pods if "deletionTimestamp" in pod["metadata"]}
    chosen = [row.pod for row in rows if row.state is RowState.STOPPING and row.pod not in going]
    return chosen + victims(rows, facts.fresh_ray(), workers)


def decide(facts: Facts) -> Step | None:
    """Return what has to be done to a cluster now; None when there is nothing."""
    if "deletionTimestamp" in facts.cluster["metadata"]:
        return None
    if RESTARTING in annotations_of(facts.cluster):
        return resume(facts.cluster, len(facts.pods)) if facts.is_suspended else _forget_restart()
    ended = tuple(amended(one, facts.heard.get(one.uid, ())) for one in facts.ended)
    recorded = ended_of(facts.cluster)
    record = {} if set(ended) == set(recorded) else {names.ENDED_WORKERS: write_ended(ended)}
    step = None
    if not facts.is_suspended:
        step = _head(facts, ended) or _workers(facts, ended, recorded) or _idle(facts)
    if step is None:
        return Step("who has ended is noted", record) if record else None
    return Step(
        step.why,
        {**record, **step.annotations},
        step.replicas,
        step.victims,
        step.suspend,
        step.delete,
    )


def failures_in_a_row(facts: Facts, ended: Sequence[Ended], group: str) -> list[Ended]:
    """Return who of ``group`` failed since the last one that worked for a while, or since the user started it anew.

    A worker whose head was lost ends with it, which is no failure of its own: heads are counted as heads.

    Arguments: ``ended`` are all that ended, each pod (by its UID) once.
    """
    ray = facts.fresh_ray()
    pods = {pod["metadata"]["name"] for pod in facts.pods}
    good = [moment_of(facts.cluster, RESTARTED_AT) or 0.0]
    good += [one.at for one in ended if one.group == group and one.worked_seconds >= GOOD_SECONDS]
    for member in ray.members if ray is not None else ():
        if member.is_alive and member.pod in pods and member.is_head == (group == HEAD_GROUP):
            began = _here(member.started_at, ray)
            if began is not None and facts.now - began >= GOOD_SECONDS:
                good.append(began)
    last_good = max(good)
    mine = [one for one in ended if one.group == group and one.at > last_good]
    heads = [one.at for one in ended if one.group == HEAD_GROUP]
    failed = [
        one
        for one in mine
        if one.worked_seconds < GOOD_SECONDS
        and one.code not in _NO_FAILURE
        and not (group != HEAD_GROUP and _ended_with_a_head(one, heads))
    ]
    return sorted(failed, key=lambda one: one.at)


def _ended_with_a_head(worker: Ended, heads: Sequence[float]) -> bool:
    """Tell whether one of the ``heads`` (when each ended) ended while the worker was there, or as it ended.

    The next head's Ray does not know the nodes of the last one, so whether the worker had joined may not be known.
    """
    return any(0 < worker.made_at <= at <= worker.at + _TOGETHER_SECONDS for at in heads)


def _head(facts: Facts, ended: Sequence[Ended]) -> Step | None:
    restarted = moment_of(facts.cluster, RESTARTED_AT) or 0.0
    timed_out = [
        one
        for one in ended
        if one.group == HEAD_GROUP and one.code == EndCode.WALLTIME.value and one.at > restarted
    ]
    if timed_out:
        return _stop(
            facts,
            "walltime",
            f"The head's job reached its time limit{_limit(facts)}, which ends the cluster.",
        )
    failed = failures_in_a_row(facts, ended, HEAD_GROUP)
    if len(failed) < _failures_allowed(facts.profile):
        return None
    times = f"{len(failed)} times in a row" if len(failed) > 1 else "at its start"
    return _stop(facts, "head-failures", f"The head failed {times}, so no more are started. {failed[-1].why}")


def _workers(facts: Facts, ended: Sequence[Ended], recorded: Sequence[Ended]) -> Step | None:
    replicas = int(facts.group.get("replicas") or 0)
    if not replicas:
        return None
    rows = rows_of(facts)[1]
    joined = sum(row.state is RowState.JOINED for row in rows)
    failed = failures_in_a_row(facts, ended, names.WORKER_GROUP)
    is_enough = len(failed) >= _failures_allowed(facts.profile)
    if is_enough and replicas > joined and _is_informed(facts, failed[-1]):
        who = f"{len(failed)} workers in a row have failed" if len(failed) > 1 else "A worker has failed"
        joined_go_on = "The one that joined goes on." if joined == 1 else f"The {joined} that joined go on."
        kept = f" {joined_go_on}" if joined else ""
        message = f"{who}, so no more are started.{kept} The last one: {failed[-1].why}"
        return _shrink(facts, joined, Stopped("worker-failures", message, facts.now))
    handled = {one.uid for one in recorded if one.code == EndCode.WALLTIME.value}
    timed_out = [
        one
        for one in ended
        if one.group == names.WORKER_GROUP and one.code == EndCode.WALLTIME.value and one.uid not in handled
    ]
    if not timed_out:
        return None
    left = max(0, replicas - len(timed_out))
    stopped = None
    if not left:
        message = f"All workers have reached their time limit{_limit(facts)}."
        stopped = Stopped("walltime", message, facts.now)
    return _shrink(facts, left, stopped)


def _is_informed(facts: Facts, last: Ended) -> bool:
    """Tell whether Ray, if it answers at all, has been asked since ``last``: who failed may have joined before."""
    ray = facts.fresh_ray()
    if ray is None or not ray.has_answered:
        return True
    waited_seconds = facts.now - last.at
    return ray.age_seconds <= waited_seconds or waited_seconds > _INFORMED_SECONDS


def _shrink(facts: Facts, workers: int, stopped: Stopped | None) -> Step:
    annotations = {names.STOPPED_BECAUSE: write_stopped(stopped)} if stopped is not None else {}
    why = stopped.message if stopped is not None else "workers have reached their time limit"
    return Step(why, annotations, workers, whom_to_send_away(facts, workers))


def _idle(facts: Facts) -> Step | None:
    ray = facts.fresh_ray()
    if ray is None or ray.activity is None or ray.age_seconds > FRESH_SECONDS:
        return None
    since, noted = _idle_since(facts, ray), idle_since(facts.cluster)
    warned = moment_of(facts.cluster, IDLE_WARNED_AT)
    if since is None:
        if noted is None and warned is None:
            return None
        return Step("it is in use again", {names.IDLE_SINCE: None, IDLE_WARNED_AT: None})
    if noted is None or since - noted > _MOVED_SECONDS:
        return Step("nobody uses it", {names.IDLE_SINCE: f"{since:.3f}", IDLE_WARNED_AT: None})
    policy = facts.profile.ray.idle if facts.profile is not None and facts.profile.ray is not None else None
    if policy is None:
        return None
    stop_seconds, warn_seconds = 60 * policy.stop_after, 60 * policy.warn_before
    if warned is None:
        if facts.now < noted + stop_seconds - warn_seconds:
            return None
        return Step("its user is warned that nobody uses it", {IDLE_WARNED_AT: f"{facts.now:.3f}"})
    if facts.now < max(noted + stop_seconds, warned + warn_seconds):
        return None
    message = (
        f"No notebook was attached for {duration(round(facts.now - noted))}, so the cluster was stopped."
    )
    return _stop(facts, "idle", message)


def _idle_since(facts: Facts, ray: RayHeard) -> float | None:
    """Return since when nobody uses what is there; None while somebody does, or while all of it has yet to come."""
    assert ray.activity is not None
    if ray.activity.is_active:
        return None
    idle_seconds = ray.activity.idle_seconds
    last_used = 0.0 if idle_seconds is None else facts.now - ray.age_seconds - idle_seconds
    if (noted := idle_since(facts.cluster)) is not None:
        # Workers that come and go meanwhile, because they fail, do not begin it anew.
        return max(noted, last_used)
    workers = [member for member in ray.members if member.is_alive and not member.is_head and member.pod]
    if not workers:
        return max(facts.now, last_used) if not facts.group.get("replicas") else None
    began = min(_here(member.started_at, ray) or facts.now for member in workers)
    return max(began, last_used)


def _stop(facts: Facts, code: str, message: str) -> Step:
    """Return the step that ends all pods, but keeps the cluster, so that it says why and can be restarted.

    Kueue would let a suspended cluster run again, so one in its queues is deleted.
    """
    if names.QUEUE_LABEL in (facts.cluster["metadata"].get("labels") or {}):
        return Step(message, delete=True)
    stopped = Stopped(code, message, facts.now)
    annotations = {
        names.STOPPED_BECAUSE: write_stopped(stopped),
        names.IDLE_SINCE: None,
        IDLE_WARNED_AT: None,
    }
    return Step(message, annotations, suspend=True)


def _forget_restart() -> Step:
    return Step("it runs again already", {RESTARTING: None})


def _failures_allowed(profile: Profile | None) -> int:
    return profile.ray.failures_in_a_row if profile is not None and profile.ray is not None else 3


def _limit(facts: Facts) -> str:
    request = facts.request
    minutes = request.walltime_minutes if request is not None else None
    return f" of {format_walltime(minutes)}" if minutes else ""


def _here(moment: float | None, ray: RayHeard | None) -> float | None:
    """Return a moment of the head's clock by this machine's."""
    return None if moment is None or ray is None else moment - ray.clock_ahead_seconds
