"""Reads server-sent events from the lines of an answer. Pure."""

import json
from collections.abc import Iterable, Iterator
from typing import Any


def read_events(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield each event's name and JSON object; a bare sign of life is ``("", None)``.

    What is no JSON object is left out: the next event tells all again.
    """
    name, data = "", []
    for line in lines:
        if line.startswith(":"):
            yield "", None
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line:
            value = _json("\n".join(data)) if data else None
            if isinstance(value, dict):
                yield name, value
            name, data = "", []


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
