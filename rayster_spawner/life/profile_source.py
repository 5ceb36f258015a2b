"""The profiles as they are now: read again when their file changes, the last good ones while it is wrong."""

from logging import Logger
from pathlib import Path

from ..profile_files import ProfilesError, load_profiles
from ..profiles import ProfileSet

_Stamp = tuple[int, int, int]
# By path: the stamp of the file when it was read last, and the last profiles that were good.
_known: dict[str, tuple[_Stamp | None, ProfileSet]] = {}


def current_profiles(path: str, log: Logger) -> ProfileSet:
    """Return the profiles of the file at ``path``. An unchanged file costs one `stat`.

    A change that cannot be used is logged with every mistake, once, and changes nothing. Raises ProfilesError when
    there were no good profiles yet.
    """
    stamp = _stamp(path)
    known = _known.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    try:
        profiles = load_profiles(path)
    except ProfilesError as error:
        if known is None:
            raise
        log.error("The profiles in %s cannot be used; the ones from before stay:\n%s", path, error)
        profiles = known[1]
    _known[path] = (stamp, profiles)
    return profiles


def _stamp(path: str) -> _Stamp | None:
    try:
        # Follows links: Kubernetes replaces a mounted ConfigMap by switching one.
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
