"""Pod logs: fetched from the kubelet of the pod's node and passed on as they come."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from yarl import URL

from .errors import ApiError, bad_request, internal, not_found
from .objects import Objects
from .requests import Call

Json = dict[str, Any]
_PASSED_ON = (
    "follow",
    "limitBytes",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "tailLines",
    "timestamps",
    "stream",
)
CONNECT_SECONDS = 10


def choose_container(pod: Json, asked: str) -> str:
    """The container whose log is meant. Raises: ApiError 400 when none has that name or several could be meant."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    main = [item["name"] for item in spec.get("containers") or []]
    init = [item["name"] for item in spec.get("initContainers") or []]
    others = [item["name"] for item in spec.get("ephemeralContainers") or []]
    if asked:
        if asked not in (*main, *init, *others):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(main) == 1:
        return main[0]
    message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
    if init:
        message += f" or one of the init containers: [{' '.join(init)}]"
    raise bad_request(message)


def log_url(objects: Objects, pod: Json, container: str, query: Mapping[str, str]) -> str | None:
    """Where the kubelet serves the log; None while the pod has no node. Raises: ApiError 404, 500."""
    meta, node_name = pod["metadata"], pod["spec"].get("nodeName")
    if not node_name:
        return None
    node = objects.lookup("nodes", "", node_name)
    if node is None:
        raise not_found("nodes", "", node_name)
    status = node.get("status") or {}
    by_type = {item.get("type"): item.get("address") for item in status.get("addresses") or []}
    address = by_type.get("InternalIP") or by_type.get("ExternalIP") or by_type.get("Hostname")
    if not address:
        raise internal(f"no preferred addresses found; known addresses: {list(by_type.values())}")
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or 10250
    passed = urlencode({key: query[key] for key in _PASSED_ON if query.get(key)})
    path = f"/containerLogs/{meta['namespace']}/{meta['name']}/{container}"
    return f"http://{address}:{port}{path}" + (f"?{passed}" if passed else "")


class LogProxy:
    """Answers `pods/NAME/log`."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def serve(self, call: Call) -> web.StreamResponse:
        """Pass a container's log on. Raises: ApiError in the words of the real server."""
        pod = self._objects.read(call.kind, call.namespace, call.path.name).obj
        container = choose_container(pod, call.query.get("container", ""))
        url = log_url(self._objects, pod, container, call.query)
        if url is None:
            return web.Response(status=204)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                upstream = await session.get(URL(url, encoded=True))
            except (aiohttp.ClientConnectionError, TimeoutError) as error:
                raise _unreachable(url, error) from None
            async with upstream:
                if upstream.status != 200:
                    raise _refused(call, upstream.status, await upstream.text())
                return await _pass_on(call, upstream)


async def _pass_on(call: Call, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(call.request)
    # When the kubelet goes away in the middle, the reader has what there was.
    with contextlib.suppress(aiohttp.ClientPayloadError):
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
    return response


def _unreachable(url: str, error: BaseException) -> ApiError:
    address = url.partition("://")[2].partition("/")[0]
    refused = isinstance(error, aiohttp.ClientConnectorError) and isinstance(
        error.os_error, ConnectionRefusedError
    )
    why = "connect: connection refused" if refused else "i/o timeout"
    message = f'Get "{url}": dial tcp {address}: {why}'
    return ApiError(500, "InternalError", message, {"causes": [{"message": message}]})


def _refused(call: Call, status: int, text: str) -> ApiError:
    """What the kubelet's refusal becomes, as `GenericHttpResponseChecker` does it."""
    if status == 400:
        return bad_request(text)
    if status == 500:
        return internal(text)
    details = {
        "name": call.path.name,
        "kind": "pods",
        "causes": [{"reason": "UnexpectedServerResponse", "message": text}],
    }
    if status == 404:
        return ApiError(
            404,
            "NotFound",
            f"the server could not find the requested resource ( pods/log {call.path.name})",
            details,
        )
    message = (
        f"the server responded with the status code {status} but did not return more information "
        f"( pods/log {call.path.name})"
    )
    return ApiError(status, "Unknown", message, details)
