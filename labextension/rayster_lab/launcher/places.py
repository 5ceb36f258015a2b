"""Chooses where a node keeps its sockets, logs and objects, and how much memory the objects get."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from .failures import ExitCode, LaunchError

# What Linux allows a Unix socket's path to be, less what Ray puts below the temp dir:
# /session_2026-11-25_17-19-18_123456_4194304/sockets/plasma_store.99
LONGEST_TEMP_DIR = 107 - len("/session_2026-11-25_17-19-18_123456_4194304/sockets/plasma_store.99")
# Ray refuses less.
SMALLEST_OBJECT_STORE = 75 * 2**20
_OBJECT_SHARE = 0.3
_UNTOLD_OBJECT_STORE = 512 * 2**20


def temp_dir_parents(environ: Mapping[str, str]) -> list[str]:
    """Return where a temp dir may be, best first: on the machine's own disk, and short enough for Ray's sockets."""
    wished = [environ.get("SLURM_TMPDIR", ""), environ.get("TMPDIR", ""), "/tmp", "/var/tmp", "/dev/shm"]  # noqa: S108
    longest = LONGEST_TEMP_DIR - len("/rayn-12345678")
    return list(dict.fromkeys(path for path in wished if path.startswith("/") and len(path) <= longest))


def make_temp_dir(environ: Mapping[str, str] = os.environ) -> str:
    """Make a directory that only this user can enter, with a short path, and return it. Raises LaunchError."""
    parents = temp_dir_parents(environ)
    for parent in parents:
        try:
            return tempfile.mkdtemp(prefix="rayn-", dir=parent)
        except OSError:
            continue
    raise LaunchError(
        ExitCode.NO_DIRECTORY,
        f"Ray's sockets need a directory, and none of {', '.join(parents)} can be written: "
        f"set TMPDIR to a local one of at most {LONGEST_TEMP_DIR - 14} characters.",
    )


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
