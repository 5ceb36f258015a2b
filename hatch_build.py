"""Puts the built JupyterLab extension, and what switches it on in the server, into the wheel."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LabExtensionHook(BuildHookInterface):
    """Adds files outside of the Python packages; only a wheel has them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files. Raises RuntimeError when they are not built: without them the wheel would lack a part.

        An editable installation gets them from scripts/bootstrap.py, which builds them again when a source changes.
        Without labextension/ (the hub's image, which runs no JupyterLab) there is nothing to add.
        """
        source = Path(self.root, "labextension")
        if version == "editable" or not source.is_dir():
            return
        built = source / "rayster_lab" / "labextension"
        if not (built / "package.json").is_file():
            raise RuntimeError(
                f"The JupyterLab extension is not built: {built} is missing or empty. "
                f"Run `npm ci && npm run build` in {source} (Node.js 20.19 or newer), then try again."
            )
        lab, server = "share/jupyter/labextensions/rayster-lab", "etc/jupyter/jupyter_server_config.d"
        build_data["shared_data"].update(
            {
                str(built): lab,
                str(source / "install.json"): f"{lab}/install.json",
                str(source / "jupyter-config/server-config"): server,
            }
        )
