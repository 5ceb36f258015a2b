import json
import stat
from dataclasses import asdict, replace

import pytest
from rayster_lab.launcher import rendezvous
from rayster_lab.launcher.failures import ExitCode, LaunchError
from rayster_lab.launcher.rendezvous import Rendezvous

OWN = Rendezvous(
    "ray-a", "10.128.7.1:20001", "10.128.7.1:20002", "ray-a-head-x", 1795628154.5, "2.60.0", "3.11.7"
)


def test_what_a_head_writes_the_others_read(tmp_path):
    path = tmp_path / "ada" / "ray-a.json"

    rendezvous.write(path, OWN)

    assert rendezvous.read(path) == OWN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [found.name for found in path.parent.iterdir()] == ["ray-a.json"]


def test_a_file_that_is_not_there_says_nothing(tmp_path):
    assert rendezvous.read(tmp_path / "none" / "ray-a.json") is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("[]", id="a list"),
        pytest.param('{"version": 1', id="half"),
        pytest.param(json.dumps(asdict(OWN) | {"version": 2}), id="another version"),
        pytest.param(json.dumps(asdict(OWN) | {"address": "head:20001"}), id="a name"),
        pytest.param(json.dumps(asdict(OWN) | {"address": "10.0.0.1:20001 --x"}), id="more than an address"),
        pytest.param(json.dumps(asdict(OWN) | {"dashboard": None}), id="no dashboard"),
        pytest.param(json.dumps(asdict(OWN) | {"at": "now"}), id="no time"),
    ],
)
def test_what_no_head_has_written_says_nothing(text):
    assert rendezvous.parse(text) is None


def test_a_head_removes_its_own_file_at_the_end(tmp_path):
    path = tmp_path / "own" / "ray-a.json"
    rendezvous.write(path, OWN)

    rendezvous.remove_if_own(path, OWN)

    assert not path.exists()


def test_a_head_leaves_the_file_of_the_one_after_it(tmp_path):
    path = tmp_path / "own" / "ray-a.json"
    rendezvous.write(path, replace(OWN, pod="ray-a-head-y"))

    rendezvous.remove_if_own(path, OWN)

    assert path.exists()


def test_a_directory_that_others_can_write_is_refused(tmp_path):
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(0o777)

    with pytest.raises(LaunchError, match="somebody else") as error:
        rendezvous.write(directory / "ray-a.json", OWN)

    assert error.value.code == ExitCode.NO_DIRECTORY
    assert list(directory.iterdir()) == []
