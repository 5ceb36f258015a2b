"""The probes that KubeRay gives to a Ray container that has none of its own; a pure function."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rayster_testbed.kube import Obj
from rayster_testbed.ray_operator.names import AGENT_PORT, DEFAULT_PORTS, HEAD, NodeType

# Since then one path tells of the whole node.
_FIRST_WITH_ONE_PATH = (2, 53, 0)
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def version_of(text: str) -> tuple[int, int, int] | None:
    """The numbers of a version such as `2.60.0`; None when it is none."""
    match = _VERSION.match(text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def health_probes(node_type: NodeType, ray_version: str, params: Mapping[str, str]) -> dict[str, Any]:
    """`readinessProbe` and `livenessProbe`.

    Args:
        node_type: the head is given more time.
        ray_version: `rayVersion` of the cluster, may be empty.
        params: those of `ray start`; they may move the ports that are asked.
    """
    agent = int(params.get("dashboard-agent-listen-port", AGENT_PORT))
    dashboard = int(params.get("dashboard-port", DEFAULT_PORTS["dashboard"]))
    action: Obj
    if (version_of(ray_version) or (0, 0, 0)) >= _FIRST_WITH_ONE_PATH:
        action = {"httpGet": {"path": "/api/healthz", "port": agent}}
    else:
        asks = [_wget(2, agent, "api/local_raylet_healthz")]
        if node_type == HEAD:
            asks.append(_wget(10, dashboard, "api/gcs_healthz"))
        action = {"exec": {"command": ["bash", "-c", " && ".join(asks)]}}
    seconds = 5 if node_type == HEAD else 2
    often = {"timeoutSeconds": seconds, "periodSeconds": 5, "successThreshold": 1}
    return {
        "readinessProbe": {**action, **often, "initialDelaySeconds": 10, "failureThreshold": 10},
        "livenessProbe": {**action, **often, "initialDelaySeconds": 30, "failureThreshold": 120},
    }


def _wget(timeout_seconds: int, port: int, path: str) -> str:
    return f"wget --tries 1 -T {timeout_seconds} -q -O- http://localhost:{port}/{path} | grep success"
