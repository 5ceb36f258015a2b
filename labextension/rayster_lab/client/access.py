"""Where the service is and who asks: what the hub has put into a server's environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .errors import NoService

URL_VARIABLE = "RAYSTER_SERVICE_URL"
TOKEN_VARIABLE = "JUPYTERHUB_API_TOKEN"  # noqa: S105


@dataclass(frozen=True)
class Access:
    """``url`` is that of the service, without a slash at its end; ``server`` the name of this user's server."""

    url: str
    token: str = field(repr=False)
    server: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Access":
        """Return what the hub told this server. Raises NoService."""
        url = environ.get(URL_VARIABLE, "").rstrip("/")
        token = environ.get(TOKEN_VARIABLE, "")
        if not url or not token:
            missing = " and ".join(name for name in (URL_VARIABLE, TOKEN_VARIABLE) if not environ.get(name))
            raise NoService(
                f"This kernel knows of no RaySTER service ({missing} is not set). Ray clusters can be made from a "
                "server that RaySTER's hub has started; stop yours and start it again if it is older than the service."
            )
        if urlsplit(url).scheme not in ("http", "https"):
            raise NoService(f"{URL_VARIABLE} is {url[:80]!r}; it must begin with http:// or https://.")
        return cls(url, token, environ.get("JUPYTERHUB_SERVER_NAME", ""))
