"""One loopback address per pod, out of a network such as 127.20.0.0/16."""

from __future__ import annotations

import ipaddress


class Addresses:
    """Hands out addresses in turn, so that one that was just given back is not used again at once."""

    def __init__(self, cidr: str) -> None:
        """Raises: ValueError when *cidr* is not a loopback network with room for pods."""
        self._network = ipaddress.IPv4Network(cidr)
        if not self._network.is_loopback or self._network.num_addresses < 8:
            raise ValueError(f"pod CIDR {cidr} must be a network inside 127.0.0.0/8 of at least 8 addresses")
        self._by_pod: dict[str, str] = {}
        self._last = 1

    @property
    def node(self) -> str:
        """The node's own address: the first of the network."""
        return str(self._network[1])

    def adopt(self, uid: str, address: str) -> None:
        """Note that a pod has *address* already."""
        self._by_pod[uid] = address

    def take(self, uid: str) -> str:
        """The pod's address, a free one when it has none yet.

        Raises: RuntimeError when every address is taken.
        """
        if uid in self._by_pod:
            return self._by_pod[uid]
        taken = set(self._by_pod.values())
        usable = self._network.num_addresses - 3  # network, node, broadcast
        for step in range(1, usable + 1):
            index = 2 + (self._last - 2 + step) % usable
            address = str(self._network[index])
            if address not in taken:
                self._last = index
                self._by_pod[uid] = address
                return address
        raise RuntimeError(f"no free address in {self._network}")

    def give_back(self, uid: str) -> None:
        self._by_pod.pop(uid, None)
