"""The example notebooks: which there are, and copying one into the user's files without touching what is theirs."""

import asyncio
import json
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import ensure_async
from tornado import web

DIRECTORY = Path(__file__).parent / "notebooks"
FOLDER = "RaySTER examples"
"""Where copies go, below the top of the user's files."""


def examples(directory: Path = DIRECTORY) -> list[dict[str, Any]]:
    """Return ``name``, ``title`` and ``description`` of each notebook, as its metadata has them, by name."""
    found = []
    for path in sorted(directory.glob("*.ipynb")):
        said = json.loads(path.read_text(encoding="utf-8"))["metadata"]["rayster"]
        found.append({"name": path.stem, "title": said["title"], "description": said["description"]})
    return found


class ExamplesHandler(APIHandler):
    """``GET rayster/examples``: the list; ``POST``: copies ``{"name"}`` unless it is there, tells ``{"path"}``."""

    _track_activity = False

    @web.authenticated
    async def get(self) -> None:
        """Answer ``{"examples": [...]}``."""
        self.set_header("Cache-Control", "no-store")
        self.finish({"examples": await asyncio.to_thread(examples)})

    @web.authenticated
    async def post(self) -> None:
        """Answer ``{"path"}``; 400 for a body that is none, 404 for a name that no example has."""
        asked = self.get_json_body()
        name = asked.get("name") if isinstance(asked, dict) else None
        if not isinstance(name, str):
            raise web.HTTPError(400, "A JSON object with the name of an example is needed.")
        known = [one["name"] for one in await asyncio.to_thread(examples)]
        if name not in known:
            raise web.HTTPError(404, f"There is no example {name[:80]!r}; there are {', '.join(known)}.")
        self.finish({"path": await self._copied(name)})

    async def _copied(self, name: str) -> str:
        contents, path = self.contents_manager, f"{FOLDER}/{name}.ipynb"
        if not await ensure_async(contents.file_exists(path)):
            if not await ensure_async(contents.dir_exists(FOLDER)):
                await ensure_async(contents.save({"type": "directory"}, FOLDER))
            notebook = json.loads((DIRECTORY / f"{name}.ipynb").read_text(encoding="utf-8"))
            await ensure_async(
                contents.save({"type": "notebook", "format": "json", "content": notebook}, path)
            )
        return path
