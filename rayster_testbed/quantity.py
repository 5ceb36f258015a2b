"""Kubernetes resource quantities (`1500m`, `16Gi`, `3e9`) as exact numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?:(?P<exponent>[eE][+-]?\d+)|(?P<suffix>[KMGTPE]i|[numkMGTPE]?))",
    re.ASCII,
)


@lru_cache(maxsize=4096)
def parse_quantity(text: str | int | float) -> Decimal:
    """The number that a quantity stands for, in the resource's base unit (cores, bytes, items).

    Raises: ValueError for text that is not a Kubernetes quantity.
    """
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a Kubernetes quantity such as 500m, 2 or 16Gi")
    number = Decimal(match["number"] + (match["exponent"] or ""))
    return number * _SUFFIXES[match["suffix"] or ""]


def format_quantity(number: Decimal) -> str:
    """The shortest plain form: an integer when it is one, milli-units otherwise (`1`, `1500m`)."""
    if number == number.to_integral_value():
        return str(int(number))
    return f"{math.ceil(number * 1000)}m"


def container_requests(container: Mapping) -> dict[str, Decimal]:
    """What one container asks of its node; a limit without a request is a request (API server defaulting)."""
    resources = container.get("resources") or {}
    wanted = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: parse_quantity(value) for name, value in wanted.items()}


def pod_requests(spec: Mapping) -> dict[str, Decimal]:
    """What a pod asks of its node: the sum over containers, or the largest init container where that is more."""
    total: dict[str, Decimal] = {}
    for container in spec.get("containers") or []:
        for name, amount in container_requests(container).items():
            total[name] = total.get(name, Decimal(0)) + amount
    for container in spec.get("initContainers") or []:
        for name, amount in container_requests(container).items():
            total[name] = max(total.get(name, Decimal(0)), amount)
    return total
