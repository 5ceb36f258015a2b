"""Puts what pydantic found wrong in a profiles file into words for the person who writes it."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from . import interlink
from .text import did_you_mean

ONE_LINE_PATTERN = r"^[^\x00-\x1f\x7f]*$"
LINES_PATTERN = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
NO_NUL_PATTERN = r"^[^\x00]*$"
HUB_URL_PATTERN = r"^https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._~/-]*)?$"
PORT_NAME_PATTERN = r"^[a-z]([a-z0-9-]{0,13}[a-z0-9])?$"
RAY_VERSION_PATTERN = r"^[0-9]{1,3}\.[0-9]{1,4}\.[0-9]{1,4}$"
IPV4_NETWORK_PATTERN = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$"
# The first one whose nodes know each other by a token.
FIRST_RAY_VERSION = "2.52.0"

# Each stands after "must be".
_PATTERNS = {
    **interlink.IN_WORDS,
    ONE_LINE_PATTERN: "text on one line, without control characters",
    LINES_PATTERN: "text without control characters",
    NO_NUL_PATTERN: "text without NUL characters",
    HUB_URL_PATTERN: "a web address such as https://hub.example.org, without user names, queries or spaces",
    RAY_VERSION_PATTERN: "a version of Ray such as 2.60.0, in quotes",
    IPV4_NETWORK_PATTERN: "an IPv4 network such as 10.128.0.0/16",
    PORT_NAME_PATTERN: "at most 15 lower-case letters, digits and -, beginning with a letter",
}
# Fields that may be one thing or another: one sentence for both, where neither fits.
UNIONS = {
    "site": "must be cloud, the name of a virtual node (lower-case letters, digits, - .), or a mapping of node labels",
    "home": "must be pvc, or a mapping with the path of a directory at the site",
}
_KINDS = {
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_unicode": "must be text",
    "string_too_short": "must not be empty",
    "invalid_key": "keys must be text",
    "missing": "is required",
}
_LIMITS = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} entry",
    "too_long": "must have at most {max_length} entries",
    "string_too_long": "must have at most {max_length} characters",
}


def reason(kind: str, value: Any, context: Mapping[str, Any], message: str) -> str:
    """Return what is allowed, as the end of a sentence that began with the value.

    Arguments: ``kind``, ``context`` and ``message`` are pydantic's error type, its details and its own words.
    """
    if kind in _KINDS:
        hint = ", without quotes" if isinstance(value, str) and kind.startswith(("int_", "float_")) else ""
        return _KINDS[kind] + hint
    if kind in _LIMITS:
        return _LIMITS[kind].format(**{key: _plain(number) for key, number in context.items()})
    if kind == "string_pattern_mismatch":
        return f"must be {_PATTERNS.get(context['pattern'], context['pattern'])}"
    if kind == "string_type":
        return "must be text; put it in quotes" if isinstance(value, (bool, int, float)) else "must be text"
    if kind == "literal_error":
        allowed = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return f"must be {either(allowed)}{did_you_mean(value, allowed)}"
    if kind == "value_error":
        return str(context["error"])
    return message


def check_ray_version(text: str) -> str:
    """Return a version of Ray. Raises ValueError when its nodes would take anybody in."""
    if _numbers(text) < _numbers(FIRST_RAY_VERSION):
        raise ValueError(f"must be {FIRST_RAY_VERSION} or newer: older ones have no tokens")
    return text


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def check_ipv4_network(text: str) -> str:
    """Return an IPv4 network. Raises ValueError when it is none, or when bits of a host are set in it."""
    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError:
        raise ValueError(f"must be {_PATTERNS[IPV4_NETWORK_PATTERN]}, with zeros behind its length") from None


def either(words: Iterable[str]) -> str:
    """Return ``a``, ``a or b``, ``a, b or c``."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _plain(number: Any) -> Any:
    return int(number) if isinstance(number, float) and number == int(number) else number
