"""Makes this process the driver of a cluster, and ends that: all that touches Ray inside the kernel."""

import logging
import os
from typing import Any

from . import errors
from .interrupt import uninterrupted

_TOKEN_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
# Ray ends a driver, from C++, that has not reached its head for 60 s; a day is enough to attach it anew.
_PATIENCE = ("RAY_gcs_rpc_server_reconnect_timeout_s", "86400")
_DASHBOARD = "RAY_OVERRIDE_DASHBOARD_URL"


def prepare_environment() -> None:
    """Set what Ray reads when it is first used in a process. Does not import it."""
    os.environ[_PATIENCE[0]] = _PATIENCE[1]


def import_ray() -> Any:
    """Return the module `ray`. Raises NoRay with a sentence."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise errors.NoRay(no_ray_sentence(error.name)) from None
    return ray


def no_ray_sentence(module: str | None = None) -> str:
    """Return what to tell a user whose kernel has no Ray."""
    missing = "" if module in (None, "ray") else f" ({module} is missing)"
    return (
        f"There is no Ray in this kernel's environment{missing}: choose a kernel or an image with Ray, or install "
        'the cluster\'s version with `%pip install "ray[default]==…"` and restart the kernel.'
    )


def is_connected() -> bool:
    """Tell whether this process has a connection to some Ray; does not import it."""
    import sys

    ray = sys.modules.get("ray")
    return ray is not None and hasattr(ray, "is_initialized") and bool(ray.is_initialized())


def connect(
    address: str, token: str, node_address: str, temp_dir: str, dashboard_url: str | None = None
) -> None:
    """Connect this process to the cluster at ``address`` by its own node. Raises NodeFailed.

    Several nodes may have one address on one machine, and several clusters too: only the temp dir, which is private to
    the node, tells it from the others.
    """
    ray = import_ray()
    _use_token(token)
    if dashboard_url:
        os.environ[_DASHBOARD] = dashboard_url
    try:
        context = ray.init(
            address=address,
            # What it would say of the connection helps nobody here, and its link to the dashboard has no host.
            logging_level=logging.WARNING,
            _node_ip_address=node_address,
            _temp_dir=temp_dir,
        )
    except BaseException as error:
        # Half a connection would keep the kernel from the next one.
        disconnect()
        if not isinstance(error, ConnectionError):
            raise
        raise errors.NodeFailed(f"Ray does not connect to the cluster at {address}: {error}") from error
    finally:
        os.environ.pop(_DASHBOARD, None)
    socket = str(context.address_info.get("raylet_socket_name", ""))
    if not socket.startswith(temp_dir):
        disconnect()
        raise errors.NodeFailed(
            f"Ray has connected to another node of this machine ({socket}) than the notebook's own ({temp_dir})."
        )


def disconnect() -> None:
    """End the connection, whole even when it is interrupted; takes 5 s when the head is gone."""
    ray = import_ray()

    def shut_down() -> None:
        try:
            ray.shutdown()
        finally:
            # What is left there of a head that is gone, the next connection would ask.
            ray._private.state.state.disconnect()

    uninterrupted(shut_down)
    for name in _TOKEN_VARIABLES:
        os.environ.pop(name, None)


def _use_token(token: str) -> None:
    """Let Ray use ``token`` from now on; it remembers the first one of a process, and whether there was any."""
    from ray import _raylet

    os.environ |= dict(zip(_TOKEN_VARIABLES, ("token", token), strict=True))
    raylet: Any = _raylet
    raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()
