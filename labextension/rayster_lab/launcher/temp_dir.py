"""A node's directory for sockets and logs: private, short, and removed, if not by the node then by the next one."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .failures import ExitCode, LaunchError

# What Linux allows a Unix socket's path to be, less what Ray puts below the temp dir:
# /session_2026-11-25_17-19-18_123456_4194304/sockets/plasma_store.99
LONGEST_TEMP_DIR = 107 - len("/session_2026-11-25_17-19-18_123456_4194304/sockets/plasma_store.99")
_PREFIX = "rayn-"
_OWNER = ".owner"
# A directory that is younger may be one that is just being made.
_ABANDONED_SECONDS = 60.0


class TempDir:
    """A directory that only this user can enter, with a short path; it is gone at the end of the `with`.

    While its owner lives it holds a lock. One that was killed leaves the directory behind, and the lock free.
    Raises LaunchError when there is no place for one.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        parents = temp_dir_parents(environ)
        for parent in parents:
            remove_abandoned(Path(parent))
            try:
                self.path = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
                self._lock = os.open(Path(self.path, _OWNER), os.O_CREAT | os.O_RDWR, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            except OSError:
                continue
            return
        raise LaunchError(
            ExitCode.NO_DIRECTORY,
            f"Ray's sockets need a directory, and none of {', '.join(parents)} can be written: "
            f"set TMPDIR to a local one of at most {LONGEST_TEMP_DIR - 14} characters.",
        )

    def __enter__(self) -> str:
        return self.path

    def __exit__(self, *_: Any) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_abandoned(parent: Path) -> None:
    """Remove what nodes of this user that were killed have left in ``parent``."""
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = path.lstat()
            if found.st_uid != os.geteuid() or time.time() - found.st_ctime < _ABANDONED_SECONDS:
                continue
            lock = os.open(path / _OWNER, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def temp_dir_parents(environ: Mapping[str, str]) -> list[str]:
    """Return where a temp dir may be, best first: on the machine's own disk, and short enough for Ray's sockets."""
    wished = [environ.get("SLURM_TMPDIR", ""), environ.get("TMPDIR", ""), "/tmp", "/var/tmp", "/dev/shm"]  # noqa: S108
    longest = LONGEST_TEMP_DIR - len("/rayn-12345678")
    return list(dict.fromkeys(path for path in wished if path.startswith("/") and len(path) <= longest))
