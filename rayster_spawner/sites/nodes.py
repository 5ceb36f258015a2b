"""Nodes of the cluster as far as a site's state needs them. Pure; a node may have gaps, and its clock may be wrong."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from .. import interlink
from ..profiles import Profile

_VIRTUAL_TYPE_LABELS = (interlink.VIRTUAL_NODE_TYPE_LABEL, "type", "kubernetes.io/os")


class Node(NamedTuple):
    """One node: whether it is ready and takes pods, and (epoch seconds by its own word) since when, and since ever."""

    name: str
    labels: Mapping[str, str]
    is_ready: bool
    is_closed: bool = False
    changed_at: float | None = None
    created_at: float | None = None

    @property
    def is_virtual(self) -> bool:
        """Whether the node is a site behind interLink."""
        return any(self.labels.get(label) == interlink.VIRTUAL_NODE_TYPE for label in _VIRTUAL_TYPE_LABELS)


def read_node(manifest: Mapping[str, Any]) -> Node:
    """Return a node as the API server sends it."""
    metadata, status = manifest.get("metadata") or {}, manifest.get("status") or {}
    ready = [c for c in status.get("conditions") or [] if c.get("type") == "Ready"]
    # A virtual node may hold a condition twice; the last one is the newest.
    condition = ready[-1] if ready else {}
    return Node(
        name=metadata.get("name") or "",
        labels=metadata.get("labels") or {},
        is_ready=condition.get("status") == "True",
        is_closed=bool((manifest.get("spec") or {}).get("unschedulable")),
        changed_at=_epoch_seconds(condition.get("lastTransitionTime")),
        created_at=_epoch_seconds(metadata.get("creationTimestamp")),
    )


def nodes_of(profile: Profile, nodes: Iterable[Node]) -> list[Node]:
    """Return the nodes that a server of ``profile`` could be put on, as `offload` chooses them."""
    wanted = dict(profile.node_labels)
    if profile.is_offloaded:
        wanted |= {interlink.HOSTNAME_LABEL: profile.site} if isinstance(profile.site, str) else profile.site
    return [
        node
        for node in nodes
        if (profile.is_offloaded or not node.is_virtual)
        and all(node.labels.get(key) == value for key, value in wanted.items())
    ]


def down_since(
    nodes: Iterable[Node], first_seen_down: float, last_seen_up: float | None, skew_seconds: float = 60
) -> float:
    """Return since when ``nodes``, none of which is ready, are all down, in epoch seconds by our clock.

    Arguments: the times are what we saw ourselves. A node's own word comes from a clock that may be hours off: one
    that contradicts what we saw (a time that has not come, one when a node was up, or was not there) is put right.
    """
    said = [
        max(node.changed_at, node.created_at or node.changed_at)
        for node in nodes
        if node.changed_at is not None
    ]
    since = max(said, default=first_seen_down)
    if since > first_seen_down + skew_seconds:
        return first_seen_down
    if last_seen_up is not None and since < last_seen_up - skew_seconds:
        return last_seen_up
    return min(since, first_seen_down)


def _epoch_seconds(text: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None
