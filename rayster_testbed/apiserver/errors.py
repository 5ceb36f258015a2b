"""What the API answers when it refuses: one exception that carries a Kubernetes `Status`.

Reasons, codes and messages are those of kube-apiserver 1.36 (`k8s.io/apimachinery/pkg/api/errors`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """A refusal; `body()` is the `Status` object the client reads.

    Arguments: HTTP `code`, Kubernetes `reason`, `message` for people, optional `details` and list `metadata`.
    """

    def __init__(
        self, code: int, reason: str, message: str, details: Json | None = None, metadata: Json | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.metadata = metadata or {}

    def body(self) -> Json:
        """The `Status` object of this error."""
        status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


@dataclass(frozen=True)
class Cause:
    """One field that is wrong; `reason` as in `k8s.io/apimachinery/pkg/util/validation/field`."""

    field: str
    reason: str
    message: str


def invalid_value(field: str, value: Any, why: str) -> Cause:
    """The value of a field is not allowed."""
    return Cause(field, "FieldValueInvalid", f"Invalid value: {go_quote(value)}: {why}")


def required(field: str, why: str = "") -> Cause:
    """A field that must be there is missing."""
    return Cause(field, "FieldValueRequired", "Required value" + (f": {why}" if why else ""))


def forbidden_field(field: str, why: str) -> Cause:
    """A field may not be set, or not changed."""
    return Cause(field, "FieldValueForbidden", f"Forbidden: {why}")


def unsupported_value(field: str, value: Any, allowed: list[str]) -> Cause:
    """A value outside an enumeration."""
    choices = ", ".join(f'"{item}"' for item in allowed)
    return Cause(
        field, "FieldValueNotSupported", f"Unsupported value: {go_quote(value)}: supported values: {choices}"
    )


def too_long(field: str, why: str) -> Cause:
    """A value above its size limit."""
    return Cause(field, "FieldValueTooLong", f"Too long: {why}")


def duplicate(field: str, value: Any) -> Cause:
    """A value that must be unique and is not."""
    return Cause(field, "FieldValueDuplicate", f"Duplicate value: {go_quote(value)}")


def go_quote(value: Any) -> str:
    """Write a value as Go's `%#v`-like field errors do: strings quoted, the rest as JSON."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        import json

        return json.dumps(value, separators=(",", ":"))
    return str(value)


def qualified(plural: str, group: str) -> str:
    """`pods`, `deployments.apps`: a resource as messages name it."""
    return f"{plural}.{group}" if group else plural


def _details(name: str, group: str, kind: str, **more: Any) -> Json:
    details: Json = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    details["kind"] = kind
    details.update(more)
    return details


def not_found(plural: str, group: str, name: str) -> ApiError:
    """The object is not there."""
    return ApiError(
        404, "NotFound", f'{qualified(plural, group)} "{name}" not found', _details(name, group, plural)
    )


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """Another object has that name."""
    message = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(name, group, plural))


OBJECT_MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(plural: str, group: str, name: str, why: str = OBJECT_MODIFIED) -> ApiError:
    """The write rests on something that is no longer so."""
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(name, group, plural))


def invalid(kind: str, group: str, name: str, causes: list[Cause]) -> ApiError:
    """The object breaks its rules; `causes` has one entry for each."""
    lines = [f"{cause.field}: {cause.message}" for cause in causes]
    why = lines[0] if len(lines) == 1 else "[" + ", ".join(lines) + "]"
    listed = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    message = f'{qualified(kind, group)} "{name}" is invalid: {why}'
    return ApiError(422, "Invalid", message, _details(name, group, kind, causes=listed))


def bad_request(message: str) -> ApiError:
    """The request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """The bearer token is unknown."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(plural: str, group: str, name: str, why: str, **details: Any) -> ApiError:
    """Authorization or admission says no."""
    subject = qualified(plural, group) + (f' "{name}"' if name else "")
    return ApiError(
        403, "Forbidden", f"{subject} is forbidden: {why}", _details(name, group, plural, **details)
    )


def expired(message: str, continue_token: str | None = None) -> ApiError:
    """The asked-for version is compacted away; a fresh `continue_token` lets a list go on inconsistently."""
    metadata = {"continue": continue_token} if continue_token else None
    return ApiError(410, "Expired", message, metadata=metadata)


def version_too_large(asked: int, current: int) -> ApiError:
    """A list wants a version that is still to come."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return ApiError(
        504,
        "Timeout",
        f"Too large resource version: {asked}, current: {current}",
        {"causes": [cause], "retryAfterSeconds": 1},
    )


def unsupported_media_type(accepted: list[str]) -> ApiError:
    """The body is in a format this resource does not take."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(
        accepted
    )
    return ApiError(415, "UnsupportedMediaType", message)


def method_not_allowed() -> ApiError:
    """The path exists, the method does not."""
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
    )


def too_large(why: str) -> ApiError:
    """The body, or what is in it, is above a limit."""
    message = f"Request entity too large: {why}"
    return ApiError(413, "RequestEntityTooLarge", message, {})


def internal(why: str) -> ApiError:
    """Something behind the API failed."""
    return ApiError(500, "InternalError", f"Internal error occurred: {why}", {"causes": [{"message": why}]})


class PathNotFound(Exception):
    """A path nobody serves: answered with the text `404 page not found`."""
