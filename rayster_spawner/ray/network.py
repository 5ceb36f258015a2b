"""How the nodes of a cluster find each other, kept with it: its profile may say something else by now. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .. import interlink
from ..offload import OffloadError
from ..profiles import Profile
from . import names
from .owner import Owner


@dataclass(frozen=True)
class ClusterNetwork:
    """``mode`` is `direct` or `site`; ``rendezvous`` the file of a cluster in network `site`, as containers see it.

    ``node_network`` and ``plasma_directory`` are for nodes at the workers' site, where the profile says them.
    """

    mode: str
    rendezvous: str | None = None
    node_network: str | None = None
    plasma_directory: str | None = None

    def as_json(self) -> str:
        """Return the annotation's text."""
        return json.dumps(asdict(self), separators=(",", ":"))


def network_of(cluster_id: str, profile: Profile, owner: Owner) -> ClusterNetwork:
    """Return the network of a new cluster. Raises OffloadError when the user has no escaped name that a path needs."""
    assert profile.ray is not None
    if profile.network.mode != "site" or profile.ray.shared_directory is None:
        return ClusterNetwork(
            profile.network.mode, None, profile.ray.node_network, profile.ray.plasma_directory
        )
    folder = profile.ray.shared_directory
    if "{username}" in folder:
        try:
            folder = interlink.expand_username(folder, owner.user_label)
        except ValueError as error:
            raise OffloadError([str(error)]) from None
    rendezvous = f"{folder.rstrip('/')}/{cluster_id}.json"
    return ClusterNetwork("site", rendezvous, profile.ray.node_network, profile.ray.plasma_directory)


def read_network(cluster: Mapping[str, Any]) -> ClusterNetwork | None:
    """Return the network that a RayCluster was made with, None when that is not as it was written."""
    text = ((cluster.get("metadata") or {}).get("annotations") or {}).get(names.NETWORK, "")
    try:
        said = json.loads(text)
        network = ClusterNetwork(**said)
    except (TypeError, ValueError):
        return None
    return network if network.mode in ("direct", "site") else None


def network_told(
    cluster: Mapping[str, Any], namespace: str, *, head_address: str | None, is_at_site: bool
) -> dict[str, Any] | None:
    """Return how a notebook finds the head, and what its own node must be; None when that was not written down.

    Arguments: ``head_address`` is that of the head's Ray node, where it is known; ``is_at_site`` tells that the
    notebook runs where the workers do, so that what the profile says of nodes there is said of its own, too.
    """
    network = read_network(cluster)
    annotations = (cluster.get("metadata") or {}).get("annotations") or {}
    gcs_port = annotations.get(names.GCS_PORT, "")
    if network is None or not gcs_port.isdecimal():
        return None
    host = head_address or names.head_service(cluster["metadata"]["name"], namespace)
    return {
        "network": network.mode,
        "address": f"{host}:{gcs_port}" if network.mode == "direct" else None,
        "rendezvous": network.rendezvous,
        "node_network": network.node_network if is_at_site else None,
        "plasma_directory": network.plasma_directory if is_at_site else None,
    }
