"""Compiled functions where nothing can be written: in a read-only image, with a home that is not there."""

import os
import tempfile

import numba
import pytest
from numba.core import caching

from herd_tracking.compiled import compiled, private_directory


def doubled(x):
    return 2 * x


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Numba may write neither beside the source nor to the home directory, only where it is told to."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [caching.UserProvidedCacheLocator])
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_what_is_compiled_is_kept_in_a_private_directory(nowhere, tmp_path):
    # given what numba alone refuses
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(doubled)
    # when it is compiled
    assert compiled()(doubled)(21) == 42
    # then it is kept, and for nobody else to change
    (made,) = tmp_path.iterdir()
    assert list(made.rglob("*doubled*.nbc")) and made.stat().st_mode & 0o777 == 0o700


def test_without_any_place_it_is_compiled_anew(nowhere, tmp_path):
    (tmp_path / f"herd-tracking-numba-{os.getuid()}").write_text("a file in its place")
    assert compiled(nogil=True)(doubled)(21) == 42


@pytest.mark.parametrize("kind", ["link", "writable by others", "of somebody else"])
def test_directory_that_others_could_write_to_is_not_taken(tmp_path, monkeypatch, kind):
    path = tmp_path / f"herd-tracking-numba-{os.getuid()}"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
        path.chmod(0o777 if kind == "writable by others" else 0o700)
    if kind == "of somebody else":
        me = os.getuid()
        path.rename(tmp_path / f"herd-tracking-numba-{me + 1}")
        monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert private_directory(tmp_path) is None
