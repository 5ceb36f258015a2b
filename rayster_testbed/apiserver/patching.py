"""A PATCH body and its content type → the change it makes to an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from .errors import ApiError, bad_request, too_large, unsupported_media_type
from .kinds import Kind
from .merge import MAX_OPERATIONS, PatchError, json_patch, merge_patch, strategic_merge
from .yaml_body import read_yaml

Json = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def accepted(kind: Kind) -> list[str]:
    """The patch formats a kind takes: custom resources have no strategic merge."""
    middle = [MERGE_PATCH] if kind.custom else [MERGE_PATCH, STRATEGIC]
    return [JSON_PATCH, *middle, APPLY]


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from None


def parse_apply(body: bytes) -> Json:
    """The configuration of a server-side apply. Raises: ApiError 400."""
    try:
        value = read_yaml(body)
    except ValueError as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    if not isinstance(value, dict):
        raise bad_request("error decoding YAML: the configuration is not an object")
    return value


def change_of(kind: Kind, content_type: str, body: bytes) -> Callable[[Json], Json]:
    """The change that a patch (not an apply) makes. Raises: ApiError 400 or 415; the change raises 400 or 422."""
    if content_type not in accepted(kind) or content_type == APPLY:
        raise unsupported_media_type(accepted(kind))
    patch = _parse(body)
    apply: Callable[[Json, Any], Any] = {
        JSON_PATCH: json_patch,
        MERGE_PATCH: merge_patch,
        STRATEGIC: strategic_merge,
    }[content_type]
    if content_type != JSON_PATCH and not isinstance(patch, dict):
        raise bad_request(f"error decoding patch: json: cannot unmarshal into a map: {body[:64]!r}")

    if content_type == JSON_PATCH and isinstance(patch, list) and len(patch) > MAX_OPERATIONS:
        raise too_large(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"
        )

    def change(obj: Json) -> Json:
        try:
            return apply(obj, patch)
        except PatchError as error:
            if error.malformed:
                raise bad_request(f"error decoding patch: {error}") from None
            cause = {"reason": "UnexpectedServerResponse", "message": str(error)}
            message = "the server rejected our request due to an error in our request"
            raise ApiError(422, "Invalid", message, {"causes": [cause]}) from None

    return change
