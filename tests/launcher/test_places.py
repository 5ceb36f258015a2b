import pytest
from rayster_lab.launcher import places
from rayster_lab.launcher.failures import LaunchError

MIB = 2**20


@pytest.mark.parametrize(
    ("wished", "memory", "expected"),
    [
        pytest.param(900 * MIB, 1000 * MIB, 900 * MIB, id="as the profile says"),
        pytest.param(None, 1000 * MIB, 300 * MIB, id="30 % of the memory"),
        pytest.param(None, 100 * MIB, 75 * MIB, id="not less than Ray allows"),
        pytest.param(1, 100 * MIB, 75 * MIB, id="a wish that Ray refuses"),
        pytest.param(None, None, 512 * MIB, id="a machine that was told nothing"),
    ],
)
def test_objects_get_a_share_of_the_memory(wished, memory, expected):
    assert places.object_store_bytes(wished, memory) == expected


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        pytest.param(200 * MIB, "/dev/shm", id="room in memory"),
        pytest.param(50 * MIB, "/tmp/rayn-1", id="none"),
    ],
)
def test_objects_lie_in_memory_when_they_fit(free, expected):
    assert places.plasma_directory(None, 100 * MIB, "/tmp/rayn-1", lambda path: free) == expected


def test_a_plasma_directory_of_the_profile_that_is_not_there_is_named():
    with pytest.raises(LaunchError, match="/nowhere"):
        places.plasma_directory("/nowhere", 1, "/tmp", lambda path: 0)


def test_a_place_that_is_not_there_has_no_room():
    assert places.free_space("/nowhere") == 0
