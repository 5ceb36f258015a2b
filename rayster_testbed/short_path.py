"""A short stand-in for a long directory name, for programs that put unix sockets and plain words in it."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

# sun_path holds 108 bytes; what SLURM and the queue append inside the directory stays under 56.
MAX_DIRECTORY_LENGTH = 50
_LINKS = Path("/tmp")  # noqa: S108 sticky, so that nobody else can turn our links
_PLAIN = re.compile(r"[A-Za-z0-9._/+-]+")


def short_path(directory: Path) -> Path:
    """Return `directory` itself, or a link to it under /tmp when its name is too long or has special characters.

    The link's name depends only on the user and on the directory, so that a process started again
    finds the same one.

    Args:
        directory: an existing directory; made absolute first.

    Returns:
        An absolute path of at most `MAX_DIRECTORY_LENGTH` plain characters for the same directory.

    Raises:
        FileExistsError: the link's name is taken by something that is not our link.
    """
    absolute = directory.resolve()
    if len(str(absolute)) <= MAX_DIRECTORY_LENGTH and _PLAIN.fullmatch(str(absolute)):
        return absolute
    digest = hashlib.sha256(os.fsencode(absolute)).hexdigest()[:12]
    link = _LINKS / f"rayster-{os.getuid()}-{digest}"
    _remove_dangling()
    try:
        link.symlink_to(absolute)
    except FileExistsError:
        if not link.is_symlink() or link.lstat().st_uid != os.getuid() or link.resolve() != absolute:
            raise FileExistsError(f"{link} is not our link to {absolute}; remove it") from None
    return link


def _remove_dangling() -> None:
    """Remove our links to directories that are no more, so that they do not pile up."""
    for link in _LINKS.glob(f"rayster-{os.getuid()}-{'[0-9a-f]' * 12}"):
        # Another process may be removing the same ones.
        with suppress(FileNotFoundError):
            if link.is_symlink() and link.lstat().st_uid == os.getuid() and not link.exists():
                link.unlink()
