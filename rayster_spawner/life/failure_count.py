"""Takes back what the hub counts against itself when a site is full or broken, or options are refused.

`JupyterHub.consecutive_failure_limit` ends a hub that can start nothing any more. A SLURM queue that is longer than
somebody's patience says nothing about the hub.
"""

import asyncio
from typing import Any

from jupyterhub import version_info
from tornado import web

from .spawn_errors import is_counted


class FailureCount:
    """Follows one spawn of the hub: ``future`` is the spawner's `_spawn_future`, which the hub counts first."""

    def __init__(self, spawner: Any, future: asyncio.Future):
        self.future = future
        self._spawner = spawner
        # Not `user.settings`, which is a copy: the count is in the application's own.
        self._settings = spawner.handler.settings
        self._limit_before: int | None = None
        future.add_done_callback(self._ended)

    def forgive(self) -> None:
        """Do not count this spawn if it fails."""
        if self._limit_before is None:
            self._limit_before = self._spawner.consecutive_failure_limit
            # The hub looks at the limit in the moment it counts, before anything can be taken back.
            self._spawner.consecutive_failure_limit = 0

    def _ended(self, future: asyncio.Future) -> None:
        forgiven = self._limit_before is not None
        if self._limit_before is not None:
            self._spawner.consecutive_failure_limit = self._limit_before
        if future.cancelled() or (error := future.exception()) is None:
            return
        refused = isinstance(error, web.HTTPError) and error.status_code < 500
        if (forgiven or refused) and is_counted(error, version_info[0]):
            self._settings["failure_count"] = max(0, self._settings.get("failure_count", 0) - 1)
