"""How the form says the state of a profile's site. Pure; `static/sites.js` says it the same way, in local time."""

from datetime import datetime, timezone
from typing import NamedTuple

from ..site_facts import SiteState, SiteStatus

# What is younger than this is simply how it is.
FRESH_SECONDS = 60


class SiteLine(NamedTuple):
    """The line on a card. ``since`` and ``since_utc`` are a moment for machines and for people, or empty."""

    state: str
    text: str
    since: str = ""
    since_utc: str = ""
    detail: str = ""
    age_seconds: int | None = None
    age: str = ""


def site_line(status: SiteStatus, now: datetime | None = None) -> SiteLine:
    """Return what the card says of ``status``; ``now`` is for tests."""
    text, since, since_utc = _capital(status.text) or status.state.value.capitalize(), "", ""
    if status.state is SiteState.UNREACHABLE and status.since is not None:
        moment = datetime.fromtimestamp(status.since, timezone.utc)
        is_today = moment.date() == (now or datetime.now(timezone.utc)).date()
        text, since = "Unreachable since", f"{moment:%Y-%m-%dT%H:%M:%SZ}"
        since_utc = f"{moment:%H:%M} UTC" if is_today else f"{moment:%d %b, %H:%M} UTC"
    return SiteLine(
        status.state.value,
        text,
        since,
        since_utc,
        status.detail,
        status.age_seconds,
        age_words(status.state, status.age_seconds),
    )


def why_anyway(site: str, status: SiteStatus) -> str:
    """Return why it has to be said that a server shall be queued at ``site`` all the same."""
    if status.text.lower().startswith("unreachable"):
        return f"{site} does not answer."
    return f"{site}: {status.text}."


def age_words(state: SiteState, age_seconds: int | None) -> str:
    """Return how old a state is, ``as of 3 min ago``; nothing when it is fresh or nobody knows."""
    if age_seconds is None or age_seconds < FRESH_SECONDS:
        return ""
    since = "last heard" if state is SiteState.UNKNOWN else "as of"
    hours, minutes = divmod(age_seconds // 60, 60)
    if hours == 0:
        return f"{since} {minutes} min ago"
    return f"{since} {hours} h ago" if hours < 48 else f"{since} {hours // 24} d ago"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
