"""What a restarted hub must know of a spawn: written to the hub's database before the pod is created."""

import uuid
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class SpawnMark:
    """One spawn. Times are seconds since the epoch, so that they mean the same after a restart.

    ``deadline`` ends the wait for the server. ``token_id`` is the row of the server's API token (never the token).
    ``created`` is set once the API server has the pod, ``ran_at`` once its server answered or its pod ran,
    ``waiting`` is unset once the hub has the server up, and ``stopping`` is set before its pod is deleted.
    """

    requested_at: float
    deadline: float
    options: dict[str, Any]
    spawn_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    token_id: int | None = None
    port: int | None = None
    offloaded: bool = False
    created: bool = False
    ran_at: float | None = None
    waiting: bool = True
    stopping: bool = False

    def as_state(self) -> dict[str, Any]:
        """Return the mark as plain data for the hub's database."""
        return asdict(self)


def read_mark(state: Any) -> SpawnMark | None:
    """Return the mark in ``state``, or None when there is none or another version wrote it differently."""
    if not isinstance(state, dict):
        return None
    known = {f.name for f in fields(SpawnMark)}
    try:
        mark = SpawnMark(**{key: value for key, value in state.items() if key in known})
        usable = isinstance(mark.options, dict) and mark.requested_at <= mark.deadline
    except TypeError:
        return None
    return mark if usable and isinstance(mark.spawn_id, str) else None
