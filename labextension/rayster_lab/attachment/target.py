"""What a notebook needs to know of a cluster to become its driver: the service's answer, checked."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..launcher import rendezvous
from .errors import AttachError, HeadNotThere


@dataclass(frozen=True)
class AttachTarget:
    """A cluster's head: ``address`` (``ip:port`` of the GCS) with network direct, ``rendezvous`` (a file) with site."""

    cluster: str
    network: str
    token: str
    address: str | None = None
    rendezvous: str | None = None
    dashboard_url: str | None = None
    ray_version: str | None = None
    python_version: str | None = None
    session: str | None = None
    node_network: str | None = None
    plasma_directory: str | None = None

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> "AttachTarget":
        """Return what the service answered; what this version does not know is left. Raises AttachError."""
        names = {field.name for field in fields(cls)}
        found = {name: value for name, value in answer.items() if name in names and value is not None}
        wrong = [name for name, value in found.items() if not isinstance(value, str)]
        missing = [name for name in ("cluster", "network", "token") if name not in found]
        if wrong or missing or not ("address" in found or "rendezvous" in found):
            raise AttachError(
                "The service's answer does not say how to attach to the cluster "
                f"(wrong: {', '.join(wrong) or 'nothing'}; missing: {', '.join(missing) or 'address or rendezvous'}): "
                "is it a version of RaySTER that fits this image?"
            )
        return cls(**found)

    def __repr__(self) -> str:
        # The token opens the cluster; it must not end up in a notebook's output.
        return f"AttachTarget(cluster={self.cluster!r}, network={self.network!r})"


@dataclass(frozen=True)
class Found:
    """A head that was found: ``address`` is ``ip:port``; versions where they are known already."""

    address: str
    ray_version: str | None
    python_version: str | None

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


def find(target: AttachTarget) -> Found:
    """Return where the target's head is now. Raises HeadNotThere while it has not said so."""
    if target.address is not None:
        # What the head really runs it says itself.
        return Found(target.address, None, None)
    assert target.rendezvous is not None
    found = rendezvous.read(Path(target.rendezvous))
    if found is None or found.cluster != target.cluster:
        raise HeadNotThere(
            f"The head of cluster {target.cluster} has not said where it is: {target.rendezvous} is not there. "
            "If the cluster runs, this notebook does not see the site's shared directory: "
            "start the notebook's server at the same site as the cluster."
        )
    return Found(found.address, found.ray_version or None, found.python_version or None)
