"""What to do next for a pod: which containers to start, when to look again, which phase that makes; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rayster_testbed.kube_events import parse_timestamp
from rayster_testbed.kubelet.runtime import Attempt

# A container that ran this long starts again without a back-off (MaxContainerBackOff in the kubelet: 10 minutes).
_GOOD_RUN_SECONDS = 600.0
_LONGEST_BACKOFF_SECONDS = 300.0


@dataclass(frozen=True)
class Waiting:
    """Why a container does not run yet: `waiting.reason` and `waiting.message` of its status."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class View:
    """What the kubelet knows of one container: its runs, what keeps it from running, and what its probes say."""

    attempts: tuple[Attempt, ...] = ()
    waiting: Waiting | None = None
    started: bool = True
    ready: bool = True

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def running(self) -> bool:
        return self.last is not None and self.last.running

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last run, when that has ended."""
        return self.last.exit_code if self.last is not None else None


@dataclass(frozen=True)
class Plan:
    """Containers to start now, containers that back off, and in how many seconds to look again (None: on a change)."""

    start: tuple[str, ...] = ()
    backing_off: Mapping[str, float] = field(default_factory=dict)
    look_again_seconds: float | None = None


Views = Mapping[str, View]


def restart_delay_seconds(attempts: Sequence[Attempt], first_backoff_seconds: float) -> float:
    """How long after its last end a container waits: nothing the first time, then 10 s doubling to 300 s."""
    failures = 0
    for attempt in reversed(attempts):
        if attempt.started_at and attempt.finished_at:
            ran = parse_timestamp(attempt.finished_at) - parse_timestamp(attempt.started_at)
            if ran >= _GOOD_RUN_SECONDS:
                break
        failures += 1
    if failures <= 1:
        return 0.0
    return min(_LONGEST_BACKOFF_SECONDS, first_backoff_seconds * 2.0 ** (failures - 2))


def restarts(policy: str, exit_code: int | None) -> bool:
    """Whether a container that ended with *exit_code* runs again under a pod's restart policy."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def initialized(spec: Mapping, views: Views) -> bool:
    """Whether every init container has succeeded, or a main container was started (so they must have)."""
    if any(views[c["name"]].attempts for c in spec["containers"]):
        return True
    return all(views[c["name"]].exit_code == 0 for c in spec.get("initContainers") or [])


def plan(spec: Mapping, views: Views, now: float, first_backoff_seconds: float) -> Plan:
    """What to start now.

    Args:
        spec: the pod's spec.
        views: a view for every container and init container, by name.
        now: seconds since the epoch.
        first_backoff_seconds: wait before the second restart (10 in the kubelet).
    """
    policy = spec.get("restartPolicy") or "Always"
    if phase(spec, views) in ("Succeeded", "Failed"):
        return Plan()
    candidates: list[tuple[str, str]] = []
    if initialized(spec, views):
        candidates = [(c["name"], policy) for c in spec["containers"]]
    else:
        # Init containers run one after another; "Always" means for them to try until they succeed.
        pending = next(c["name"] for c in spec["initContainers"] if views[c["name"]].exit_code != 0)
        candidates = [(pending, "OnFailure" if policy == "Always" else policy)]
    start: list[str] = []
    backing_off: dict[str, float] = {}
    due_in: list[float] = []
    for name, container_policy in candidates:
        view = views[name]
        if view.running:
            continue
        if view.last is not None and view.last.finished_at is not None:
            if not restarts(container_policy, view.exit_code):
                continue
            delay = restart_delay_seconds(view.attempts, first_backoff_seconds)
            remaining = parse_timestamp(view.last.finished_at) + delay - now
            if remaining > 0:
                backing_off[name] = delay
                due_in.append(remaining)
                continue
        start.append(name)
    return Plan(tuple(start), backing_off, min(due_in, default=None))


def phase(spec: Mapping, views: Views) -> str:
    """The pod's phase, by the rules of the kubelet's `getPhase`."""
    policy = spec.get("restartPolicy") or "Always"
    if not initialized(spec, views):
        failed = any(views[c["name"]].exit_code not in (None, 0) for c in spec.get("initContainers") or [])
        return "Failed" if failed and policy == "Never" else "Pending"
    mains = [views[c["name"]] for c in spec["containers"]]
    if any(view.last is None for view in mains):
        return "Pending"
    if any(view.running for view in mains) or policy == "Always":
        return "Running"
    if all(view.exit_code == 0 for view in mains):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"
