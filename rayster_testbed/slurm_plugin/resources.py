"""CPU and memory limits of a pod, as the plugin turns them into what it asks of SLURM."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    **{suffix: Decimal(1000 ** (power + 2)) for power, suffix in enumerate("MGTPE")},
    **{suffix + "i": Decimal(1024 ** (power + 1)) for power, suffix in enumerate("KMGTPE")},
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkMGTPE]?|[KMGTPE]i)", re.ASCII)


@dataclass(frozen=True)
class Limits:
    """Cores and MiB to ask for; None where no container sets a limit."""

    cpus: int | None
    memory_mib: int | None


def quantity(text: str | int | float) -> Decimal:
    """Return the value of a Kubernetes quantity such as `1500m`, `300Mi` or `1e3`.

    Raises:
        ValueError: not a quantity.
    """
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"not a Kubernetes quantity: {text!r}")
    return Decimal(match.group(1)) * _SUFFIXES[match.group(2)]


def limits_of(pod: Mapping[str, Any]) -> Limits:
    """Return the largest limits over all containers, init containers included: the maximum, not the sum.

    Requests are not looked at. Cores are rounded up; memory is cut to whole MiB.
    """
    spec = pod["spec"]
    cpus, memory_bytes = 0, 0
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        limits = (container.get("resources") or {}).get("limits") or {}
        cpus = max(cpus, math.ceil(quantity(limits.get("cpu", 0))))
        memory = quantity(limits.get("memory", 0))
        # The plugin reads memory as a whole number of bytes and takes anything else for no limit.
        if memory == int(memory):
            memory_bytes = max(memory_bytes, int(memory))
    return Limits(cpus or None, memory_bytes // 1024**2 if memory_bytes else None)
