"""Runs `ray start` in a process that has imported Ray before it is told what to start.

The import takes seconds, in which a worker waits for its head anyway. One line of JSON on standard input is the order:
``{"arguments": [...], "environment": {...}, "head_address": "ip:port" | null}``. No line: it ends.
"""

import ctypes
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from .failures import ExitCode

# How long a head's own node may take to come up, counted from its open GCS port.
_HEAD_NODE_SECONDS = 60.0
_OWN_NODE_SECONDS = 20.0
_POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Import Ray, read the order, become `ray start`; return the exit status."""
    die_with_parent(signal.SIGTERM)
    try:
        import ray.scripts.scripts as scripts
    except ModuleNotFoundError as error:
        print(f"Ray is not installed in this environment ({error}).", file=sys.stderr)
        return ExitCode.NO_RAY
    line = sys.stdin.readline()
    if not line.strip():
        return 0
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    order = json.loads(line)
    os.environ.update(order["environment"])
    see_own_node_at_once()
    if order["head_address"] is None:
        start_node_before_dashboard(scripts)
    elif (code := wait_for_head_node(order["head_address"])) is not None:
        return code
    sys.argv = ["ray", *order["arguments"]]
    try:
        scripts.main()
    except RuntimeError as error:
        if not str(error).startswith("Version mismatch"):
            raise
        print(str(error), file=sys.stderr)
        return ExitCode.VERSIONS_DIFFER
    return 0


def die_with_parent(signum: int) -> None:
    """Let the kernel send ``signum`` to this process when the process that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)


def start_node_before_dashboard(scripts: Any) -> None:
    """Let a head's own node start at once instead of after the dashboard.

    All others can join only when the head's own node is there (`Node.__init__` asks for its temp dir), and Ray starts
    it last. Nobody uses Ray Client here, whose server takes as long to start as the dashboard. Where Ray has changed
    so much that this cannot be done, it starts in its own order.
    """
    from ray._private.node import Node

    if hasattr(scripts, "get_ray_client_dependency_error"):
        scripts.get_ray_client_dependency_error = lambda: ImportError("not used")
    start_dashboard = getattr(Node, "start_api_server", None)
    start_processes = getattr(Node, "start_ray_processes", None)
    if start_dashboard is None or start_processes is None:
        return
    postponed: list[dict[str, Any]] = []

    def postpone(node: Any, **options: Any) -> None:
        postponed.append(options)
        host, port = node._ray_params.dashboard_host, node._ray_params.dashboard_port
        node._webui_url = f"{node._node_ip_address if host == '0.0.0.0' else host}:{port}"  # noqa: S104

    def start(node: Any) -> None:
        start_processes(node)
        for options in postponed:
            start_dashboard(node, **options)
        postponed.clear()

    setattr(Node, "start_api_server", postpone)  # noqa: B010 - they are Ray's, and typed
    setattr(Node, "start_ray_processes", start)  # noqa: B010


def see_own_node_at_once() -> None:
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


def wait_for_head_node(head_address: str, seconds: float = _HEAD_NODE_SECONDS) -> int | None:
    """Wait until the head's own node has joined; Ray asks every 2 s, this 20 times a second.

    Returns an exit status when there is no sense in going on. What else goes wrong is left for `ray start` to tell.
    """
    import ray.exceptions
    from ray import _raylet
    from ray.core.generated import gcs_service_pb2

    # What `environment` said: Ray read it when it was imported.
    raylet, requests = cast(Any, _raylet), cast(Any, gcs_service_pb2)
    raylet.Config.initialize("")
    deadline = time.monotonic() + seconds
    selector = requests.GetAllNodeInfoRequest.NodeSelector()
    selector.is_head_node = True
    while time.monotonic() < deadline:
        try:
            if raylet.GcsClient(address=head_address).get_all_node_info(timeout=2, node_selectors=[selector]):
                return None
        except ray.exceptions.AuthenticationError:
            print(f"The head at {head_address} does not take this cluster's token.", file=sys.stderr)
            return ExitCode.TOKEN_REFUSED
        except Exception as error:
            print(f"The head at {head_address} does not answer: {error}", file=sys.stderr)
            time.sleep(0.5)
        time.sleep(_POLL_SECONDS)
    return None
