"""Lets Ray start a node in an order in which nobody waits for what he does not need; a node is up in half the time.

All of it changes functions of Ray in a process that becomes `ray start`. What a version of Ray no longer has is left as
it is: the node starts as slowly as Ray would start it.
"""

import shutil
import time
from contextlib import suppress
from typing import Any, cast

_OWN_NODE_SECONDS = 20.0
_POLL_SECONDS = 0.05
# Less than Ray's workers have (`command`), much more than batch jobs that others have put behind everything.
_NICENESS = 10
_ANY = "0.0.0.0"  # noqa: S104


def tune(scripts: Any) -> None:
    """Change the order in which `scripts`, the module `ray.scripts.scripts`, starts a node."""
    _without_client_server(scripts)
    _node_before_dashboard()
    _node_before_agents()
    _see_own_node_at_once()
    _agents_after_workers()


def _without_client_server(scripts: Any) -> None:
    """Start no server for Ray Client, which nobody uses here; it takes as long to start as the dashboard."""
    if hasattr(scripts, "get_ray_client_dependency_error"):
        scripts.get_ray_client_dependency_error = lambda: ImportError("not used")


def _node_before_dashboard() -> None:
    """Start a head's own node at once instead of after the dashboard.

    All others can join only when the head's own node is there (`Node.__init__` asks for its temp dir), and Ray starts
    it last.
    """
    from ray._private.node import Node

    start_dashboard = getattr(Node, "start_api_server", None)
    start_processes = getattr(Node, "start_ray_processes", None)
    if start_dashboard is None or start_processes is None:
        return
    postponed: list[dict[str, Any]] = []

    def postpone(node: Any, **options: Any) -> None:
        postponed.append(options)
        host, port = node._ray_params.dashboard_host, node._ray_params.dashboard_port
        node._webui_url = f"{node._node_ip_address if host == _ANY else host}:{port}"

    def start(node: Any) -> None:
        start_processes(node)
        for options in postponed:
            start_dashboard(node, **options)
        postponed.clear()

    setattr(Node, "start_api_server", postpone)  # noqa: B010 - Ray's, and typed
    setattr(Node, "start_ray_processes", start)  # noqa: B010


def _node_before_agents() -> None:
    """Tell the raylet the ports of its agents, which are fixed, before the agents do.

    It waits for them, and ends itself when they need more than 15 s, as on a machine that does other things too, or
    whose Python comes from a slow file system (https://github.com/ray-project/ray/issues/65983).
    """
    from ray import _raylet
    from ray._private.node import Node

    raylet = cast(Any, _raylet)
    start_processes = getattr(Node, "start_ray_processes", None)
    persist_port = getattr(raylet, "persist_port", None)
    ports = {
        getattr(raylet, name, None): parameter
        for name, parameter in (
            ("DASHBOARD_AGENT_LISTEN_PORT_NAME", "dashboard_agent_listen_port"),
            ("METRICS_AGENT_PORT_NAME", "metrics_agent_port"),
            ("METRICS_EXPORT_PORT_NAME", "metrics_export_port"),
            ("RUNTIME_ENV_AGENT_PORT_NAME", "runtime_env_agent_port"),
        )
    }
    if start_processes is None or persist_port is None:
        return

    def start(node: Any) -> None:
        for name, parameter in ports.items():
            if name is not None and (port := getattr(node._ray_params, parameter, 0)):
                persist_port(node._session_dir, node._node_id, name, port)
        start_processes(node)

    setattr(Node, "start_ray_processes", start)  # noqa: B010


def _see_own_node_at_once() -> None:
    """Let `ray start` see that its node has joined when it has; Ray looks once a second."""
    import ray._private.services as services

    get_node = getattr(services, "get_node", None)
    if get_node is None:
        return

    def get_node_soon(gcs_address: str, node_id: str) -> Any:
        from ray import NodeID, _raylet
        from ray.core.generated import gcs_service_pb2

        raylet, requests = cast(Any, _raylet), cast(Any, gcs_service_pb2)
        selector = requests.GetAllNodeInfoRequest.NodeSelector(node_id=NodeID.from_hex(node_id).binary())
        # The rest of the time, and what goes wrong, is left to Ray.
        with suppress(Exception):
            client = raylet.GcsClient(address=gcs_address)
            deadline = time.monotonic() + _OWN_NODE_SECONDS
            while time.monotonic() < deadline and not client.get_all_node_info(
                timeout=2, node_selectors=[selector]
            ):
                time.sleep(_POLL_SECONDS)
        return get_node(gcs_address, node_id)

    setattr(services, "get_node", get_node_soon)  # noqa: B010


def _agents_after_workers() -> None:
    """Let the agents and the log monitor yield to the workers, whose start somebody waits for, while all start."""
    import ray._private.services as services

    start_process = getattr(services, "start_ray_process", None)
    nice = shutil.which("nice")
    if start_process is None or nice is None:
        return
    words = [nice, "-n", str(_NICENESS)]

    def start(command: list[str], process_type: str, *others: Any, **options: Any) -> Any:
        return start_process(yielding(command, process_type, words), process_type, *others, **options)

    setattr(services, "start_ray_process", start)  # noqa: B010


def yielding(command: list[str], process_type: str, nice: list[str]) -> list[str]:
    """Return the command of one of Ray's processes with what only watches behind ``nice``."""
    if process_type == "log_monitor":
        return [*nice, *command]
    if process_type != "raylet":
        return command
    agents = ("--dashboard_agent_command=", "--runtime_env_agent_command=")
    return [
        f"{name}={' '.join(nice)} {rest}" if word.startswith(agents) else word
        for word in command
        for name, _, rest in [word.partition("=")]
    ]
