"""Ports of testbeds that run beside each other on one machine."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from rayster_spawner.life.pod_address import FIRST_PORT
from rayster_testbed import ports

TAKE_FIVE = """
import sys
from rayster_testbed import ports
ports._LOWEST, ports._HIGHEST = int(sys.argv[1]), int(sys.argv[1]) + 9
print(*ports.free_ports(5), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def ten_ports(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let testbeds have ten ports only; returns the first."""
    lowest = 6900  # below those that the testbeds of other tests, which run at the same time, may have
    monkeypatch.setattr(ports, "_LOWEST", lowest)
    monkeypatch.setattr(ports, "_HIGHEST", lowest + 9)
    return lowest


@pytest.fixture
def other(ten_ports: int) -> Iterator[tuple[subprocess.Popen, list[int]]]:
    """Another process that has chosen five of the ten and listens on none; with its ports."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_FIVE, str(ten_ports)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield process, [int(word) for word in process.stdout.readline().split()]
    process.kill()
    process.communicate()


def test_ports_that_another_testbed_has_chosen_are_nobody_elses(ten_ports, other):
    _, taken = other
    own = ports.free_ports(5)
    assert sorted([*own, *taken]) == list(range(ten_ports, ten_ports + 10))
    with pytest.raises(OSError, match="free TCP ports"):
        ports.free_ports(1)


def test_ports_of_a_process_that_was_killed_can_be_taken_again(other):
    process, ports_of_other = other
    assert not ports.take_again(ports_of_other)
    process.kill()
    process.wait()
    assert ports.take_again(ports_of_other)


def test_port_that_somebody_asked_for_is_no_parts(ten_ports):
    with pytest.raises(OSError, match="free TCP ports"):
        ports.free_ports(1, without=range(ten_ports, ten_ports + 10))


def test_ports_of_parts_are_none_that_a_server_may_get():
    assert ports._HIGHEST < FIRST_PORT
