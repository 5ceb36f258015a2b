"""Short stand-ins for long directory names."""

from pathlib import Path

import pytest

from rayster_testbed.short_path import MAX_DIRECTORY_LENGTH, short_path


@pytest.mark.parametrize("name", ["x" * 100, "with space", "ünï", "a=b"])
def test_a_long_or_special_name_gets_a_short_plain_link(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    link = short_path(directory)
    try:
        assert len(str(link)) <= MAX_DIRECTORY_LENGTH
        assert link.resolve() == directory.resolve()
        assert short_path(directory) == link
    finally:
        link.unlink()


def test_a_short_name_stays(short_dir: object) -> None:
    assert short_path(Path("/tmp")) == Path("/tmp")


def test_a_name_that_is_taken_is_not_followed(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 100)
    directory.mkdir()
    link = short_path(directory)
    link.unlink()
    link.symlink_to("/etc")
    try:
        with pytest.raises(FileExistsError, match="is not our link"):
            short_path(directory)
    finally:
        link.unlink()


def test_links_to_vanished_directories_are_removed(tmp_path: Path) -> None:
    first, second = (tmp_path / (name * 100) for name in "ab")
    first.mkdir()
    second.mkdir()
    dangling = short_path(first)
    first.rmdir()
    kept = short_path(second)
    assert (dangling.is_symlink(), kept.is_symlink()) == (False, True)
    kept.unlink()
