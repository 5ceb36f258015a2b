"""CPU and memory limits of a pod, as the plugin turns them into what it asks of SLURM."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayster_testbed.quantity import parse_quantity


@dataclass(frozen=True)
class Limits:
    """Cores and MiB to ask for; None where no container sets a limit."""

    cpus: int | None
    memory_mib: int | None


def limits_of(pod: Mapping[str, Any]) -> Limits:
    """Return the largest limits over all containers, init containers included: the maximum, not the sum.

    Requests are not looked at. Cores are rounded up; memory is cut to whole MiB.
    """
    spec = pod["spec"]
    cpus, memory_bytes = 0, 0
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        limits = (container.get("resources") or {}).get("limits") or {}
        cpus = max(cpus, math.ceil(parse_quantity(limits.get("cpu", 0))))
        memory = parse_quantity(limits.get("memory", 0))
        # The plugin reads memory as a whole number of bytes and takes anything else for no limit.
        if memory == int(memory):
            memory_bytes = max(memory_bytes, int(memory))
    return Limits(cpus or None, memory_bytes // 1024**2 if memory_bytes else None)
