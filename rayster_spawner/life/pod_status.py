"""Pod in, what its user sees out: submitted, queued, starting, running or failed, and why. Pure.

A virtual node leaves gaps (no status at all, no podIP, no containerStatuses, conditions twice, phases of its own), so
everything is read as optional, and what is not there never counts as ended.
"""

from enum import Enum
from typing import Any, NamedTuple

from .. import interlink
from ..offload import NOTEBOOK_CONTAINER
from .endings import EndCode
from .site_message import how_it_failed, site_words, why_it_failed

Pod = dict[str, Any]

# Reasons that only say that a container is not there yet.
_ORDINARY_REASONS = frozenset({"ContainerCreating", "PodInitializing", interlink.SUBMITTED_REASON})


class State(str, Enum):
    """The states of a spawn, in the words of the pending page."""

    SUBMITTED = "submitted"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    # Complete without an error, which for a virtual node may be a job whose nodes are still booting.
    ENDED = "ended"
    FAILED = "failed"
    DELETED = "deleted"


class PodView(NamedTuple):
    """What a pod says of itself: its state, why (a sentence, or empty) and its job at the site.

    Once it has ended also its exit code, and how it ended.
    """

    state: State
    reason: str = ""
    job_id: str | None = None
    exit_code: int | None = None
    end: EndCode | None = None

    @property
    def is_over(self) -> bool:
        """Whether the pod says that its server has ended."""
        return self.state in (State.ENDED, State.FAILED)


def view_pod(pod: Pod | None, *, offloaded: bool) -> PodView:
    """Return what ``pod`` (as the API server sends it; None: not there yet) says.

    ``offloaded`` tells that it belongs on a virtual node, where a pending pod waits in a queue.
    """
    if pod is None:
        return PodView(State.SUBMITTED)
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    job_id = (metadata.get("annotations") or {}).get(interlink.JOB_ID_ANNOTATION)
    if metadata.get("deletionTimestamp"):
        return PodView(State.DELETED, _status_words(status), job_id, end=EndCode.DELETED)
    notebook = _notebook_state(status)
    ended = notebook.get("terminated")
    phase = status.get("phase")
    if phase == "Failed" or (ended is not None and _exit_code(ended) != 0):
        end, why = _failure(status, ended)
        return PodView(State.FAILED, why, job_id, _exit_code(ended) or 1, end)
    if phase == "Succeeded" or ended is not None:
        return PodView(State.ENDED, "", job_id, 0, EndCode.COMPLETED)
    if phase == "Running":
        return PodView(State.RUNNING if _all_ready(status) else State.STARTING, _waiting(notebook), job_id)
    if job_id is not None:
        return PodView(State.QUEUED, _waiting(notebook), job_id)
    unscheduled = _why_unscheduled(status)
    if unscheduled or offloaded or not (pod.get("spec") or {}).get("nodeName"):
        return PodView(State.SUBMITTED, unscheduled or _waiting(notebook))
    return PodView(State.STARTING, _waiting(notebook))


def _notebook_state(status: Pod) -> Pod:
    for container in status.get("containerStatuses") or []:
        if container.get("name") == NOTEBOOK_CONTAINER:
            return container.get("state") or {}
    return {}


def _all_ready(status: Pod) -> bool:
    """An empty list is a gap, not a server (`all([])` is true)."""
    containers = status.get("containerStatuses") or []
    return bool(status.get("podIP") and containers) and all(c.get("ready") for c in containers)


def _exit_code(ended: Pod | None) -> int:
    return int((ended or {}).get("exitCode") or 0)


def _failure(status: Pod, ended: Pod | None) -> tuple[EndCode, str]:
    ended = ended or {}
    # The container's reason is the closer one, except that interLink writes the same in both.
    reason = status.get("reason") or ended.get("reason") or ""
    message = status.get("message") or ended.get("message") or ""
    return how_it_failed(reason, message), why_it_failed(reason, message, ended.get("exitCode"))


def _waiting(notebook: Pod) -> str:
    waiting = notebook.get("waiting") or {}
    reason, message = waiting.get("reason") or "", waiting.get("message") or ""
    if reason in _ORDINARY_REASONS:
        return ""
    return ": ".join(filter(None, (site_words(reason), site_words(message))))


def _status_words(status: Pod) -> str:
    return ": ".join(site_words(status[key]) for key in ("reason", "message") if status.get(key))


def _why_unscheduled(status: Pod) -> str:
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return site_words(condition.get("message") or condition.get("reason") or "")
    return ""
