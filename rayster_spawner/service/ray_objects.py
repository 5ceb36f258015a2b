"""RayClusters and their secrets in Kubernetes: both are made or none, and a change is of what was seen, or none."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from logging import Logger
from typing import Any, NamedTuple

import aiohttp
from kubernetes_asyncio import client
from kubernetes_asyncio.client.exceptions import ApiException

from ..ray import names

Object = dict[str, Any]

ANSWER_SECONDS = 10
_CHANGE_ATTEMPTS = 5
# For how long it is tried to take back what was half made while the API server is away.
_TAKE_BACK_WAITS_SECONDS = (0.5, 1, 2, 5, 10, 20, 30)


class Refused(Exception):
    """The API server said no; nothing has changed. ``status`` is its HTTP status, the text its words."""

    def __init__(self, status: int, message: str):
        self.status = status
        super().__init__(message)


class Away(Exception):
    """The API server did not answer, or could not; the text says how."""


class ServerPod(NamedTuple):
    """What is needed of a server's pod: its UID, the user's label, whether it is ending or over."""

    uid: str
    user_label: str
    is_over: bool


class RayObjects:
    """Asks the API server through ``api``, an ApiClient of kubernetes_asyncio, for the objects of ``namespace``."""

    def __init__(self, api: Any, namespace: str, log: Logger):
        self._core: Any = client.CoreV1Api(api)
        self._custom: Any = client.CustomObjectsApi(api)
        self._namespace, self._log = namespace, log
        self._tasks: set[asyncio.Task] = set()
        self._is_closed = False

    async def server_pod(self, name: str) -> ServerPod | None:
        """Return a server's pod as it is now, None when there is none. Raises Refused or Away."""
        try:
            async with _answers():
                answer = await self._core.read_namespaced_pod(
                    name, self._namespace, _preload_content=False, _request_timeout=ANSWER_SECONDS
                )
                async with answer:
                    pod = json.loads(await answer.read())
        except Refused as error:
            if error.status == 404:
                return None
            raise
        metadata, phase = pod["metadata"], (pod.get("status") or {}).get("phase")
        return ServerPod(
            metadata["uid"],
            (metadata.get("labels") or {}).get(names.USERNAME_LABEL, ""),
            "deletionTimestamp" in metadata or phase in ("Succeeded", "Failed"),
        )

    async def create(self, secret: Object, cluster: Object, on_taken_back: Callable[[], None]) -> Object:
        """Create both and return the cluster.

        Raises Refused or Away, and then there is neither, or it is being taken back: ``on_taken_back`` is called when
        that is done or given up. A service that is killed between the two leaves a secret that goes with its owner.
        """
        name = cluster["metadata"]["name"]
        made: list[Callable[[str], Awaitable[None]]] = []
        try:
            made.append(self._delete_secret)
            async with _answers():
                await self._core.create_namespaced_secret(
                    self._namespace, secret, _request_timeout=ANSWER_SECONDS
                )
            made.append(self._delete_cluster)
            async with _answers():
                return await self._custom.create_namespaced_custom_object(
                    names.API_GROUP,
                    names.API_VERSION,
                    self._namespace,
                    names.PLURAL,
                    cluster,
                    _request_timeout=ANSWER_SECONDS,
                )
        except BaseException as error:
            if isinstance(error, Refused):
                made.pop()
            if self._is_closed:
                raise
            # Also what may have been made: an answer can be lost on its way.
            task = asyncio.create_task(self._take_back(name, made, on_taken_back), name=f"take back {name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            raise

    async def _take_back(
        self, name: str, made: list[Callable[[str], Awaitable[None]]], done: Callable[[], None]
    ) -> None:
        try:
            for wait_seconds in (0, *_TAKE_BACK_WAITS_SECONDS):
                await asyncio.sleep(wait_seconds)
                with contextlib.suppress(Refused, Away):
                    for delete in reversed(made):
                        await delete(name)
                    return
            self._log.warning(
                "What was made of cluster %s could not be taken back; it goes with its server", name
            )
        finally:
            done()

    async def read(self, name: str) -> Object | None:
        """Return a RayCluster as it is now, None when there is none. Raises Refused or Away."""
        try:
            async with _answers():
                return await self._custom.get_namespaced_custom_object(
                    names.API_GROUP,
                    names.API_VERSION,
                    self._namespace,
                    names.PLURAL,
                    name,
                    _request_timeout=ANSWER_SECONDS,
                )
        except Refused as error:
            if error.status == 404:
                return None
            raise

    async def change(self, name: str, uid: str, patch_of: Callable[[Object], list[Object]]) -> Object | None:
        """Change a RayCluster and return it as it is then; None when it is gone, or another one of its name.

        ``patch_of`` returns the JSON patch for the cluster as it is, which tests that it still is that (an empty one
        changes nothing); it is asked again when somebody else was faster. Raises Refused or Away.
        """
        for _ in range(_CHANGE_ATTEMPTS):
            cluster = await self.read(name)
            if cluster is None or cluster["metadata"]["uid"] != uid:
                return None
            patch = patch_of(cluster)
            if not patch:
                return cluster
            try:
                return await self._patch(name, patch)
            except Refused as error:
                # 422: real API servers call a failed test unprocessable.
                if error.status == 404:
                    return None
                if error.status not in (409, 422):
                    raise
                refused = error
        raise Refused(409, f"it changes too often just now: {refused}")

    async def _patch(self, name: str, patch: list[Object]) -> Object:
        async with _answers():
            return await self._custom.patch_namespaced_custom_object(
                names.API_GROUP,
                names.API_VERSION,
                self._namespace,
                names.PLURAL,
                name,
                patch,
                _request_timeout=ANSWER_SECONDS,
            )

    async def delete(self, name: str, uid: str | None = None) -> None:
        """Delete a cluster and its secret; what is gone already is no error. Raises Refused or Away.

        With ``uid`` only if it still is that one.
        """
        await self._delete_cluster(name, uid)
        await self._delete_secret(name)

    async def _delete_cluster(self, name: str, uid: str | None = None) -> None:
        options = client.V1DeleteOptions(
            propagation_policy="Background", preconditions=client.V1Preconditions(uid=uid) if uid else None
        )
        await _gone(
            self._custom.delete_namespaced_custom_object(
                names.API_GROUP,
                names.API_VERSION,
                self._namespace,
                names.PLURAL,
                name,
                body=options,
                _request_timeout=ANSWER_SECONDS,
            )
        )

    async def _delete_secret(self, name: str) -> None:
        await _gone(
            self._core.delete_namespaced_secret(name, self._namespace, _request_timeout=ANSWER_SECONDS)
        )

    async def delete_pod(self, name: str, uid: str) -> None:
        """Delete a pod if it still is that one; it ends with its own grace. Raises Refused or Away."""
        options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
        await _gone(
            self._core.delete_namespaced_pod(
                name, self._namespace, body=options, _request_timeout=ANSWER_SECONDS
            )
        )

    async def close(self) -> None:
        """Give up what is still being taken back."""
        self._is_closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _gone(request: Any) -> None:
    try:
        async with _answers():
            await request
    except Refused as error:
        # 409: another one of that name is there by now, and is not ours to delete.
        if error.status not in (404, 409):
            raise


@contextlib.asynccontextmanager
async def _answers() -> Any:
    """Turn what the client raises into Refused or Away."""
    try:
        yield
    except ApiException as error:
        if error.status is None or error.status >= 500 or error.status == 429:
            raise Away(f"HTTP {error.status}: {_words(error)}") from None
        raise Refused(error.status, _words(error)) from None
    except asyncio.TimeoutError:
        raise Away(f"no answer within {ANSWER_SECONDS} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Away(str(error) or type(error).__name__) from None


def _words(error: ApiException) -> str:
    """Return what the API server said in its answer."""
    try:
        message = json.loads(error.body or "")["message"]
    except (TypeError, ValueError, KeyError):
        message = error.reason
    return str(message)[:500]
