"""The HTTP face: which path goes to which handler, and what every error looks like."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from . import discovery
from .errors import ApiError, PathNotFound, internal, method_not_allowed
from .gate import Gate
from .handlers import Handlers
from .identity import User
from .kinds import Kind, Registry
from .paths import ResourcePath, parse_path
from .queries import flag
from .requests import Call, Json, json_response

log = logging.getLogger(__name__)
_HEALTH = ("/readyz", "/livez", "/healthz")


class App:
    """The request handler of the server."""

    def __init__(self, registry: Registry, handlers: Handlers, gate: Gate) -> None:
        self.registry = registry
        self.handlers = handlers
        self.gate = gate

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; every failure becomes a `Status`."""
        try:
            return await self._answer(request)
        except ApiError as error:
            return json_response(error.body(), error.code)
        except PathNotFound:
            return web.Response(text="404 page not found\n", status=404)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception as error:
            log.exception("cannot answer %s %s", request.method, request.path)
            return json_response(internal(repr(error)).body(), 500)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path in _HEALTH or path.startswith(("/readyz/", "/livez/")):
            return web.Response(text="ok")
        user = self.gate.user_of(request)
        resource = parse_path(request.rel_url.raw_path)
        if resource is None:
            self.gate.require_path(user, request)
            return self._about(path)
        return await self._resource(request, resource, user)

    def _about(self, path: str) -> web.Response:
        """Discovery and the other paths that are no resource."""
        parts = path.strip("/").split("/")
        answer: Json | None = None
        if path == "/openapi/v2":
            return web.Response(
                body=discovery.OPENAPI_V2, headers={"Content-Type": discovery.OPENAPI_V2_TYPE}
            )
        if path in ("/", ""):
            answer = {"paths": discovery.root_paths(self.registry)}
        elif parts == ["version"]:
            answer = discovery.VERSION
        elif parts == ["api"]:
            answer = discovery.API_VERSIONS
        elif parts == ["apis"]:
            answer = discovery.group_list(self.registry)
        elif parts[0] == "api" and len(parts) == 2:
            answer = discovery.resource_list(self.registry, "", parts[1])
        elif parts[0] == "apis" and len(parts) == 2:
            answer = discovery.group(self.registry, parts[1])
        elif parts[0] == "apis" and len(parts) == 3:
            answer = discovery.resource_list(self.registry, parts[1], parts[2])
        if answer is None:
            raise PathNotFound
        return json_response(answer)

    async def _resource(self, request: web.BaseRequest, path: ResourcePath, user: User) -> web.StreamResponse:
        watching = path.watch or flag(request.query, "watch")
        verb = path.verb(request.method, watching)
        self.gate.require(user, verb, path, request.query)
        kind = self.registry.at(path.group, path.version, path.plural)
        if kind is None:
            raise PathNotFound
        _check_path(kind, path)
        call = Call(request, path, kind, verb, user)
        return await self._handler(call)(call)

    def _handler(self, call: Call) -> Callable[[Call], Awaitable[web.StreamResponse]]:
        handlers, path = self.handlers, call.path
        special = {
            ("binding", "create"): handlers.binding,
            ("eviction", "create"): handlers.eviction,
            ("log", "get"): handlers.log,
            ("token", "create"): handlers.token,
        }
        if call.kind.is_review:
            if call.verb == "create" and not path.name:
                return handlers.review
            raise method_not_allowed()
        if path.subresource in ("binding", "eviction", "log", "token"):
            if (path.subresource, call.verb) in special:
                return special[path.subresource, call.verb]
            raise method_not_allowed()
        by_verb: dict[str, Callable[[Call], Awaitable[web.StreamResponse]]] = {
            "get": handlers.get,
            "list": handlers.list,
            "watch": handlers.watch,
            "update": handlers.update,
            "patch": handlers.patch,
        }
        if not path.subresource:
            by_verb["delete"] = handlers.delete
            if path.namespace or not call.kind.namespaced:
                by_verb["deletecollection"] = handlers.deletecollection
                if not path.name:
                    by_verb["create"] = handlers.create
        if call.verb not in by_verb or (not path.name and call.verb in ("update", "patch")):
            raise method_not_allowed()
        return by_verb[call.verb]


def _check_path(kind: Kind, path: ResourcePath) -> None:
    """A namespace where none belongs, none where one must be, an unknown subresource: 404 as for any unknown path."""
    if path.subresource and (path.subresource not in kind.subresources or path.rest):
        raise PathNotFound
    if kind.namespaced and path.name and not path.namespace:
        raise PathNotFound
    if not kind.namespaced and path.namespace and kind.storage != "namespaces":
        raise PathNotFound
