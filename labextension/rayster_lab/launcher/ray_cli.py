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
from pathlib import Path
from typing import Any, cast

from . import ray_startup
from .failures import ExitCode

# How long a head's own node may take to come up, counted from its open GCS port.
_HEAD_NODE_SECONDS = 60.0
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
    ray_startup.tune(scripts)
    if order["head_address"] is not None and (code := wait_for_head_node(order["head_address"])) is not None:
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
