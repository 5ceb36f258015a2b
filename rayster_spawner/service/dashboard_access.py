"""Who may open a cluster's dashboard in a browser: a login at the hub, then a ticket in the dashboard's own path.

The dashboard is a page that the cluster's user controls, on the hub's own host. So it is shown in a sandbox, as a page
of no origin: it can neither read nor send a cookie of the hub, of a server or of this service, nor reach another
window. Then its own requests come without a cookie, too, and need another way to be known: the ticket. It opens one
cluster's dashboard for reading for some hours, and nothing else. Pages of other users' servers, which have the hub's
origin, cannot get one: it is given to a navigation only, and who navigates there sees nothing of where it leads.
"""

import base64
import hashlib
import hmac
import os
from typing import Any

from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler
from tornado.web import create_signed_value, decode_signed_value

from .settings import Settings

TICKET_DAYS = 0.5
_NAME = "rayster-dashboard"
_MAX_TICKET_CHARACTERS = 2000


def make_ticket(key: str, cluster_uid: str) -> str:
    """Return a ticket for the dashboard of the cluster with this UID, as a part of a path."""
    signed = create_signed_value(_secret(key), _NAME, cluster_uid)
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def opens(key: str, ticket: str, cluster_uid: str) -> bool:
    """Tell whether ``ticket`` is good for the dashboard of a cluster."""
    if not key or len(ticket) > _MAX_TICKET_CHARACTERS:
        return False
    try:
        signed = base64.urlsafe_b64decode(ticket + "=" * (-len(ticket) % 4))
    except ValueError:
        return False
    value = decode_signed_value(_secret(key), _NAME, signed, max_age_days=TICKET_DAYS)
    return value is not None and hmac.compare_digest(value, cluster_uid.encode())


def _secret(key: str) -> str:
    # Another use of the same token must never sign what counts as a ticket.
    return hashlib.sha256(b"rayster dashboard\0" + key.encode()).hexdigest()


def cookie_secret(settings: Settings) -> bytes:
    """Return what the service signs its cookies with: the same after a restart, and known to nobody else."""
    return hmac.new(settings.token.encode(), b"rayster cookies", hashlib.sha256).digest()


def hub_login(settings: Settings) -> HubOAuth | None:
    """Return the login at the hub, with a state and PKCE; None where there is no hub to log in at."""
    if not (settings.hub_api_url and settings.token):
        return None
    return HubOAuth(
        api_url=settings.hub_api_url,
        api_token=settings.token,
        base_url=settings.base_url,
        oauth_client_id=os.environ.get("JUPYTERHUB_CLIENT_ID") or f"service-{settings.service_name}",
        oauth_redirect_uri=os.environ.get("JUPYTERHUB_OAUTH_CALLBACK_URL")
        or f"{settings.base_url}oauth_callback",
        access_scopes={f"access:services!service={settings.service_name}", "access:services"},
        # The cookie is of use only for the navigation that a ticket is given to.
        cookie_options={"samesite": "Lax"},
    )


class LoginCallback(HubOAuthCallbackHandler):
    """Where the hub sends a browser back to that has logged in."""

    def initialize(self, login: HubOAuth) -> None:
        """Take the login."""
        self.hub_auth = login

    def set_default_headers(self) -> None:
        """Let nobody keep or frame this."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

    def get_current_user(self) -> Any:
        """Nobody: the base class would hold up the loop to ask the hub, for a login that was begun twice."""
        return None
