"""Compiled functions: kept for the next process where there is a place for them, and working where there is none."""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator like ``numba.njit(cache=True, **options)`` that needs no directory to write to.

    Numba keeps what it has compiled beside the source or in the home directory, and raises at import where it can write
    to neither: in a read-only image, with a home that a site does not mount. Then `private_directory` is taken and,
    failing that, each process compiles anew. ``NUMBA_CACHE_DIR`` goes before all of these.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
        directory = private_directory(Path(tempfile.gettempdir()))
        if directory is not None:
            # From now on it is tried first for all functions.
            numba.config.CACHE_DIR = str(directory)  # type: ignore[attr-defined]
            try:
                return numba.njit(cache=True, **options)(function)
            except RuntimeError:
                pass
        return numba.njit(**options)(function)

    return decorate


def private_directory(parent: Path) -> Path | None:
    """Return a directory in ``parent`` that only this user can write to, made if need be; None if there can be none.

    What lies there is executed, so one that somebody else has made, or could write to, is not taken.
    """
    path = parent / f"herd-tracking-numba-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError:
        return None
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return path if is_own else None
