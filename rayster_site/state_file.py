"""What the agent keeps over a restart: one small JSON file, replaced as a whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_VERSION = 1
_MAX_BYTES = 32 << 20


class StateFile:
    """The file `DIRECTORY/SITE.json`.

    Args:
        directory: where it is, made when missing; None: nothing is kept.
        site: the site's name.
    """

    def __init__(self, directory: Path | None, site: str):
        self._path = directory / f"{site}.json" if directory else None

    def load(self) -> dict[str, Any]:
        """Return what was saved; empty when nothing was, or nothing that can be read: the agent then starts anew."""
        if self._path is None or not self._path.exists():
            return {}
        try:
            if self._path.stat().st_size > _MAX_BYTES:
                raise ValueError(f"larger than {_MAX_BYTES} bytes")
            saved = json.loads(self._path.read_bytes())
            if not isinstance(saved, dict) or saved.get("version") != _VERSION:
                raise ValueError("not a state file of this version")
        except (OSError, ValueError, RecursionError) as error:
            log.warning("saved state is not used", file=str(self._path), error=str(error))
            return {}
        return saved

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file. A failure is logged: the agent goes on without."""
        if self._path is None:
            return
        draft = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump({"version": _VERSION, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            log.warning("state is not saved", file=str(self._path), error=str(error))
