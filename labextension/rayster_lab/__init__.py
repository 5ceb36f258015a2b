"""The part of the JupyterLab extension that runs in the server: tells how much of the walltime is left."""

from typing import TYPE_CHECKING

from .routes import add_routes

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "rayster-lab"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "rayster_lab"}]


def _load_jupyter_server_extension(server_app: "ServerApp") -> None:
    add_routes(server_app.web_app)
