"""RaySTER in a notebook's server: `RayCluster` and `panel()` in the kernel, the walltime in JupyterLab's status bar.

    from rayster_lab import RayCluster, panel

What the kernel uses is imported when it is asked for: the server extension and `rayster ray start` do without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from .async_cluster import AsyncRayCluster as AsyncRayCluster
    from .client.errors import ClusterError as ClusterError
    from .cluster import RayCluster as RayCluster
    from .widget.panel import panel as panel

_EXPORTS = {
    "AsyncRayCluster": "async_cluster",
    "ClusterError": "client.errors",
    "RayCluster": "cluster",
    "panel": "widget.panel",
}
__all__ = ["AsyncRayCluster", "ClusterError", "RayCluster", "panel"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_EXPORTS[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "rayster-lab"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "rayster_lab"}]


def _load_jupyter_server_extension(server_app: "ServerApp") -> None:
    from .routes import add_routes

    add_routes(server_app.web_app)
