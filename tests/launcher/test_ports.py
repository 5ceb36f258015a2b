import json
import socket
import subprocess
import sys
from dataclasses import astuple

import pytest
from rayster_lab.launcher import ports
from rayster_lab.launcher.failures import ExitCode, LaunchError

CLAIM = """
import json, sys
from rayster_lab.launcher.ports import claim_ports
claim = claim_ports(4)
print(json.dumps([claim.slot, claim.ports.as_json()]), flush=True)
sys.stdin.read()
"""


def all_ports(found: ports.Ports) -> set[int]:
    single = set(astuple(found)[:-2])
    return single | set(range(found.first_worker, found.last_worker + 1))


def test_every_port_of_a_node_is_another():
    found = ports.ports_from(12800, units=1)

    assert len(all_ports(found)) == ports.UNIT


def test_a_heads_own_ports_are_those_it_was_told():
    found = ports.ports_from(12800, units=1, gcs=20001, dashboard=20002)

    assert (found.gcs, found.dashboard) == (20001, 20002)


@pytest.mark.parametrize(("cpus", "units"), [(0, 1), (4, 1), (5, 2), (64, 5), (128, 9)])
def test_more_cpus_have_more_ports_for_workers(cpus, units):
    assert ports.units_for(cpus) == units


def test_nodes_that_start_at_once_never_get_the_same_ports():
    started = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    try:
        found = [json.loads(process.stdout.readline()) for process in started]
    finally:
        for process in started:
            process.stdin.close()
            process.wait(timeout=20)

    assert len({slot for slot, _ in found}) == 6
    sets = [all_ports(ports.Ports(**claimed)) for _, claimed in found]
    assert len(set().union(*sets)) == sum(map(len, sets))


def test_what_a_process_that_has_ended_had_can_be_claimed_again(monkeypatch):
    monkeypatch.setattr(ports, "_UNITS", [31936])
    ports.claim_ports(0).release()

    with ports.claim_ports(0) as claim:
        assert claim.ports.node_manager == 31936


def test_a_port_that_somebody_listens_on_is_not_given_away(monkeypatch):
    monkeypatch.setattr(ports, "_UNITS", [31872])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.66.1.1", 31880))
        other.listen()

        with pytest.raises(LaunchError) as error:
            ports.claim_ports(0)

    assert error.value.code == ExitCode.NO_PORTS
    assert "64 free TCP ports" in str(error.value)


def test_ports_are_below_those_of_outgoing_connections_and_beside_the_services():
    claimable = {port for unit in ports._UNITS for port in range(unit, unit + ports.UNIT)}

    assert max(claimable) < 32768
    assert not claimable & set(range(20000, 28000))
