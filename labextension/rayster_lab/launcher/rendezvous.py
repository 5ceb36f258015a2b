"""The file in a site's shared directory through which a head is found: written by the head, read by all others."""

import json
import os
import re
import stat
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .failures import ExitCode, LaunchError

VERSION = 1
_LONGEST = 64 * 1024
_ADDRESS = re.compile(r"[0-9.]{7,15}:[0-9]{4,5}")


@dataclass(frozen=True)
class Rendezvous:
    """Where a head is. Addresses are ``ip:port``; ``at`` is when it was written, in seconds since the epoch."""

    cluster: str
    address: str
    dashboard: str
    pod: str
    at: float
    ray_version: str
    python_version: str
    version: int = VERSION


def parse(text: str) -> Rendezvous | None:
    """Return what a rendezvous file says, or None when it is not one (yet)."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        return None
    names = ("cluster", "address", "dashboard", "pod", "ray_version", "python_version")
    values: dict[str, Any] = {name: found.get(name) for name in names}
    at = found.get("at")
    if not all(isinstance(value, str) for value in values.values()) or not isinstance(at, int | float):
        return None
    if not (_ADDRESS.fullmatch(values["address"]) and _ADDRESS.fullmatch(values["dashboard"])):
        return None
    return Rendezvous(**values, at=float(at))


def read(path: Path) -> Rendezvous | None:
    """Return what the file at ``path`` says; None while it is not there, or is somebody else's."""
    try:
        # A network file system remembers that a file was not there; opening its directory makes it look again.
        os.listdir(path.parent)  # noqa: PTH208
        with path.open(encoding="utf-8", errors="replace") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            return parse(file.read(_LONGEST))
    except OSError:
        return None


def write(path: Path, found: Rendezvous) -> None:
    """Write the file at once and whole, for this user alone. Raises LaunchError when that cannot be."""
    make_private(path.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(found), file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LaunchError(
            ExitCode.NO_DIRECTORY, f"The rendezvous file {path} cannot be written: {error.strerror}."
        ) from None


def remove_if_own(path: Path, own: Rendezvous) -> None:
    """Remove the file unless another head has written it since."""
    if read(path) == own:
        path.unlink(missing_ok=True)


def make_private(directory: Path) -> None:
    """Make ``directory``, which others can neither read nor write. Raises LaunchError when it is somebody else's."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except OSError as error:
        raise LaunchError(
            ExitCode.NO_DIRECTORY,
            f"{directory}, below the profile's ray.shared_directory, cannot be made: {error.strerror}.",
        ) from None
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise LaunchError(
            ExitCode.NO_DIRECTORY,
            f"{directory}, below the profile's ray.shared_directory, belongs to or can be written by somebody else: "
            "others could lead this cluster's nodes to a head of theirs.",
        )
