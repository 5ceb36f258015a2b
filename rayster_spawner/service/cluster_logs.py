"""What the head or a worker prints, from the API server, which asks the virtual node, which asks the site."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from kubernetes_asyncio import client

from ..life.site_message import site_words
from ..ray.names import HEAD_CONTAINER, WORKER_CONTAINER
from ..ray.rows import is_head
from ..text import shown
from .base import ApiError
from .cluster_handler import ClusterHandler

_DEFAULT_TAIL, _MAX_TAIL = 1000, 10_000
_MAX_BYTES = 8 * 2**20
_ANSWER_SECONDS = 30
# A log that is followed may be silent for long; the API server ends it with its pod.
_FOLLOW_SECONDS = 24 * 3600
# Of a reader that does not read.
_WRITE_SECONDS = 30.0


class PodLogs:
    """Asks for logs through ``api``, an ApiClient of kubernetes_asyncio."""

    def __init__(self, api: Any, namespace: str):
        self._core: Any = client.CoreV1Api(api)
        self._namespace = namespace

    @contextlib.asynccontextmanager
    async def open(
        self, pod: str, container: str, tail_lines: int, follow: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the parts of a log. Raises ApiError when there is none to be had."""
        query: dict[str, Any] = {"container": container, "tail_lines": tail_lines}
        # As kubectl writes it; the client would write `True`.
        query |= {"follow": "true"} if follow else {"limit_bytes": _MAX_BYTES}
        seconds = _FOLLOW_SECONDS if follow else _ANSWER_SECONDS
        try:
            # Only the beginning of the answer has to come soon.
            asked = self._core.read_namespaced_pod_log(
                pod, self._namespace, _preload_content=False, _request_timeout=seconds, **query
            )
            answer = await asyncio.wait_for(asked, _ANSWER_SECONDS)
        except asyncio.TimeoutError:
            raise ApiError(503, "no-log", f"No log came within {_ANSWER_SECONDS} s.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ApiError(503, "no-log", f"The log cannot be had: {error or type(error).__name__}") from None
        async with answer:
            if answer.status != 200:
                raise _refused(answer.status, await answer.text())
            yield answer.content.iter_any()


class ClusterLogs(ClusterHandler):
    """The log of one pod of a cluster, the head's when none is named."""

    async def get(self, cluster_id: str) -> None:
        """Answer with text; with `follow`, as it is written."""
        asker = await self.asker()
        self.cluster_of(asker, cluster_id)
        pod, container = self._pod(cluster_id)
        follow, tail = self._follow(), self._tail()
        with contextlib.ExitStack() as stack:
            if follow:
                stack.enter_context(self.parts.streams.counted(asker.name or "(services)"))
                stack.enter_context(self.parts.clusters.watching(cluster_id))
            async with self.parts.logs.open(pod, container, tail, follow) as chunks:
                self.set_header("Content-Type", "text/plain; charset=utf-8")
                self.set_header("X-Accel-Buffering", "no")
                await self._pass_on(chunks)

    async def _pass_on(self, chunks: AsyncIterator[bytes]) -> None:
        """Write what comes until the log, the reader or the service ends."""
        bell = self._bell = asyncio.Event()
        with self.parts.streams.closing.ringing(bell):
            ended = asyncio.create_task(bell.wait())
            try:
                while not (self._is_gone or self.parts.streams.is_closing):
                    part = asyncio.ensure_future(anext_or_none(chunks))
                    await asyncio.wait({part, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if not part.done():
                        part.cancel()
                        await asyncio.gather(part, return_exceptions=True)
                        return
                    if (chunk := part.result()) is None:
                        return
                    self.write(chunk)
                    await asyncio.wait_for(self.flush(), _WRITE_SECONDS)
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
                return  # what has come is there; a log has no end to be missed
            finally:
                ended.cancel()

    def _pod(self, cluster_id: str) -> tuple[str, str]:
        pods = self.parts.clusters.pods_of(cluster_id)
        asked = self.get_query_argument("pod", None)
        found = [pod for pod in pods if (is_head(pod) if asked is None else pod["metadata"]["name"] == asked)]
        if not found:
            which = "head" if asked is None else f"pod {shown(asked)}"
            raise ApiError(404, "not-found", f"The cluster has no {which}; logs end with their pod.")
        pod = found[-1]
        return pod["metadata"]["name"], HEAD_CONTAINER if is_head(pod) else WORKER_CONTAINER

    def _follow(self) -> bool:
        text = self.get_query_argument("follow", "false").lower()
        if text not in ("", "0", "1", "false", "true"):
            raise ApiError(400, "bad-request", "follow must be true or false")
        return text in ("", "1", "true")

    def _tail(self) -> int:
        text = self.get_query_argument("tail", str(_DEFAULT_TAIL))
        if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= _MAX_TAIL):
            raise ApiError(400, "bad-request", f"tail must be a number of lines, 1 to {_MAX_TAIL}")
        return int(text)


async def anext_or_none(chunks: AsyncIterator[bytes]) -> bytes | None:
    """Return the next part, None at the end."""
    async for chunk in chunks:
        return chunk
    return None


def _refused(status: int, body: str) -> ApiError:
    try:
        said = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        said = body
    words = site_words(said[:1000])
    if status == 404:
        return ApiError(404, "not-found", "The pod is gone, and its log with it.")
    if status == 204:
        return ApiError(409, "no-log", "There is no log yet: the pod has no node.")
    if status in (400, 500, 502, 503, 504):
        # Also what the virtual node says of a job that has not begun: there is no log yet.
        return ApiError(409, "no-log", f"There is no log at the moment: {words}")
    return ApiError(503, "no-log", f"Kubernetes does not give the log: HTTP {status}")


ROUTES: list[tuple[str, type[ClusterHandler]]] = [(r"api/clusters/([^/]+)/logs", ClusterLogs)]
