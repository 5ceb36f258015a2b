from ipaddress import IPv4Address, IPv4Network

import pytest
from rayster_lab.launcher.addresses import address_in, addresses_in_fib_trie, choose_address, local_addresses
from rayster_lab.launcher.failures import ExitCode, LaunchError

IB = IPv4Network("10.128.0.0/16")
LOOPBACK = IPv4Network("127.60.0.0/16")
LOCAL = ("192.168.1.9", "10.128.7.1")


@pytest.mark.parametrize(
    ("node_network", "pod", "head", "local", "source", "expected"),
    [
        pytest.param(
            IB, "10.244.0.3", "10.128.0.1", LOCAL, "192.168.1.9", "10.128.7.1", id="the profile's network"
        ),
        pytest.param(LOOPBACK, "10.244.0.3", "127.60.0.2", LOCAL, None, LOOPBACK, id="a loopback network"),
        pytest.param(None, "10.244.0.3", None, LOCAL, "192.168.1.9", "10.244.0.3", id="a pod's address"),
        pytest.param(
            None, "127.60.0.5", None, LOCAL, "192.168.1.9", "127.60.0.5", id="a pod's loopback address"
        ),
        pytest.param(
            None,
            "127.0.0.1",
            "10.128.0.1",
            LOCAL,
            "10.128.7.1",
            "10.128.7.1",
            id="a batch job: towards the head",
        ),
        pytest.param(None, None, "127.60.3.4", LOCAL, "127.0.0.1", LOOPBACK, id="beside a head on loopback"),
        pytest.param(None, None, None, LOCAL, None, "10.128.7.1", id="no route to anywhere"),
        pytest.param(None, "", None, LOCAL, "192.168.1.9", "192.168.1.9", id="an empty pod address"),
        pytest.param(
            None,
            None,
            None,
            ("169.254.3.3",),
            None,
            IPv4Network("127.77.0.0/16"),
            id="nothing but link-local",
        ),
    ],
)
def test_a_node_takes_the_address_by_which_the_others_reach_it(
    node_network, pod, head, local, source, expected
):
    wanted = IPv4Address(expected) if isinstance(expected, str) else expected

    assert choose_address(node_network, pod, head, local, source) == wanted


def test_a_machine_without_an_address_in_the_profiles_network_says_which_it_has():
    with pytest.raises(LaunchError) as error:
        choose_address(IB, None, None, ("192.168.1.9",), "192.168.1.9")

    assert error.value.code == ExitCode.NO_ADDRESS
    assert "10.128.0.0/16" in str(error.value) and "192.168.1.9" in str(error.value)


def test_addresses_of_a_loopback_network_differ_and_none_is_one_that_ray_replaces():
    network = IPv4Network("127.0.0.0/16")
    found = [address_in(network, slot) for slot in range(226)]

    assert len(set(found)) == 226
    assert all(address in network for address in found)
    assert IPv4Address("127.0.0.1") not in found


def test_a_loopback_network_that_is_too_small_is_refused_with_what_would_do():
    with pytest.raises(LaunchError, match=r"127\.60\.0\.0/16"):
        address_in(IPv4Network("127.60.0.0/29"), 6)


def test_local_addresses_are_read_from_the_routing_table():
    table = """Main:
  +-- 0.0.0.0/0 3 0 5
     +-- 10.128.0.0/16 2 0 2
        |-- 10.128.0.0
           /16 link UNICAST
        |-- 10.128.7.1
           /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
Local:
     |-- 10.128.7.1
        /32 host LOCAL
     |-- 10.128.255.255
        /32 link BROADCAST
"""

    assert addresses_in_fib_trie(table) == ["10.128.7.1"]


def test_a_machine_without_that_table_has_no_addresses_to_offer(tmp_path):
    assert local_addresses(tmp_path / "none") == []
