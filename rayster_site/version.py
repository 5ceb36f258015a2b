"""The agent's version."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def agent_version() -> str:
    """Return the version of the distribution the agent came with; `unknown` outside of one."""
    try:
        return version("rayster")
    except PackageNotFoundError:
        return "unknown"
