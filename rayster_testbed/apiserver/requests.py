"""One request to one resource, with what is needed to answer it; and the answers' common forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from .errors import too_large
from .identity import User
from .kinds import Kind
from .paths import ResourcePath
from .tables import asked_form

Json = dict[str, Any]
BODY_LIMIT_BYTES = 3 * 1024 * 1024
_JSON_TYPE = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}


@dataclass
class Call:
    """A request to a resource: the HTTP request, the path's meaning, the kind, the verb, and who asks."""

    request: web.BaseRequest
    path: ResourcePath
    kind: Kind
    verb: str
    user: User

    @property
    def query(self) -> Any:
        """The query parameters."""
        return self.request.query

    @property
    def namespace(self) -> str:
        """The namespace that objects of this call live in ("" for cluster-wide kinds)."""
        return self.path.namespace if self.kind.namespaced else ""

    @property
    def list_namespace(self) -> str | None:
        """The namespace a list or watch covers, None for all."""
        return self.namespace or None if self.kind.namespaced else ""

    @property
    def form(self) -> str:
        """The form the client prefers: "" for objects, or a table or metadata alone."""
        return asked_form(self.request.headers.get("Accept", ""))

    @property
    def content_type(self) -> str:
        """The body's media type without parameters."""
        return self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body. Raises: ApiError 413 above 3 MiB."""
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > BODY_LIMIT_BYTES:
            raise too_large(f"limit is {BODY_LIMIT_BYTES}")
        parts.append(part)
    return b"".join(parts)


def json_response(body: bytes | Json, status: int = 200, warnings: list[str] | None = None) -> web.Response:
    """An answer in JSON, with `Warning` headers."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    response = web.Response(body=data, status=status, headers=_JSON_TYPE)
    for text in warnings or []:
        response.headers.add("Warning", '299 - "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return response
