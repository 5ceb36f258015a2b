"""The hub's pages that RaySTER replaces: where their templates and static files are, and what they show."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ..options import FIELDS, ServerOptions
from ..profiles import Profile
from .received import control_name
from .wording import summarise

STATIC_FOLDER = Path(__file__).parent / "static"
TEMPLATE_FOLDER = Path(__file__).parent / "templates"


def template_paths() -> list[str]:
    """Return the folders for ``c.JupyterHub.template_paths``. They fit the hub's lines 5.5 and 6.1."""
    return [str(TEMPLATE_FOLDER / "hub")]


def static_handlers() -> list[tuple[str, Any, dict[str, str]]]:
    """Return the handlers for ``c.JupyterHub.extra_handlers`` that serve the pages' CSS and JavaScript.

    They are files of the hub's own origin, so a Content-Security-Policy of ``'self'`` allows them. The pages ask for
    them with the hub's ``?v=``, which browsers may keep; without it they ask again.
    """
    from jupyterhub.handlers.static import CacheControlStaticFilesHandler

    return [(r"/rayster/static/(.*)", CacheControlStaticFilesHandler, {"path": str(STATIC_FOLDER)})]


class LivePage(NamedTuple):
    """Where a page hears live news without the hub: the service's ``url`` (no slash at its end) and its ``ticket``.

    The ticket is sent as ``Authorization: Ticket …``, never in an address.
    """

    url: str
    ticket: str


_END_HEADINGS = {
    "walltime": "The time limit was reached",
    "out-of-memory": "Out of memory",
    "cancelled-at-site": "Cancelled at the site",
    "node-failed": "The node failed",
    "preempted": "Another job took the place",
    "completed": "Your server has ended",
    "failed": "Your server has failed",
    "deleted": "Your server was deleted",
    "start-failed": "Your server could not start",
}


class EndView(NamedTuple):
    """Why a server ended, for the page that finds it not running as ``spawner.last_end_view()``.

    ``code`` chooses the heading, ``text`` is one plain sentence or the site's own words, ``ended_at`` seconds since
    the epoch, ``asked_for`` the line of `summarise`, ``options`` those of ``ServerOptions.as_json``.
    """

    code: str
    text: str
    ended_at: float | None
    asked_for: str
    options: Mapping[str, Any]

    @property
    def is_alarming(self) -> bool:
        """Whether something went wrong, rather than came to its end."""
        return self.code not in ("walltime", "completed", "preempted", "deleted")

    @property
    def heading(self) -> str:
        """The end in a few words."""
        return _END_HEADINGS.get(self.code, _END_HEADINGS["completed"])

    @property
    def ended_at_iso(self) -> str:
        """When it ended, for a script that shows it in the reader's own time; empty when nobody knows."""
        return "" if self.ended_at is None else f"{self._ended():%Y-%m-%dT%H:%M:%SZ}"

    @property
    def ended_at_utc(self) -> str:
        """When it ended, as a browser without JavaScript shows it; empty when nobody knows."""
        return "" if self.ended_at is None else f"{self._ended():%d %B %Y, %H:%M} UTC"

    def _ended(self) -> datetime:
        return datetime.fromtimestamp(self.ended_at or 0, timezone.utc)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The names and values with which the form would ask for the same options; empty without a profile."""
        profile = self.options.get("profile")
        if not isinstance(profile, str):
            return []
        given = [(field, self.options[field]) for field in FIELDS[1:] if field in self.options]
        return [("profile", profile), *((control_name(profile, field), str(value)) for field, value in given)]


class PendingView(NamedTuple):
    """What the pending page shows of a spawn: one plain line, and how long it has waited.

    ``elapsed_seconds`` is counted by the hub's clock: the browser's may be wrong.
    """

    asked_for: str
    image: str
    elapsed_seconds: int


def pending_view(
    profile: Profile, options: ServerOptions, since: datetime | None, now: datetime | None = None
) -> PendingView:
    """Return what the pending page shows; the template finds it as ``spawner.pending_view()``.

    ``since`` is when the spawn began (without a time zone it is UTC, as in the hub's database); ``now`` is for tests.
    """
    now = now or datetime.now(timezone.utc)
    elapsed = now - _aware(since) if since else timedelta(0)
    image = next((image.title for image in profile.images if image.name == options.image), options.image)
    return PendingView(summarise(profile, options), image, max(0, int(elapsed.total_seconds())))


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
