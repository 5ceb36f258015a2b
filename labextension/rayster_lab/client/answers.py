"""Reads the service's errors: which kind each is, what to say, whether to ask again. Pure."""

import json
from collections.abc import Mapping

from .errors import ClusterError, NoSuchCluster, NotReady, Refused, ServiceAway

_MAX_RETRY_SECONDS = 5.0
_MAX_FIELDS = 20


def error_of(status: int, body: bytes, headers: Mapping[str, str], url: str) -> ClusterError:
    """Return the error that an answer is. ``status`` 0 stands for a good one that is no JSON object."""
    code, message, fields = _said(body)
    if not message:
        what = "something else than JSON" if status == 0 else f"HTTP {status}"
        where = headers.get("location", "")
        return ServiceAway(
            f"What answers at {url} is not RaySTER's service: it says {what}"
            f"{f' and points to {where[:100]}' if where else ''}. Tell an administrator."
        )
    if status == 401:
        return Refused(
            f"{_sentence(message)} Stop your server and start it again: it gets a new token.", code
        )
    if status == 404 and code == "not-found" and not fields:
        return NoSuchCluster(_sentence(message), code)
    if status == 409 and code == "not-ready":
        return NotReady(_sentence(message), code)
    if status >= 500:
        return ServiceAway(_sentence(message), code)
    return Refused(_of_fields(fields) or _sentence(message), code, fields)


def retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    """Return after how many seconds the same question is worth asking again, None when it is not."""
    if status in (502, 504):
        return 0.0
    if status not in (429, 503) or "retry-after" not in headers:
        return None
    try:
        seconds = float(headers["retry-after"])
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds <= _MAX_RETRY_SECONDS else None


def _said(body: bytes) -> tuple[str, str, list[dict[str, str]]]:
    try:
        error = json.loads(body)["error"]
        code, message = error["code"], error["message"]
    except (ValueError, KeyError, TypeError):
        return "", "", []
    if not isinstance(code, str) or not isinstance(message, str):
        return "", "", []
    fields = [
        {name: str(field.get(name, "")) for name in ("field", "value", "reason")}
        for field in (error.get("fields") or [])[:_MAX_FIELDS]
        if isinstance(field, dict)
    ]
    return code, message, fields


def _of_fields(fields: list[dict[str, str]]) -> str:
    return "\n".join(f"{one['field']} = {one['value']}: {one['reason']}." for one in fields)


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."
