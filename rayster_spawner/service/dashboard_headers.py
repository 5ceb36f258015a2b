"""Which headers pass between a browser or program and a cluster's dashboard, and how a browser must show it. Pure."""

from collections.abc import Iterable, Mapping

# To the head: what says which answer is wanted. Not who asks (cookies, tokens), nor from where.
_ASKED = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "content-type",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "range",
    }
)
# Back: what says what the answer is. Not cookies, nor anything that concerns the host or the connection.
_ANSWERED = frozenset(
    {
        "accept-ranges",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-range",
        "content-type",
        "etag",
        "last-modified",
    }
)
# Ray refuses what a browser sends but GET; a program's request may be made in one.
USER_AGENT = "RaySTER"
SANDBOX = "sandbox allow-scripts allow-popups allow-downloads allow-modals; frame-ancestors 'self'"


def to_head(headers: Iterable[tuple[str, str]], token: str) -> dict[str, str]:
    """Return the headers for the head, with the cluster's token."""
    passed = {name.title(): value for name, value in headers if name.lower() in _ASKED}
    # Without one the client would name its own.
    passed.setdefault("Accept-Encoding", "identity")
    return {**passed, "User-Agent": USER_AGENT, "Authorization": f"Bearer {token}"}


def from_head(headers: Mapping[str, str], *, for_browser: bool) -> dict[str, str]:
    """Return the headers for who asked. A browser is told to show it as a page of no origin."""
    passed = {name: value for name, value in headers.items() if name.lower() in _ANSWERED}
    passed |= {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": SANDBOX,
    }
    # The path of the dashboard holds its ticket.
    passed |= {"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin"}
    if for_browser:
        # The page has no origin, so all its requests come from elsewhere; without a cookie there is nothing to steal.
        passed["Access-Control-Allow-Origin"] = "*"
    return passed


def moved_to(location: str, prefix: str) -> str | None:
    """Return where a redirect of the dashboard leads under its ``prefix``; None when it leads out of it."""
    if location.startswith("/") and not location.startswith(("//", "/\\")):
        return prefix + location[1:]
    is_relative = (
        not location.startswith(("/", "\\")) and ":" not in location.split("/", 1)[0].split("?", 1)[0]
    )
    return location if is_relative else None
