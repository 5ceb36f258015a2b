"""What the kubelet keeps in memory about a pod: all of it can be found again after a restart, or may be forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rayster_testbed.kubelet.command import Process
from rayster_testbed.kubelet.plan import View, Waiting
from rayster_testbed.kubelet.probes import Prober
from rayster_testbed.kubelet.runtime import Runtime


@dataclass
class Retry:
    """A container that could not be started: how often, and when (monotonic seconds) to try again."""

    failures: int = 0
    at: float = 0.0


@dataclass
class PodMemory:
    """One pod. `kill_at` holds the monotonic time at which a container that was asked to end is killed."""

    start_time: str
    volumes: Mapping[str, Path] | None = None
    waiting: dict[str, Waiting] = field(default_factory=dict)
    retries: dict[str, Retry] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    probers: dict[tuple[str, int], Prober] = field(default_factory=dict)
    stopping_since: dict[str, float] = field(default_factory=dict)
    kill_at: dict[str, float] = field(default_factory=dict)
    back_off_told: set[tuple[str, int]] = field(default_factory=set)

    def view(self, runtime: Runtime, uid: str, container: str) -> View:
        """What is known of one container now."""
        attempts = runtime.attempts(uid, container)
        prober = self.probers.get((container, attempts[-1].number)) if attempts else None
        return View(
            attempts=attempts,
            waiting=self.waiting.get(container),
            started=prober is None or prober.started,
            ready=prober is None or prober.ready,
        )

    def close_probers(self, container: str | None = None) -> None:
        for key in [k for k in self.probers if container in (None, k[0])]:
            self.probers.pop(key).close()
