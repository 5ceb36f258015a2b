"""Writes the command line and the environment of `ray start`."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .ports import Ports

# KubeRay's, for its own command; Ray would read some of them instead of what it is told.
_DROPPED = (
    "RAY_ADDRESS",
    "RAY_PORT",
    "RAY_IP",
    "FQ_RAY_IP",
    "RAY_GCS_SERVER_PORT",
    "KUBERAY_GEN_RAY_START_CMD",
)
_DEFAULTS = {
    # Ray waits up to 30 s for tasks to end when it is told to; a pod's time to end is over then.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    # Ray gives up on a node that needs more than 30 s to come up; on a busy machine it does.
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_agent_register_timeout_ms": "120000",
    # Between the raylet (0) and what only watches (`ray_startup`), not behind everything (Ray's 15).
    "RAY_worker_niceness": "5",
}
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
# Runs `ray_cli` without the working directory on sys.path, where a user's file may be called like a module of Ray.
RUN_MODULE = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; from {module} import main; sys.exit(main())"
)


@dataclass(frozen=True)
class Node:
    """One node as `ray start` needs to know it. Sizes in bytes."""

    head: bool
    address: str
    ports: Ports
    temp_dir: str
    plasma_directory: str
    object_store_bytes: int
    cpus: int
    gpus: int | None = None
    memory_bytes: int | None = None
    dashboard_host: str = "0.0.0.0"  # noqa: S104 - the service reaches it from another machine
    name: str | None = None
    labels: Mapping[str, str] | None = None


def ray_start(node: Node, head_address: str | None = None) -> list[str]:
    """Return the arguments after `ray` that start ``node``; a worker joins the GCS at ``head_address``."""
    ports = node.ports
    options: dict[str, str | int | None] = {
        "node-ip-address": node.address,
        "node-name": node.name,
        "node-manager-port": ports.node_manager,
        "object-manager-port": ports.object_manager,
        "dashboard-agent-grpc-port": ports.agent_grpc,
        "dashboard-agent-listen-port": ports.agent_http,
        "runtime-env-agent-port": ports.runtime_env,
        "metrics-export-port": ports.metrics,
        "min-worker-port": ports.first_worker,
        "max-worker-port": ports.last_worker,
        "num-cpus": node.cpus,
        "num-gpus": node.gpus,
        # Ray's memory is what tasks may ask for; the objects' share of the pod's is gone from it.
        "memory": None if node.memory_bytes is None else max(node.memory_bytes - node.object_store_bytes, 1),
        "object-store-memory": node.object_store_bytes,
        "plasma-directory": node.plasma_directory,
        "temp-dir": node.temp_dir,
        "labels": labels_text(node.labels or {}) or None,
    }
    if node.head:
        options |= {
            "port": ports.gcs,
            "dashboard-host": node.dashboard_host,
            "dashboard-port": ports.dashboard,
        }
        flags = ["--head", "--no-monitor"]
    else:
        options["address"] = head_address
        flags = []
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return ["start", *flags, *given, "--block", "--disable-usage-stats", "--log-color=false"]


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels as `ray start` takes them; a value that Ray would refuse is left out."""
    return ",".join(f"{name}={value}" for name, value in labels.items() if _LABEL.fullmatch(value))


def ray_environment(environ: Mapping[str, str], token: str | None) -> dict[str, str]:
    """Return the environment of a node's processes, made of this process's."""
    kept = {name: value for name, value in environ.items() if name not in _DROPPED}
    if token is not None:
        kept |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    return _DEFAULTS | kept


def python_module(module: str) -> Sequence[str]:
    """Return the command that runs ``main()`` of ``module`` in a new Python."""
    return [sys.executable, "-u", "-c", RUN_MODULE.format(module=module)]
