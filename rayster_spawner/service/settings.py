"""What the service is told by its command line and its environment, the hub's own variables included."""

import os
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

DEFAULT_PREFIX = "/services/rayster/"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8183

_PREFIX_PATTERN = r"^/([A-Za-z0-9._~@%-]+/)*$"


class Settings(BaseModel):
    """The service's settings. ``hub_api_url`` is empty where no hub is asked, and then nothing is swept."""

    model_config = ConfigDict(frozen=True)

    profiles_file: str
    namespace: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    host: str = DEFAULT_HOST
    port: Annotated[int, Field(ge=0, le=65535)] = DEFAULT_PORT
    base_url: Annotated[str, StringConstraints(pattern=_PREFIX_PATTERN)] = DEFAULT_PREFIX
    hub_api_url: str = ""
    service_name: str = "rayster"
    token: Annotated[str, Field(repr=False)] = ""
    sweeps: bool = True
    orphan_grace_seconds: Annotated[int, Field(ge=60)] = 600
    refresh_seconds: Annotated[float, Field(ge=0.1, le=60)] = 10
    max_streams: Annotated[int, Field(ge=1)] = 5000
    max_streams_of_user: Annotated[int, Field(ge=1)] = 30


def address_from_hub() -> tuple[str, int]:
    """Return host and port that a hub asks its service to listen on, or the defaults."""
    url = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", ""))
    try:
        return url.hostname or DEFAULT_HOST, url.port or DEFAULT_PORT
    except ValueError:
        return DEFAULT_HOST, DEFAULT_PORT
