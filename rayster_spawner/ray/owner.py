"""The server that a cluster belongs to."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Owner:
    """The server that a cluster belongs to: its pod, whose it is as the hub spells it, and the user's label."""

    pod_name: str
    pod_uid: str
    user: str
    server: str
    user_label: str

    def reference(self) -> dict[str, Any]:
        """Return the reference that lets an object go with the pod."""
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": self.pod_name,
            "uid": self.pod_uid,
            "controller": False,
            "blockOwnerDeletion": True,
        }
