"""Chooses the address by which the other nodes of a cluster reach this one."""

import re
import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from .failures import ExitCode, LaunchError

# Ray replaces 127.0.0.1 (and only that) by an address of its own choice.
_RAYS_LOCALHOST = IPv4Address("127.0.0.1")
# For a machine that has no other address than loopback and was told of no network.
_LAST_RESORT = IPv4Network("127.77.0.0/16")
_LOCAL_ROUTE = re.compile(r"\|--\s+(?P<address>[0-9.]+)\s*\n\s*/32 host LOCAL")


def choose_address(
    node_network: IPv4Network | None,
    pod_address: str | None,
    head_address: str | None,
    local_addresses: Collection[str],
    source_address: str | None,
) -> IPv4Address | IPv4Network:
    """Return this node's address, or the loopback network in which it takes one of its own.

    ``node_network`` is what the profile says; ``pod_address`` Kubernetes' idea of the pod (127.0.0.1 where a pod is a
    batch job); ``head_address`` the head's, where it is known; ``source_address`` the one with which this machine would
    speak to the head, or to the internet. Raises LaunchError when no address lies in ``node_network``.
    """
    if node_network is not None and node_network.is_loopback:
        return node_network
    if node_network is not None:
        fitting = sorted(a for a in map(IPv4Address, local_addresses) if a in node_network)
        if not fitting:
            raise LaunchError(
                ExitCode.NO_ADDRESS,
                f"This machine has no address in {node_network}, which the profile's ray.node_network names; "
                f"it has {', '.join(sorted(local_addresses)) or 'none'}.",
            )
        return fitting[0]
    if pod_address is not None and (pod := _address(pod_address)) not in (None, _RAYS_LOCALHOST):
        assert pod is not None
        return pod
    head = _address(head_address)
    if head is not None and head.is_loopback:
        return IPv4Network((head, 16), strict=False)
    candidates = [_address(source_address), *sorted(map(IPv4Address, local_addresses))]
    for candidate in candidates:
        if candidate is not None and not (candidate.is_loopback or candidate.is_link_local):
            return candidate
    return _LAST_RESORT


def address_in(network: IPv4Network, slot: int) -> IPv4Address:
    """Return the ``slot``-th address of a loopback ``network``, which no other node of this machine takes.

    Raises LaunchError when the network has not so many.
    """
    # 0 is the network's own, 1 of 127.0.0.0/16 is what Ray replaces.
    index = slot + 2
    if index >= network.num_addresses - 1:
        raise LaunchError(
            ExitCode.NO_ADDRESS,
            f"The loopback network {network} has {network.num_addresses} addresses, too few for node {slot}: "
            "give the profile's ray.node_network 16 bits, such as 127.60.0.0/16.",
        )
    return network[index]


def local_addresses(fib_trie: Path = Path("/proc/net/fib_trie")) -> list[str]:
    """Return the IPv4 addresses of this machine (in this network namespace), without loopback ones."""
    try:
        return addresses_in_fib_trie(fib_trie.read_text())
    except OSError:
        return []


def addresses_in_fib_trie(text: str) -> list[str]:
    """Return the local addresses that Linux' routing table ``text`` names, each once, without loopback ones."""
    found = {match["address"] for match in _LOCAL_ROUTE.finditer(text)}
    return sorted(address for address in found if not address.startswith("127."))


def source_address(towards: str = "192.0.2.1") -> str | None:
    """Return the address with which this machine would speak to ``towards``; sends nothing. None without a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _address(text: str | None) -> IPv4Address | None:
    try:
        return None if text is None else IPv4Address(text)
    except ValueError:
        return None
