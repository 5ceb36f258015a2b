"""What a pod of a cluster is: by its site's word on its job, by Ray's on its node, and by its own. Pure.

Who is believed: Ray alone says that a node has joined; that one is gone it says up to half a minute late, so a pod that
is over or going is not *joined* whatever Ray says. The site's agent is believed of jobs as everywhere
(`life/belief.py`).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..life.belief import Belief, believe
from ..life.endings import EndCode
from ..life.pod_status import Pod, State, view_pod
from ..offload import NOTEBOOK_CONTAINER, SITE_LABEL
from ..profile_checks import CLOUD_SITE
from ..site_facts import HeardJob
from .membership import Member, RayHeard
from .names import HEAD_CONTAINER, HEAD_NODE_TYPE, RAY_NODE_TYPE_LABEL, WORKER_CONTAINER, WORKER_GROUP
from .records import Ended
from .view import Row, RowState

# Written by the pod cache: the pod ended before anybody deleted it.
ENDED_ITSELF = "endedItself"
HEAD_GROUP = "head"
_STATES = {
    State.SUBMITTED: RowState.SUBMITTED,
    State.QUEUED: RowState.QUEUED,
    State.STARTING: RowState.STARTING,
    State.RUNNING: RowState.STARTING,
}
_RAY_CONTAINERS = (HEAD_CONTAINER, WORKER_CONTAINER)


def is_head(pod: Pod) -> bool:
    """Tell whether ``pod`` is the head of its cluster."""
    return pod["metadata"]["labels"].get(RAY_NODE_TYPE_LABEL) == HEAD_NODE_TYPE


def site_of(pod: Pod) -> str:
    """Return the site of a pod; empty for cloud nodes."""
    site = pod["metadata"]["labels"].get(SITE_LABEL, CLOUD_SITE)
    return "" if site == CLOUD_SITE else site


def row_of(
    pod: Pod,
    heard: Sequence[HeardJob],
    ray: RayHeard | None,
    now: float,
    *,
    sent_away: bool = False,
    amounts: tuple[float | None, float | None] = (None, None),
) -> Row:
    """Return the row of a pod.

    Arguments: ``heard`` is what its site's agent says of its job, ``ray`` what the cluster's Ray says (None: nothing is
    known), ``now`` in seconds since the epoch; ``sent_away`` tells that somebody wants it gone; ``amounts`` are the
    CPUs and GPUs that it was asked with.
    """
    belief = _belief(pod, heard)
    who = "head" if is_head(pod) else "worker"
    metadata = pod["metadata"]
    row = Row(
        metadata["name"],
        metadata["uid"],
        _STATES.get(belief.view.state, RowState.STARTING),
        _of(who, belief.view.reason),
        belief.raw_reason,
        belief.view.job_id,
        belief.position,
        belief.expected_start_in_seconds,
        time_left_seconds=_time_left(heard, belief.view.job_id),
        cpus=amounts[0],
        gpus=amounts[1],
        since_seconds=_since(metadata.get("creationTimestamp"), now),
        note=_of(who, belief.note),
    )
    member = _member(pod, ray)
    if has_ended(pod, belief, sent_away=sent_away):
        state = RowState.LOST if _has_joined(pod, ray, member) else RowState.FAILED
        return replace(
            row,
            state=state,
            reason=row.reason or f"The {who} has ended.",
            time_left_seconds=None,
            since_seconds=_away_seconds(member, ray, now),
        )
    if sent_away or "deletionTimestamp" in metadata:
        return replace(row, state=RowState.STOPPING, reason="", position=None, expected_start_in_seconds=None)
    if is_head(pod):
        return _head(row, belief, ray, member, now)
    return _worker(row, belief, ray, member, now)


def _head(row: Row, belief: Belief, ray: RayHeard | None, member: Member | None, now: float) -> Row:
    if ray is None or ray.head_uid != row.uid or not ray.has_answered:
        reason = row.reason or ("Ray is starting." if belief.view.state is State.RUNNING else "")
        return replace(row, reason=reason)
    return _joined(row, ray, member, now)


def _worker(row: Row, belief: Belief, ray: RayHeard | None, member: Member | None, now: float) -> Row:
    if ray is not None and member is not None:
        if member.is_alive:
            return _joined(row, ray, member, now)
        said = f": {member.message}" if member.message else "."
        return replace(
            row,
            state=RowState.LOST,
            reason=f"Ray has lost the worker{said}",
            time_left_seconds=None,
            since_seconds=_away_seconds(member, ray, now),
        )
    if belief.view.state is State.RUNNING and not row.reason:
        is_head_up = ray is not None and ray.has_answered
        return replace(row, reason="Ray is starting." if is_head_up else "Waiting for the head.")
    return row


def _joined(row: Row, ray: RayHeard, member: Member | None, now: float) -> Row:
    row = replace(
        row, state=RowState.JOINED, reason="", raw_reason="", position=None, expected_start_in_seconds=None
    )
    if member is None:
        return row
    cpus, gpus = (0.0, 0.0) if member.is_head else (member.cpus, member.gpus)
    since = worked_seconds(member, ray, now)
    return replace(row, address=member.address or None, cpus=cpus, gpus=gpus, since_seconds=since)


def worked_seconds(member: Member, ray: RayHeard, now: float) -> int:
    """Return for how long a node has been one."""
    if member.started_at is None:
        return 0
    until = member.ended_at if not member.is_alive and member.ended_at else now + ray.clock_ahead_seconds
    return max(0, round(until - member.started_at))


def _away_seconds(member: Member | None, ray: RayHeard | None, now: float) -> int | None:
    """Return since when a node is none any more; None where Ray does not know it (yet)."""
    if member is None or ray is None or not member.ended_at:
        return None
    return max(0, round(now + ray.clock_ahead_seconds - member.ended_at))


def has_ended(pod: Pod, belief: Belief, *, sent_away: bool, is_gone: bool = False) -> bool:
    """Tell whether a pod has ended although nobody sent it away. ``is_gone``: the cluster has it no more."""
    if sent_away:
        return False
    is_going = is_gone or "deletionTimestamp" in pod["metadata"]
    if ENDED_ITSELF in pod:
        # A virtual node says so also of a job whose nodes are booting; the site then knows better.
        return belief.view.is_over or is_going
    return not is_going and belief.view.is_over


def end_of(
    pod: Pod,
    heard: Sequence[HeardJob],
    ray: RayHeard | None,
    now: float,
    *,
    sent_away: bool,
    is_gone: bool = False,
) -> Ended | None:
    """Return what is to be remembered of a pod that ended by itself; None when it lives, or was sent away.

    ``is_gone`` tells that the cluster has it no more.
    """
    belief = _belief(pod, heard)
    if not has_ended(pod, belief, sent_away=sent_away, is_gone=is_gone):
        return None
    who = "head" if is_head(pod) else "worker"
    member = _member(pod, ray)
    return Ended(
        pod["metadata"]["name"],
        pod["metadata"]["uid"],
        HEAD_GROUP if is_head(pod) else WORKER_GROUP,
        (belief.view.end or EndCode.FAILED).value,
        _of(who, belief.view.reason) or f"The {who} has ended and does not say why.",
        now,
        _has_joined(pod, ray, member),
        worked_seconds(member, ray, now) if member is not None and ray is not None else 0,
        belief.view.job_id,
        _epoch(pod["metadata"].get("creationTimestamp")) or 0.0,
    )


def ended_row(ended: Ended, heard: Sequence[HeardJob], now: float) -> Row:
    """Return the row of one that is gone; its site may have said meanwhile why."""
    better = amended(ended, heard)
    return Row(
        ended.pod,
        ended.uid,
        RowState.LOST if ended.joined else RowState.FAILED,
        better.why,
        better.code,
        job_id=better.job_id,
        since_seconds=max(0, round(now - ended.at)),
    )


def amended(ended: Ended, heard: Sequence[HeardJob]) -> Ended:
    """Return ``ended`` with what its site says by now of its job, which a pod is often gone too early to hear."""
    if not heard:
        return ended
    pod: Pod = {
        "metadata": {"name": ended.pod, "uid": ended.uid, "labels": {}, "annotations": {}},
        "spec": {},
        "status": {"phase": "Failed", "conditions": [], "containerStatuses": []},
    }
    belief = believe(view_pod(pod, offloaded=True), heard, ended.job_id)
    if belief.end is None:
        return ended
    # "Ended with exit status 1" of the site says less than what the pod had said.
    if belief.end in (EndCode.FAILED, EndCode.COMPLETED) and ended.why:
        return replace(ended, job_id=ended.job_id or belief.view.job_id)
    who = "head" if ended.group == HEAD_GROUP else "worker"
    return replace(
        ended,
        code=belief.end.value,
        why=_of(who, belief.view.reason),
        job_id=ended.job_id or belief.view.job_id,
    )


def learned(ended: Ended, ray: RayHeard | None, now: float) -> Ended:
    """Return ``ended`` with what Ray has said since of its node: it may have joined between two looks."""
    if ended.joined or ray is None or (member := ray.member(ended.pod)) is None:
        return ended
    return replace(ended, joined=True, worked_seconds=worked_seconds(member, ray, min(now, ended.at)))


def _belief(pod: Pod, heard: Sequence[HeardJob]) -> Belief:
    """Return what is believed of a pod, as if nobody had deleted it: who did, and why, is another question."""
    metadata, status = pod["metadata"], pod["status"]
    as_server = {
        **pod,
        "metadata": {key: value for key, value in metadata.items() if key != "deletionTimestamp"},
        "status": {
            **status,
            "containerStatuses": [
                {**one, "name": NOTEBOOK_CONTAINER} if one.get("name") in _RAY_CONTAINERS else one
                for one in status.get("containerStatuses") or []
            ],
        },
    }
    return believe(view_pod(as_server, offloaded=bool(site_of(pod))), heard)


def _member(pod: Pod, ray: RayHeard | None) -> Member | None:
    return ray.member(pod["metadata"]["name"]) if ray is not None else None


def _has_joined(pod: Pod, ray: RayHeard | None, member: Member | None) -> bool:
    """Tell whether a pod was a node of Ray. A head counts when it answers, a little before its node is there."""
    answered = ray is not None and ray.has_answered and ray.head_uid == pod["metadata"]["uid"]
    return member is not None or (is_head(pod) and answered)


def _time_left(heard: Sequence[HeardJob], job_id: str | None) -> int | None:
    left = [
        max(0, round(word.job.time_left_seconds))
        for word in heard
        if word.is_fresh and word.job.time_left_seconds is not None and word.job.id == job_id
    ]
    return left[0] if left else None


def _epoch(text: Any) -> float | None:
    """Return what Kubernetes wrote of a moment as seconds since the epoch, None when it is none."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _since(created: Any, now: float) -> int | None:
    moment = _epoch(created)
    return None if moment is None else max(0, round(now - moment))


def _of(who: str, words: str) -> str:
    """Return words that were made for a notebook's server, as they are for a head or a worker."""
    return words.replace("The server ", f"The {who} ", 1).replace("that the server ", f"that the {who} ", 1)
