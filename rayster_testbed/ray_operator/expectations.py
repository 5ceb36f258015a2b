"""What the operator has just done and not yet seen: until it has, it leaves that group alone.

This is why a worker group stands still for as long as one of its pods takes to end (after
`expectations/scale_expectations.go`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from typing import Literal

from rayster_testbed.kube_informer import Key

Action = Literal["create", "delete"]
_CREATION_PATIENCE_SECONDS = 30.0


class Expectations:
    """Pods that were made or deleted, per cluster and group, checked against the pods as they are known.

    Args:
        pods: the (namespace, name) of every pod that is known.
        clock: seconds, of any origin.
    """

    def __init__(self, pods: Container[Key], clock: Callable[[], float] = time.monotonic) -> None:
        self._pods = pods
        self._clock = clock
        self._open: dict[Key, dict[str, dict[Key, tuple[Action, float]]]] = {}

    def expect(self, cluster: Key, group: str, pod: Key, action: Action) -> None:
        """Note that *pod* was made or deleted."""
        self._open.setdefault(cluster, {}).setdefault(group, {})[pod] = (action, self._clock())

    def met(self, cluster: Key, group: str) -> bool:
        """Whether all that was done to the group is seen by now."""
        waiting = self._open.get(cluster, {}).get(group, {})
        for pod, (action, since) in list(waiting.items()):
            if not self._is_seen(pod, action, since):
                return False
            del waiting[pod]
        return True

    def forget(self, cluster: Key) -> None:
        """Expect nothing more of a cluster."""
        self._open.pop(cluster, None)

    def _is_seen(self, pod: Key, action: Action, since: float) -> bool:
        if action == "delete":
            return pod not in self._pods
        # One that was deleted before it was seen is never seen.
        return pod in self._pods or self._clock() - since > _CREATION_PATIENCE_SECONDS
