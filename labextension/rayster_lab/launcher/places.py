"""Chooses where a node keeps its objects, and how much memory they get."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from .failures import ExitCode, LaunchError

# Ray refuses less.
SMALLEST_OBJECT_STORE = 75 * 2**20
_OBJECT_SHARE = 0.3
_UNTOLD_OBJECT_STORE = 512 * 2**20


def object_store_bytes(wished: int | None, memory: int | None) -> int:
    """Return how many bytes a node keeps for objects: as ``wished``, else 30 % of its ``memory``."""
    if wished is None:
        wished = _UNTOLD_OBJECT_STORE if memory is None else int(memory * _OBJECT_SHARE)
    return max(wished, SMALLEST_OBJECT_STORE)


def plasma_directory(
    wished: str | None, size: int, temp_dir: str, free_bytes: Callable[[str], int] | None = None
) -> str:
    """Return where objects lie: as ``wished``, else in memory when ``size`` bytes fit there, else in the temp dir.

    Raises LaunchError when ``wished`` is no directory that can be written.
    """
    free = free_bytes or free_space
    if wished is not None:
        if not (Path(wished).is_dir() and os.access(wished, os.W_OK)):
            raise LaunchError(
                ExitCode.NO_DIRECTORY,
                f"{wished}, the profile's ray.plasma_directory, is no directory here that can be written.",
            )
        return wished
    return "/dev/shm" if free("/dev/shm") >= size else temp_dir  # noqa: S108


def free_space(path: str) -> int:
    """Return the free bytes at ``path``; 0 where there is nothing to write to."""
    try:
        return shutil.disk_usage(path).free if os.access(path, os.W_OK) else 0
    except OSError:
        return 0
