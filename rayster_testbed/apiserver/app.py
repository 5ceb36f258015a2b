"""The HTTP face: which path goes to which handler, and what every error looks like."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from . import discovery
from .errors import ApiError, PathNotFound, internal, method_not_allowed
from .handlers import Handlers
from .kinds import Kind, Registry
from .paths import ResourcePath, parse_path
from .queries import flag
from .requests import Call, Json, json_response

log = logging.getLogger(__name__)
_HEALTH = ("/readyz", "/livez", "/healthz")


class App:
    """The request handler of the server."""

    def __init__(self, registry: Registry, handlers: Handlers) -> None:
        self.registry = registry
        self.handlers = handlers

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
        resource = parse_path(request.rel_url.raw_path)
        if resource is None:
            return self._about(path, request)
        return await self._resource(request, resource)

    def _about(self, path: str, request: web.BaseRequest) -> web.Response:
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

    async def _resource(self, request: web.BaseRequest, path: ResourcePath) -> web.StreamResponse:
        watching = path.watch or flag(request.query, "watch")
        kind = self.registry.at(path.group, path.version, path.plural)
        verb = path.verb(request.method, watching)
        if kind is None:
            raise PathNotFound
        _check_path(kind, path)
        call = Call(request, path, kind, verb)
        return await self._handler(call)(call)

    def _handler(self, call: Call) -> Callable[[Call], Awaitable[web.StreamResponse]]:
        handlers, path = self.handlers, call.path
        special = {
            ("binding", "create"): handlers.binding,
            ("eviction", "create"): handlers.eviction,
            ("log", "get"): handlers.log,
        }
        if path.subresource in ("binding", "eviction", "log"):
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
