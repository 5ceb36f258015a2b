"""What the agent keeps over a restart: one small JSON file, replaced as a whole."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_VERSION = 1
_MAX_BYTES = 32 << 20


class StateFile:
    """The file `DIRECTORY/SITE.json`, in sections.

    Args:
        directory: where it is, made when missing; None: nothing is kept.
        site: the site's name.
    """

    def __init__(self, directory: Path | None, site: str):
        self._path = directory / f"{site}.json" if directory else None
        self._sections = self._load()
        self._is_changed = False

    def get(self, section: str) -> Any:
        """Return what a section holds, as JSON gives it; None when there is none."""
        return self._sections.get(section)

    def put(self, section: str, value: Any) -> None:
        """Set a section; `save` writes it."""
        self._sections[section] = value
        self._is_changed = True

    async def save(self) -> None:
        """Write what has changed. A failure is logged: the agent goes on without."""
        if self._path is None or not self._is_changed:
            return
        self._is_changed = False
        text = json.dumps({"version": _VERSION, **self._sections})
        try:
            # Disks of login nodes can take their time.
            await asyncio.to_thread(_replace, self._path, text)
        except OSError as error:
            self._is_changed = True
            log.warning("state is not saved", file=str(self._path), error=str(error))

    def _load(self) -> dict[str, Any]:
        """Return the sections; none when there is no file, or none that can be read: the agent then starts anew."""
        if self._path is None or not self._path.exists():
            return {}
        try:
            if self._path.stat().st_size > _MAX_BYTES:
                raise ValueError(f"larger than {_MAX_BYTES} bytes")
            saved = json.loads(self._path.read_bytes())
            if not isinstance(saved, dict) or saved.pop("version", None) != _VERSION:
                raise ValueError("not a state file of this version")
        except (OSError, ValueError, RecursionError) as error:
            log.warning("saved state is not used", file=str(self._path), error=str(error))
            return {}
        return saved


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
