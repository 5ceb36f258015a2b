"""What the form and spawn links send, as raw options. Nothing is checked here: `options.parse_options` decides."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..options import FIELDS

SEPARATOR = "--"
MEMORY_UNIT_FIELD = "memory-unit"
MEMORY_UNITS = ("Gi", "Mi")

_PLAIN_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


def control_name(profile_name: str, field: str) -> str:
    """Return the name under which the form sends ``field`` of the profile ``profile_name``."""
    return f"{profile_name}{SEPARATOR}{field}"


def options_from_form(formdata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the raw options in ``formdata`` (lists of strings by control name): those of the chosen profile only.

    The other profiles' controls are in the form too, hidden, and are sent by browsers without JavaScript.
    """
    profile = _first(formdata.get("profile"))
    if profile is None:
        return {}
    options: dict[str, Any] = {"profile": profile}
    for field in FIELDS[1:]:
        value = _first(formdata.get(control_name(profile, field)))
        if value is not None:
            options[field] = value
    unit = _first(formdata.get(control_name(profile, MEMORY_UNIT_FIELD)))
    if unit in MEMORY_UNITS and _PLAIN_NUMBER.fullmatch(options.get("memory", "")):
        options["memory"] += unit
    return options


def anyway_name(profile_name: str) -> str:
    """Return the name of the checkbox that says: queue here although the site does not answer."""
    return f"anyway-{profile_name}"


def said_anyway(formdata: Mapping[str, Any], profile_name: str) -> bool:
    """Return whether ``formdata`` says that the profile ``profile_name`` is wanted although its site is away."""
    return _first(formdata.get(anyway_name(profile_name))) == "yes"


def options_from_query(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the raw options in the arguments of a spawn link, such as ``?profile=padova&cpu=4&walltime=2h``.

    JupyterHub 6 asks for the prefix ``opt-`` in links and takes it off; JupyterHub 5 leaves it on. Both are read.
    """
    options: dict[str, Any] = {}
    for field in FIELDS:
        value = _first(query.get(f"opt-{field}"))
        if value is None:
            value = _first(query.get(field))
        if value is not None:
            options[field] = value
    return options


def _first(values: Any) -> str | None:
    """Return the first text in ``values``, stripped, or None; a form may hold uploaded files and worse."""
    if isinstance(values, (str, bytes)):
        values = [values]
    if not isinstance(values, Iterable):
        return None
    for value in values:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            return value.strip()
    return None
