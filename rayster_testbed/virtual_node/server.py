"""The virtual node's HTTP server: container logs come from the plugin; exec, attach and port-forward are not there."""

from __future__ import annotations

from aiohttp import web

from rayster_testbed.kube import Obj
from rayster_testbed.virtual_node.plugin import Plugin, PluginError
from rayster_testbed.virtual_node.provider import Provider

_NO_TIME = "0001-01-01T00:00:00Z"


class LogServer:
    """Serves on one address; `port` is known once it is started."""

    def __init__(self, provider: Provider, plugin: Plugin) -> None:
        self._provider = provider
        self._plugin = plugin
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        for verb in ("exec", "attach", "portForward", "run"):
            app.router.add_route("*", f"/{verb}/{{rest:.*}}", self._not_implemented)
        self._runner = web.AppRunner(app, access_log=None)
        self.port = 0

    async def start(self, address: str, port: int = 0) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, address, port).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _not_implemented(self, _: web.Request) -> web.Response:
        return web.Response(status=501, text="501 not implemented")

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        where = request.match_info
        pod = self._provider.find(where["namespace"], where["pod"])
        if pod is None:
            raise web.HTTPNotFound(text=f'pod "{where["pod"]}" not found')
        try:
            body = log_request(pod, where["container"], request)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        pieces = self._plugin.logs(body)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        try:
            first = await anext(pieces, b"")
        except PluginError as error:
            raise web.HTTPInternalServerError(text=str(error)) from error
        await response.prepare(request)
        await response.write(first)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
        return response


def log_request(pod: Obj, container: str, request: web.Request) -> Obj:
    """The body of `/getLogs`. Raises: ValueError for a number that is none."""
    query = request.query
    return {
        "Namespace": pod["metadata"]["namespace"],
        "PodUID": pod["metadata"]["uid"],
        "PodName": pod["metadata"]["name"],
        "ContainerName": container,
        "Opts": {
            "Tail": int(query.get("tailLines") or 0),
            "Bytes": int(query.get("limitBytes") or 0),
            "Timestamps": query.get("timestamps") in ("true", "1"),
            "Follow": query.get("follow") in ("true", "1"),
            "Previous": query.get("previous") in ("true", "1"),
            "SinceSeconds": int(query.get("sinceSeconds") or 0),
            "SinceTime": query.get("sinceTime") or _NO_TIME,
        },
    }
