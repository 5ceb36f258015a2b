"""Structural schemas of custom resources: defaults, pruning and validation, as apiextensions does them."""

from __future__ import annotations

from typing import Any

from .errors import Cause
from .kinds import Kind

Json = dict[str, Any]


def admit(kind: Kind, obj: Json, unknown: list[str] | None) -> Json:
    """Prune and default an object that comes in."""
    return obj


def causes(schema: Json, obj: Json) -> list[Cause]:
    """What the schema finds wrong."""
    return []
