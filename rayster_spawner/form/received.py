"""What the form and spawn links send, as raw options. Nothing is checked here: `options.parse_options` decides."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

SEPARATOR = "--"
MEMORY_UNIT_FIELD = "memory-unit"
MEMORY_UNITS = ("Gi", "Mi")

# Arguments of the hub's own in the address of its spawn page.
_OF_THE_HUB = frozenset({"_xsrf", "display_name", "next", "redirects"})

_PLAIN_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


def control_name(profile_name: str, field: str) -> str:
    """Return the name under which the form sends ``field`` of the profile ``profile_name``."""
    return f"{profile_name}{SEPARATOR}{field}"


def options_from_form(formdata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the raw options in ``formdata`` (lists of strings by control name): those of the chosen profile only.

    The other profiles' controls are in the form too, hidden, and are sent by browsers without JavaScript. What is sent
    for the chosen one under no option's name is kept, to be refused by it.
    """
    profile = _first(formdata.get("profile"))
    if profile is None:
        return {}
    options: dict[str, Any] = {"profile": profile}
    prefix = control_name(profile, "")
    for name, sent in formdata.items():
        field, value = name.removeprefix(prefix), _first(sent)
        # `a--b--cpu` is one of the profile `a--b`, not of `a`.
        if field == name or SEPARATOR in field or field in ("profile", MEMORY_UNIT_FIELD) or value is None:
            continue
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

    JupyterHub 6 asks for the prefix ``opt-`` in links and takes it off; JupyterHub 5 leaves it on. Both are read. What
    is no option is kept, to be refused by its name.
    """
    plain = {name: sent for name, sent in query.items() if not name.startswith("opt-")}
    prefixed = {name.removeprefix("opt-"): sent for name, sent in query.items() if name.startswith("opt-")}
    texts = {name: _first(sent) for name, sent in {**plain, **prefixed}.items() if name not in _OF_THE_HUB}
    return {name: text for name, text in texts.items() if text is not None}


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
