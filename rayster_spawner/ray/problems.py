"""What a person should know of a cluster, and do. Pure."""

from ..life.progress import duration
from ..life.site_message import site_words
from .facts import Facts, idle_of, is_unreachable, lost_head
from .records import RESTARTED_AT, Ended, Stopped, moment_of
from .rows import HEAD_GROUP, amended
from .view import ClusterState, Problem, Row, RowState

# An end is worth a remark for so long.
_LATELY_SECONDS = 900
_RESTART = "Restart the cluster when what failed has been put right."


def problems_of(
    facts: Facts, state: ClusterState, head: Row | None, joined: int, wanted: int, stopped: Stopped | None
) -> tuple[Problem, ...]:
    """Return what is wrong, the worst first."""
    if state is ClusterState.STOPPING:
        return ()
    found = [_stopped(stopped), _refused(facts), _unreachable(facts, state), _head_gone(facts, head)]
    if stopped is None:
        found.append(_worker_gone(facts, joined, wanted))
    found.append(_idle(facts))
    return tuple(problem for problem in found if problem is not None)


def _stopped(stopped: Stopped | None) -> Problem | None:
    if stopped is None:
        return None
    do = "Restart it to go on." if stopped.code == "idle" else _RESTART
    return Problem(stopped.code, stopped.message, do)


def _refused(facts: Facts) -> Problem | None:
    """KubeRay could not make or delete a pod, such as for a quota; it says so in a condition only."""
    for condition in (facts.cluster.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            said = site_words(condition.get("message") or condition.get("reason") or "")
            return Problem(
                "refused", f"The cluster cannot have all its pods: {said}", "Ask for less, or later."
            )
    return None


def _unreachable(facts: Facts, state: ClusterState) -> Problem | None:
    if not is_unreachable(facts.site) or facts.site is None:
        return None
    message = f"{facts.site.text}. Jobs that run there go on; nothing was cancelled."
    do = "Wait: what the site did meanwhile is shown when it is back."
    return Problem("site-unreachable", message, do)


def _head_gone(facts: Facts, head: Row | None) -> Problem | None:
    lost = lost_head(facts)
    if lost is None:
        return None
    why = amended(lost, facts.heard.get(lost.uid, ())).why
    if head is not None and head.state is RowState.JOINED:
        message = (
            f"The head was lost and replaced {_ago(facts, lost)}: {why} What was in Ray's memory is gone."
        )
        do = "Attach again."
    else:
        message = f"The head was lost {_ago(facts, lost)}: {why} What was in Ray's memory is gone."
        do = "Attach again when it is up, or restart the cluster."
    return Problem("head-lost", message, do)


def _worker_gone(facts: Facts, joined: int, wanted: int) -> Problem | None:
    """The last worker that ended, while one is missing: most often the reason why the next one will end, too."""
    since = max(moment_of(facts.cluster, RESTARTED_AT) or 0, facts.now - _LATELY_SECONDS)
    lately = [one for one in facts.ended if one.group != HEAD_GROUP and one.at >= since]
    if joined >= wanted or not lately:
        return None
    last = max(lately, key=lambda one: one.at)
    last = amended(last, facts.heard.get(last.uid, ()))
    code, what = ("worker-lost", "was lost") if last.joined else ("worker-failed", "failed")
    return Problem(code, f"A worker {what} {_ago(facts, last)}: {last.why}", "It is being replaced.")


def _idle(facts: Facts) -> Problem | None:
    idle = idle_of(facts)
    if idle is None or not idle.warned or idle.stops_in_seconds is None:
        return None
    message = (
        f"No notebook has been attached for {duration(idle.idle_seconds)}; "
        "the cluster will be stopped because nobody uses it."
    )
    return Problem("idle", message, "Attach to it to keep it.")


def _ago(facts: Facts, ended: Ended) -> str:
    seconds = max(0, round(facts.now - ended.at))
    return "just now" if seconds < 60 else f"{duration(seconds // 60 * 60)} ago"
