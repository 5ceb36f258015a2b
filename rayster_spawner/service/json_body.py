"""Reads the JSON object in a request's body: never more of it than is allowed, and every other thing is a 4xx."""

import json
from typing import Any

from tornado import web

from ..text import shown
from .base import ApiError, Handler

MAX_BODY_BYTES = 64 * 1024
# What is sent in spite of the answer is read and thrown away up to here, so that the answer arrives.
_MAX_IGNORED_BYTES = 32 * 2**20


@web.stream_request_body
class JsonBody(Handler):
    """A handler whose body, where there is one, is a JSON object."""

    def prepare(self) -> None:
        """Refuse a body that says that it is too large. Raises ApiError 413."""
        self._body = bytearray()
        self._is_too_large = False
        connection = self.request.connection
        if connection is not None and hasattr(connection, "set_max_body_size"):
            connection.set_max_body_size(_MAX_IGNORED_BYTES)
        length = self.request.headers.get("Content-Length", "0")
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            raise _too_large()

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body, but not what is too much."""
        if len(self._body) + len(chunk) > MAX_BODY_BYTES:
            self._is_too_large = True
            self._body.clear()
        elif not self._is_too_large:
            self._body += chunk

    def json_object(self) -> dict[str, Any]:
        """Return the body. Raises ApiError 400 or 413."""
        if self._is_too_large:
            raise _too_large()
        try:
            value = json.loads(self._body.decode("utf-8"), parse_constant=_refuse)
        except RecursionError:
            raise ApiError(400, "bad-request", "the body is nested too deeply to be a request") from None
        except ValueError as error:
            raise ApiError(400, "bad-request", f"the body is not JSON: {shown(str(error))}") from None
        if not isinstance(value, dict):
            raise ApiError(400, "bad-request", "the body must be a JSON object")
        return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")


def _too_large() -> ApiError:
    return ApiError(413, "too-large", f"the body must have at most {MAX_BODY_BYTES // 1024} KiB")
