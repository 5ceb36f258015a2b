"""The hub's pages that RaySTER replaces: where their templates and static files are, and what the wait shows."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ..options import ServerOptions
from ..profiles import Profile
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
