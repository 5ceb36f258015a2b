"""YAML bodies: read as JSON values, and refused when a few aliases stand for more than a server can hold."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

# Of values once every alias is written out; the largest manifest that fits into a request has fewer.
MAX_VALUES = 1_000_000


def read_yaml(body: bytes) -> Any:
    """The value that a YAML document stands for. Raises: ValueError for what is no YAML or no JSON value."""
    try:
        value = yaml.load(body, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (a safe loader)
        if _count(value, {}) > MAX_VALUES:
            raise ValueError("yaml: document contains excessive aliasing")
        return orjson.loads(orjson.dumps(value))
    except RecursionError:
        raise ValueError("yaml: exceeded max depth") from None
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(str(error)) from None


def _count(value: Any, known: dict[int, int]) -> int:
    """How many values there are in `value`, each as often as it is named; inside itself, one is infinitely many."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = MAX_VALUES + 1
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(item, known) for item in items)
    return known[id(value)]
