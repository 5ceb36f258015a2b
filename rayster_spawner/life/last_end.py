"""Why a user's last server ended: kept with its options, so that the page says so after any reload or restart."""

import time
from dataclasses import asdict, dataclass, fields
from typing import Any

from tornado import web

from ..form import EndView, summarise
from ..options import OptionsError
from .endings import EndCode
from .spawn_form import SpawnForm


@dataclass(frozen=True)
class LastEnd:
    """How a server ended: ``text`` is for its user, ``at`` is in seconds since the epoch.

    ``spawn_id`` is the spawn that ended, empty when the hub had forgotten it already.
    """

    code: EndCode
    text: str
    at: float
    options: dict[str, Any]
    spawn_id: str = ""

    def as_state(self) -> dict[str, Any]:
        """Return the end as plain data for the hub's database."""
        return {**asdict(self), "code": self.code.value}


def read_end(state: Any) -> LastEnd | None:
    """Return the end in ``state``, or None when there is none or another version wrote it differently."""
    if not isinstance(state, dict):
        return None
    known = {f.name for f in fields(LastEnd)}
    try:
        given = {key: value for key, value in state.items() if key in known}
        end = LastEnd(**{**given, "code": EndCode(given["code"])})
    except (KeyError, TypeError, ValueError):
        return None
    is_usable = (
        isinstance(end.text, str) and isinstance(end.at, (int, float)) and isinstance(end.options, dict)
    )
    return end if is_usable else None


class EndMemory(SpawnForm):
    """KubeSpawner that remembers why its last server ended, until a new one is up."""

    last_end: LastEnd | None = None

    def get_state(self) -> dict[str, Any]:
        """Add how the last server ended."""
        state = super().get_state()
        if self.last_end is not None:
            state["last_end"] = self.last_end.as_state()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Know again how the last server ended."""
        super().load_state(state)
        self.last_end = read_end(state.get("last_end"))

    def save_state(self) -> None:
        """Write the state to the hub's database."""
        if self.orm_spawner is not None:
            self.orm_spawner.state = self.get_state()
            self.user.db.commit()

    def remember_end(self, code: EndCode, text: str) -> None:
        """Remember how the server ended. The first word of a spawn stands: what comes later is what it led to."""
        spawn_id = self.spawn_id or ""
        if spawn_id and self.last_end is not None and self.last_end.spawn_id == spawn_id:
            return
        options = self._last_good_options or {}
        self.last_end = LastEnd(code, text or "The server has ended.", time.time(), options, spawn_id)
        self.save_state()

    def forget_end(self) -> None:
        """Forget how the last server ended: its user has another one, or has ended this one."""
        self.last_end = None

    def last_end_view(self) -> EndView | None:
        """Return what the hub's page says of how the last server ended, or None when there is nothing to say."""
        end = self.last_end
        if end is None:
            return None
        try:
            profile, options = self.parse(end.options)
        except (OptionsError, web.HTTPError):
            # Not offered any more, so it cannot be asked for again with one click.
            return EndView(end.code.value, end.text, end.at, "", {})
        return EndView(end.code.value, end.text, end.at, summarise(profile, options), options.as_json())
