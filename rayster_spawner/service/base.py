"""What all handlers of the service have in common: the parts that they work with, JSON answers, errors of one shape."""

from collections.abc import Iterable
from dataclasses import dataclass
from logging import Logger
from typing import TYPE_CHECKING, Any

from tornado import web

from ..options import FieldError
from ..profiles import ProfileSet
from ..sites import Sites
from .access import Access
from .claims import Claims
from .cluster_cache import ClusterCache
from .pod_cache import PodCache
from .ray_objects import RayObjects
from .settings import Settings
from .streams import EventHandler, Streams

if TYPE_CHECKING:
    from .cluster_logs import PodLogs
    from .dashboard import Dashboards

_CODES = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "wrong-method",
    409: "conflict",
    413: "too-large",
    429: "too-many",
    503: "unavailable",
}


class ApiError(web.HTTPError):
    """An answer that says no: HTTP status, a code for programs, a sentence for people, and which fields are wrong."""

    def __init__(self, status: int, code: str, message: str, fields: Iterable[FieldError] = ()):
        super().__init__(status)
        self.code, self.message, self.fields = code, message, tuple(fields)


@dataclass(frozen=True)
class Parts:
    """What the handlers work with."""

    settings: Settings
    access: Access
    pods: PodCache
    sites: Sites
    streams: Streams
    clusters: ClusterCache
    objects: RayObjects
    claims: Claims
    logs: "PodLogs"
    dashboards: "Dashboards"
    log: Logger

    def profiles(self) -> ProfileSet:
        """Return the profiles as they are now."""
        return self.sites.get_profiles()


class Handler(EventHandler):
    """JSON answers, errors of one shape, nothing kept by anybody."""

    def initialize(self, parts: Parts) -> None:
        """Take the parts."""
        self.parts = parts

    def set_default_headers(self) -> None:
        """Let no browser guess, keep or frame an answer."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

    def write_error(self, status_code: int, **details: Any) -> None:
        """Write an error as JSON."""
        error = details.get("exc_info", (None, None, None))[1]
        if isinstance(error, ApiError):
            said: dict[str, Any] = {"code": error.code, "message": error.message}
            if error.fields:
                said["fields"] = [field._asdict() for field in error.fields]
            self.finish({"error": said})
            return
        text = error.log_message if isinstance(error, web.HTTPError) and error.log_message else self._reason
        code = _CODES.get(status_code, "error")
        if status_code == 401:
            self.set_header("WWW-Authenticate", 'Bearer realm="rayster"')
        self.finish({"error": {"code": code, "message": text}})

    def check_xsrf_cookie(self) -> None:
        """Nothing to check: no cookie is read, and nothing can be changed."""

    @property
    def authorization(self) -> str:
        """The request's `Authorization` header."""
        return self.request.headers.get("Authorization", "")
