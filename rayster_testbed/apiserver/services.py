"""Cluster addresses of services: one loopback address each, so that they are unique on one machine."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from .store import Store

Json = dict[str, Any]
SERVICE_NETWORK = IPv4Network("127.96.0.0/16")


def assign_address(service: Json, store: Store, old: Json | None = None) -> None:
    """Give a service its `clusterIP`, in place: the old one, the asked-for one, or the first free one."""
    spec = service["spec"]
    if spec["type"] == "ExternalName":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
        return
    before = (old or {}).get("spec", {}).get("clusterIP")
    address = spec.get("clusterIP") or before
    if not address:
        used = {record.obj["spec"].get("clusterIP") for _, _, record in store.records("services")}
        address = next(str(host) for host in SERVICE_NETWORK.hosts() if _is_free(host, used))
    spec["clusterIP"] = address
    spec["clusterIPs"] = [address]


def _is_free(host: IPv4Address, used: set[str | None]) -> bool:
    return str(host) not in used
