"""What a cluster's own Ray says of its nodes and drivers, by its dashboard's REST interface. Pure.

Only Ray knows who has joined: KubeRay's status speaks of pods. The head is a program of its user, so its answers are
hostile until they are read: typed, bounded, and nothing of them decides about anybody else's cluster.

Sources: Ray 2.60, `dashboard/modules/node/node_head.py`, `dashboard/modules/snapshot/snapshot_head.py`,
`util/state/common.py`. Of the two lists `/api/v0/nodes` is two seconds ahead and keeps the labels of dead nodes;
`/nodes?view=summary` has each node's instance (KubeRay sets it to the pod's name) and what is in use.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .view import Resources

MAX_NODES = 2000
_MAX_WORD = 253
_MAX_MESSAGE = 300
POD_LABEL = "rayster.dev/pod"
PYTHON_LABEL = "rayster.dev/python"
_USAGE = re.compile(r"([0-9.]{1,20})/([0-9.]{1,20}) (CPU|GPU)\b", re.ASCII)


@dataclass(frozen=True)
class Member:
    """A node of Ray. ``pod`` is empty for one that is no pod of the cluster: the notebook's own.

    ``started_at`` and ``ended_at`` are by the head's clock, in seconds since the epoch.
    """

    node_id: str
    pod: str
    is_alive: bool
    is_head: bool = False
    message: str = ""
    address: str = ""
    cpus: float = 0
    gpus: float = 0
    python: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    cpus_used: float | None = None
    gpus_used: float | None = None


@dataclass(frozen=True)
class Activity:
    """Whether a driver is there. ``idle_seconds``: since the last one went (None: there was none yet)."""

    is_active: bool
    idle_seconds: float | None = None


@dataclass(frozen=True)
class RayHeard:
    """What was heard of one head (a pod, by its UID), and how long ago. Empty ``session``: its Ray never answered."""

    head_uid: str
    age_seconds: float = 0
    session: str = ""
    ray_version: str = ""
    members: tuple[Member, ...] = ()
    activity: Activity | None = None
    failure: str = ""
    # The head's clock less this machine's.
    clock_ahead_seconds: float = 0
    by_pod: Mapping[str, Member] = field(default_factory=dict, compare=False, repr=False)

    @property
    def has_answered(self) -> bool:
        """Whether Ray has answered at all."""
        return bool(self.session)

    def member(self, pod: str) -> Member | None:
        """Return the node of a pod: the living one, else the one that died last."""
        return self.by_pod.get(pod)

    def resources(self) -> Resources | None:
        """Return what all living nodes have, and use."""
        alive = [member for member in self.members if member.is_alive]
        if not alive:
            return None
        return Resources(
            sum(member.cpus for member in alive),
            _total([member.cpus_used for member in alive]),
            sum(member.gpus for member in alive),
            _total([member.gpus_used for member in alive]),
        )


def index_by_pod(members: tuple[Member, ...]) -> dict[str, Member]:
    """Return each pod's node: the living one, else the newest."""
    by_pod: dict[str, Member] = {}
    for member in sorted(members, key=lambda one: (one.is_alive, one.started_at or 0)):
        if member.pod:
            by_pod[member.pod] = member
    return by_pod


def read_nodes(answer: Any) -> tuple[Member, ...]:
    """Return the nodes in an answer of `/api/v0/nodes?detail=1`. Raises ValueError when it is none."""
    listed = _at(answer, "data", "result", "result")
    if not isinstance(listed, list):
        raise ValueError("the answer has no list of nodes")
    return tuple(member for said in listed[:MAX_NODES] if (member := _node(said)) is not None)


def with_memory(members: tuple[Member, ...], before: tuple[Member, ...]) -> tuple[Member, ...]:
    """Return ``members`` with what was known of the same head's nodes before.

    A dead node may lose its labels, and Ray forgets dead nodes when there are many: one that is not told of any more is
    dead, too.
    """
    known = {member.node_id: member for member in before}
    told = [
        replace(member, pod=member.pod or known[member.node_id].pod) if member.node_id in known else member
        for member in members
    ]
    present = {member.node_id for member in members}
    lost = [
        replace(member, is_alive=False, message=member.message or "it is not among Ray's nodes any more")
        for member in before
        if member.node_id not in present
    ]
    return tuple((*told, *lost[-MAX_NODES:]))


@dataclass(frozen=True)
class Summary:
    """What the summary knows beside: each node's pod, and the CPUs and GPUs in use on it, by the node's id."""

    pods: Mapping[str, str] = field(default_factory=dict)
    used: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def read_summary(answer: Any) -> Summary:
    """Return what is wanted of an answer of `/nodes?view=summary`. Raises ValueError when it is none."""
    listed, usage = _at(answer, "data", "summary"), _at(answer, "data", "nodeLogicalResources")
    if not isinstance(listed, list):
        raise ValueError("the answer has no summary of nodes")
    pods = {}
    for said in listed[:MAX_NODES]:
        node_id, pod = _word(_at(said, "raylet", "nodeId")), _word(_at(said, "raylet", "instanceId"))
        if node_id and pod:
            pods[node_id] = pod
    used = {}
    if isinstance(usage, dict):
        for node_id, text in list(usage.items())[:MAX_NODES]:
            if isinstance(text, str):
                amounts = {kind: _amount(amount) for amount, _, kind in _USAGE.findall(text[:1000])}
                used[str(node_id)] = amounts.get("CPU", 0.0), amounts.get("GPU", 0.0)
    return Summary(pods, used)


def with_summary(members: tuple[Member, ...], summary: Summary) -> tuple[Member, ...]:
    """Return ``members`` with the pods and the use that the summary tells."""
    told = []
    for member in members:
        cpus, gpus = summary.used.get(member.node_id, (None, None)) if member.is_alive else (None, None)
        pod = member.pod or summary.pods.get(member.node_id, "")
        told.append(replace(member, pod=pod, cpus_used=cpus, gpus_used=gpus))
    return tuple(told)


def read_activity(answer: Any) -> tuple[Activity | None, float | None]:
    """Return whether a driver is there, and the head's time (seconds since the epoch), of `/api/component_activities`.

    None for an activity that Ray itself cannot tell (`ERROR`). Raises ValueError when it is no such answer.
    """
    driver = _at(answer, "driver")
    if not isinstance(driver, dict):
        raise ValueError("the answer does not speak of drivers")
    now, last = _number(driver.get("timestamp")), _number(driver.get("last_activity_at"))
    state = driver.get("is_active")
    if state == "ACTIVE":
        return Activity(True, 0), now
    if state != "INACTIVE":
        return None, now
    idle = max(0.0, now - last) if now is not None and last is not None else None
    return Activity(False, idle), now


def read_version(answer: Any) -> tuple[str, str]:
    """Return Ray's version and the head's session, of `/api/version`. Raises ValueError when it is no such answer."""
    version, session = _word(_at(answer, "ray_version")), _word(_at(answer, "session_name"))
    if not version or not session:
        raise ValueError("the answer has no version and session")
    return version, session


def _node(said: Any) -> Member | None:
    node_id, state = _word(_at(said, "node_id")), _at(said, "state")
    if not node_id or state not in ("ALIVE", "DEAD"):
        return None
    resources, labels = _at(said, "resources_total"), _at(said, "labels")
    resources = resources if isinstance(resources, dict) else {}
    labels = labels if isinstance(labels, dict) else {}
    started_ms, ended_ms = _number(_at(said, "start_time_ms")), _number(_at(said, "end_time_ms"))
    return Member(
        node_id,
        _word(labels.get(POD_LABEL)),
        state == "ALIVE",
        _at(said, "is_head_node") is True,
        _word(_at(said, "state_message"), _MAX_MESSAGE),
        _word(_at(said, "node_ip")),
        _amount(resources.get("CPU")),
        _amount(resources.get("GPU")),
        _word(labels.get(PYTHON_LABEL), 40) or None,
        started_ms / 1000 if started_ms else None,
        ended_ms / 1000 if ended_ms else None,
    )


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _word(value: Any, max_characters: int = _MAX_WORD) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in value[:max_characters]).strip()


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < 10**15 else None


def _amount(value: Any) -> float:
    number = _number(value)
    return number if number is not None and 0 <= number < 10**9 else 0.0


def _total(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
