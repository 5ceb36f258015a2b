"""What a user is told when a server cannot be started, and whether the hub counts it as a failure of its own."""

import asyncio
from html import escape
from typing import Any

from tornado import web

from ..options import OptionsError
from .endings import EndCode

try:
    from jupyterhub.spawner import SpawnException
except ImportError:  # JupyterHub 5
    SpawnException = None


class PodUnknown(Exception):
    """The API server cannot be asked, so nothing is known of the pod: no reason to believe that it is gone."""


def spawn_failed(
    message: str, *, reason: str, counted: bool, end: EndCode = EndCode.START_FAILED
) -> web.HTTPError:
    """Return the error for a server that did not start.

    Arguments: ``message`` is for the user, plain text; ``reason`` is a label for the hub's metrics; ``counted`` tells
    that the hub should count it, so that a hub that can start nothing any more ends (`consecutive_failure_limit`);
    ``end`` is how the server ended, where it is known better than that it did not start.
    """
    error: Any
    if SpawnException is None or counted:
        error = web.HTTPError(503, message)
    else:
        error = SpawnException(message, reason=reason, status_code=503)
    error.end = end
    return _shown(error, message)


def server_ended(message: str) -> web.HTTPError:
    """Return the error for a server that was up and has ended by itself; ``message`` is for the user, plain text."""
    error: Any = spawn_failed(message, reason="server-ended", counted=False)
    error.server_has_ended = True  # for the page's heading
    return error


def end_of_spawn(error: BaseException) -> tuple[EndCode, str] | None:
    """Return how a spawn ended that raised ``error``, and why for its user; None when it was refused.

    A refused spawn has started nothing, and its page says why.
    """
    if isinstance(error, web.HTTPError) and error.status_code < 500:
        return None
    said = getattr(error, "jupyterhub_message", "")
    if not said and isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        said = "The server was not up in time."
    return getattr(error, "end", EndCode.START_FAILED), said or "The server could not be started."


def options_refused(error: OptionsError) -> web.HTTPError:
    """Return the HTTP error for options that cannot be used: 400 or 403, one line for each field."""
    return _shown(web.HTTPError(error.status, str(error)), str(error))


def is_counted(error: BaseException, hub_major: int) -> bool:
    """Tell whether a hub of that major version counts ``error`` as one of its consecutive failures.

    JupyterHub 5 counts every exception; 6 counts neither refusals (HTTP 4xx) nor `SpawnException`.
    """
    if hub_major < 6:
        return True
    if SpawnException is not None and isinstance(error, SpawnException):
        return False
    return not (isinstance(error, web.HTTPError) and error.status_code < 500)


def _shown(error: Any, message: str) -> Any:
    """Give ``error`` the attributes that the pages of both hub lines show; the HTML one is shown unescaped."""
    error.jupyterhub_message = message
    error.jupyterhub_html_message = "<br>".join(escape(line) for line in message.splitlines())
    return error
