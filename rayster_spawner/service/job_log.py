"""The log of a Ray job, followed over a WebSocket, as `ray job logs --follow` and `tail_job_logs` ask for it."""

import asyncio
from typing import Any

import aiohttp
from tornado.websocket import WebSocketClosedError, WebSocketHandler
from yarl import URL

from ..ray.tokens import cluster_token
from .base import ApiError
from .cluster_handler import ClusterHandler
from .dashboard_headers import to_head
from .ray_rest import head_address

_CONNECT_SECONDS = 10
# A job may say nothing for hours; what is between the two would take a silent connection for a dead one.
_PING_SECONDS = 30


class JobLog(WebSocketHandler, ClusterHandler):
    """One job's log: `…/dashboard/api/jobs/{id}/logs/tail`, with a JupyterHub token; the head's words, unchanged."""

    _from_head: Any = None  # aiohttp's ClientWebSocketResponse, which is generic in some of its versions only
    _relaying: asyncio.Task | None = None

    @property
    def ping_interval(self) -> float:
        """Seconds between two pings."""
        return _PING_SECONDS

    async def get(self, cluster_id: str, job_id: str) -> None:
        """Reach the head first, so that what it refuses is refused here with the same status. Raises ApiError."""
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise ApiError(
                400, "bad-request", "A log is followed over a WebSocket; without one, ask for …/logs."
            )
        cluster = self.entered(await self.asker(), cluster_id)
        head = head_address(cluster, self.parts.clusters.pods_of(cluster_id))
        if head is None:
            raise ApiError(409, "not-ready", "Its head is not up yet.")
        dashboards = self.parts.dashboards
        # As it was sent: the argument is decoded.
        quoted = self.request.path.partition("/dashboard/api/jobs/")[2]
        headers = to_head([], cluster_token(dashboards.key, cluster_id))
        try:
            connecting = dashboards.session.ws_connect(
                URL(f"http://{head[1]}/api/jobs/{quoted}", encoded=True),
                headers=headers,
                heartbeat=_PING_SECONDS,
            )
            self._from_head = await asyncio.wait_for(connecting, _CONNECT_SECONDS)
        except aiohttp.WSServerHandshakeError as error:
            if 400 <= error.status < 500 and error.status not in (401, 403):
                raise ApiError(
                    error.status, "no-log", f"There is no log of the job {job_id[:80]!r}."
                ) from None
            raise ApiError(502, "head-silent", f"The cluster's head answers {error.status}.") from None
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            said = str(error) or type(error).__name__
            raise ApiError(502, "head-silent", f"The cluster's head does not answer: {said}") from None
        await super().get(cluster_id, job_id)
        if self._relaying is None:
            await self._from_head.close()  # the handshake was refused: another origin, no key

    def open(self, *_: str) -> None:
        """Begin to pass on."""
        self._relaying = asyncio.create_task(self._relay())

    def on_message(self, message: str | bytes) -> None:
        """Nothing is taken from who follows a log."""

    def on_close(self) -> None:
        """Let the head know that nobody follows any more."""
        if self._relaying is not None:
            self._relaying.cancel()

    async def _relay(self) -> None:
        try:
            async for message in self._from_head:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self.write_message(message.data)
            code = self._from_head.close_code
            # 1006 says that there was no close, and may not be sent.
            self.close(1011 if code in (None, 1006) else code)
        except WebSocketClosedError:
            return
        finally:
            await self._from_head.close()


ROUTES: list[tuple[str, type[ClusterHandler]]] = [
    (r"api/clusters/([^/]+)/dashboard/api/jobs/([^/]+)/logs/tail", JobLog),
]
