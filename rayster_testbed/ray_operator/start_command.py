"""The `ray start` command that KubeRay makes of a group's parameters and its container's resources; pure functions.

After `setMissingRayStartParams`, `generateRayStartCommand` and `convertParamMap` of `common/pod.go`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from rayster_testbed.quantity import parse_quantity
from rayster_testbed.ray_operator.names import AGENT_PORT, GCS_PORT, HEAD, METRICS_PORT, NodeType

ULIMIT = "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}"
# Of all options, only these may be said to be false.
_OPTIONS_WITH_TRUTH_VALUE = ("log-color", "include-dashboard", "include-log-monitor")


def head_port(spec: Mapping[str, Any]) -> str:
    """The port of GCS as the head's parameters give it."""
    return (spec["headGroupSpec"].get("rayStartParams") or {}).get("port", str(GCS_PORT))


def start_params(
    group: Mapping[str, Any], node_type: NodeType, address: str, resources: Mapping[str, Any]
) -> dict[str, str]:
    """All parameters of `ray start` for one group.

    Args:
        group: `headGroupSpec` or one of `workerGroupSpecs`.
        node_type: which of the two.
        address: where GCS is, for workers.
        resources: of the Ray container.
    """
    params = dict(group.get("rayStartParams") or {})
    params |= _from_group_resources(group.get("resources") or {})
    if group_labels := group.get("labels"):
        params["labels"] = ",".join(f"{key}={value}" for key, value in sorted(group_labels.items()))
    if node_type == HEAD:
        params.setdefault("dashboard-host", "0.0.0.0")  # noqa: S104 what KubeRay says
    else:
        params.setdefault("address", address)
    params.setdefault("metrics-export-port", str(METRICS_PORT))
    params.setdefault("dashboard-agent-listen-port", str(AGENT_PORT))
    params["block"] = "true"
    return _with_container_resources(params, resources)


def _from_group_resources(resources: Mapping[str, str]) -> dict[str, str]:
    params: dict[str, str] = {}
    others: dict[str, float] = {}
    for name, amount in sorted(resources.items()):
        lower = name.lower()
        if lower == "cpu":
            params["num-cpus"] = _whole(amount)
        elif lower == "memory":
            params["memory"] = _whole(amount)
        elif is_gpu(lower):
            params["num-gpus"] = _whole(amount)
        else:
            others[name] = float(parse_quantity(amount))
    if others:
        params["resources"] = f"'{json.dumps(others, separators=(',', ':'))}'"
    return params


def _with_container_resources(params: dict[str, str], resources: Mapping[str, Any]) -> dict[str, str]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    cpu = limits.get("cpu") or requests.get("cpu")
    if cpu and _whole(cpu) != "0":
        params.setdefault("num-cpus", _whole(cpu))
    if (memory := limits.get("memory")) and _whole(memory) != "0":
        params.setdefault("memory", _whole(memory))
    for name in sorted(limits):
        if is_gpu(name) and _whole(limits[name]) != "0":
            params.setdefault("num-gpus", _whole(limits[name]))
    return params


def is_gpu(resource: str) -> bool:
    """Whether a resource counts as GPUs: `…gpu`, or a slice of one."""
    return resource.endswith("gpu") or resource.startswith("nvidia.com/mig-")


def _whole(amount: str | float) -> str:
    """A quantity in whole units, rounded up."""
    return str(math.ceil(parse_quantity(amount)))


def ray_start(node_type: NodeType, params: Mapping[str, str]) -> str:
    """The command line; `true` stands for an option alone, `false` for none, and nothing is quoted."""
    words = "ray start --head " if node_type == HEAD else "ray start "
    for option, value in sorted(params.items()):
        if value.lower() in ("true", "false") and option not in _OPTIONS_WITH_TRUTH_VALUE:
            words += f" --{option} " if value.lower() == "true" else ""
        else:
            words += f" --{option}={value} "
    return words
