"""The agent's HTTP interface: read-only JSON behind a bearer token."""

from __future__ import annotations

import hmac
import json
import ssl
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel
from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler

from rayster_site.answers import Told
from rayster_site.bodies import Body, BodyCache
from rayster_site.collector import Collector, View
from rayster_site.openapi import openapi_document
from rayster_site.orphan_watch import OrphanWatch
from rayster_site.version import agent_version

log = structlog.get_logger(__name__)

_MAX_HEADER_BYTES = 16 << 10
_MAX_BODY_BYTES = 16 << 10
_IDLE_SECONDS = 60
# How long the very first request waits for the very first look.
FIRST_LOOK_SECONDS = 5
_MAX_KEY_CHARS = 200
_HEADERS = {
    "Server": "rayster-site",
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass
class Agent:
    """What the handlers share."""

    site: str
    token: str
    collector: Collector
    told: Told
    orphans: OrphanWatch | None = None
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    # Another process numbers its looks from zero, too.
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.bodies = BodyCache(self.clock)

    async def view(self) -> View:
        """Return the last look."""
        return await self.collector.wait_first(FIRST_LOOK_SECONDS)

    def body(self, name: str, view: View, make: Callable[[], BaseModel], extra_version: str = "") -> Body:
        """Return an answer as bytes."""
        version = f"{self.run_id}/{view.number}/{extra_version}"
        return self.bodies.get(name, version, lambda: make().model_dump_json().encode())

    def times(self) -> dict[str, float]:
        """Return the two clocks' times, as `Told` takes them."""
        return {"now": self.wall_clock(), "clock": self.clock()}


class _Handler(RequestHandler):
    needs_token = True

    def initialize(self, agent: Agent) -> None:
        self.agent = agent

    def set_default_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        if self.needs_token and not self._has_token():
            raise HTTPError(401)

    def _has_token(self) -> bool:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        # Compared as bytes: hmac refuses strings that are not ASCII.
        given = token.strip().encode("utf-8", errors="surrogateescape")
        return hmac.compare_digest(given, self.agent.token.encode()) and scheme.lower() == "bearer"

    def send(self, body: Body) -> None:
        """Answer with a body, or with 304 when the asker has it."""
        self.set_header("ETag", body.etag)
        self.set_header("Vary", "Accept-Encoding")
        asked = self.request.headers.get("If-None-Match", "")
        if body.etag in (tag.strip() for tag in asked.split(",")):
            self.set_status(304)
            return
        data, encoding = body.encoded(self.request.headers.get("Accept-Encoding", ""))
        if encoding:
            self.set_header("Content-Encoding", encoding)
        self.write(data)

    def compute_etag(self) -> str | None:
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        code, message = _ERRORS.get(status_code, (None, None))
        if isinstance(error, ApiError):
            code, message = error.code, error.message
        if status_code == 401:
            self.set_header("WWW-Authenticate", 'Bearer realm="rayster-site"')
        if status_code == 405:
            self.set_header("Allow", "GET, HEAD")
        status = HTTPStatus(status_code)
        self.finish(
            json.dumps(
                {
                    "error": {
                        "code": code or status.name.lower(),
                        "message": message or f"{status.phrase}.",
                    }
                }
            )
        )

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if isinstance(value, HTTPError):
            return
        log.error("request failed", path=self.request.path[:200], exc_info=(typ, value, tb))


class ApiError(HTTPError):
    """An error with a message of its own."""

    def __init__(self, status_code: int, code: str, message: str):
        super().__init__(status_code)
        self.code = code
        self.message = message


_ERRORS = {
    401: ("unauthorized", "Send the site's token as “Authorization: Bearer TOKEN”."),
    404: ("not_found", "No such path. /openapi.json lists what there is."),
    405: ("method_not_allowed", "This service is read-only: GET and HEAD."),
    500: ("internal_error", "The agent made a mistake; its log says more."),
}


class _GetHandler(_Handler):
    @abstractmethod
    async def answer(self) -> None:
        """Answer a request of somebody who may ask."""

    async def get(self, *_: str) -> None:
        await self.answer()

    async def head(self, *_: str) -> None:
        await self.answer()


class HealthHandler(_GetHandler):
    """Whether the agent lives; says nothing of the site, so it needs no token."""

    needs_token = False

    async def answer(self) -> None:
        self.write(json.dumps({"status": "ok", "version": agent_version()}))


class OpenApiHandler(_GetHandler):
    """What there is to ask."""

    needs_token = False

    async def answer(self) -> None:
        make = lambda: json.dumps(openapi_document()).encode()  # noqa: E731
        self.send(self.agent.bodies.get("openapi", agent_version(), make))


class SiteHandler(_GetHandler):
    """The partitions."""

    async def answer(self) -> None:
        agent, view = self.agent, await self.agent.view()
        self.send(agent.body("site", view, lambda: agent.told.site(view, **agent.times())))


class JobsHandler(_GetHandler):
    """The pods' jobs."""

    async def answer(self) -> None:
        agent, view = self.agent, await self.agent.view()
        self.send(agent.body("jobs", view, lambda: agent.told.jobs(view, **agent.times())))


class JobHandler(_GetHandler):
    """One job."""

    async def answer(self) -> None:
        key = self.path_args[0] or ""
        agent, view = self.agent, await self.agent.view()
        if view.look is None:
            message = view.error.message if view.error else ""
            raise ApiError(503, "not_collected", f"The batch system has not answered yet: {message}")
        answer = agent.told.job(view, key, **agent.times()) if len(key) <= _MAX_KEY_CHARS else None
        if answer is None:
            raise ApiError(404, "no_such_job", "The batch system shows no job with this id or pod UID.")
        self.write(answer.model_dump_json().encode())


class OrphansHandler(_GetHandler):
    """Jobs that nobody waits for."""

    async def answer(self) -> None:
        agent, view = self.agent, await self.agent.view()
        number = agent.orphans.number if agent.orphans else 0
        make = lambda: agent.told.orphans(view, agent.orphans, **agent.times())  # noqa: E731
        self.send(agent.body("orphans", view, make, str(number)))


class NotFoundHandler(_Handler):
    """Whatever else is asked; without a token nobody learns what there is."""

    def prepare(self) -> None:
        super().prepare()
        raise HTTPError(404)


def make_app(agent: Agent) -> Application:
    """Return the application."""
    shared = {"agent": agent}
    return Application(
        [
            (r"/healthz", HealthHandler, shared),
            (r"/openapi\.json", OpenApiHandler, shared),
            (r"/v1/site", SiteHandler, shared),
            (r"/v1/jobs", JobsHandler, shared),
            (r"/v1/jobs/([^/]+)", JobHandler, shared),
            (r"/v1/orphans", OrphansHandler, shared),
        ],
        default_handler_class=NotFoundHandler,
        default_handler_args=shared,
        log_function=_log_request,
    )


def _log_request(handler: RequestHandler) -> None:
    level = log.warning if handler.get_status() >= 400 else log.debug
    level(
        "request",
        method=handler.request.method,
        path=handler.request.path[:200],
        status=handler.get_status(),
        seconds=round(handler.request.request_time(), 4),
        peer=handler.request.remote_ip,
    )


def make_server(app: Application, tls: ssl.SSLContext | None) -> HTTPServer:
    """Return a server with bounds on whatever a stranger can send."""
    return HTTPServer(
        app,
        ssl_options=tls,
        max_header_size=_MAX_HEADER_BYTES,
        max_body_size=_MAX_BODY_BYTES,
        max_buffer_size=_MAX_HEADER_BYTES + _MAX_BODY_BYTES,
        idle_connection_timeout=_IDLE_SECONDS,
        body_timeout=_IDLE_SECONDS,
    )


def tls_context(cert: Path, key: Path) -> ssl.SSLContext:
    """Return TLS as a server with this certificate.

    Raises:
        OSError: the files cannot be read, or hold no certificate and its key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context
