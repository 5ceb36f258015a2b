"""Names that a package offers, imported when they are asked for: torch and the figures take seconds to load."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def attribute(package: str, homes: Mapping[str, str], name: str) -> Any:
    """Return ``package.name`` from the module of ``package`` that ``homes`` says; AttributeError for another name."""
    if name not in homes:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(import_module(f"{package}.{homes[name]}"), name)
