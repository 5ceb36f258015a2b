"""The kubelet's HTTP server: container logs, and 501 for what the testbed does not do (exec, attach, port-forward)."""

from __future__ import annotations

from aiohttp import web

from rayster_testbed.kubelet.logs import LogOptions, read_log
from rayster_testbed.kubelet.pods import PodManager


class KubeletServer:
    """Serves on one address; `port` is known once it is started."""

    def __init__(self, pods: PodManager) -> None:
        self._pods = pods
        app = web.Application()
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        for verb in ("exec", "attach", "portForward", "run"):
            app.router.add_route("*", f"/{verb}/{{rest:.*}}", self._not_implemented)
        self._runner = web.AppRunner(app, access_log=None)
        self.port = 0

    async def start(self, address: str, port: int = 0) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _not_implemented(self, _: web.Request) -> web.Response:
        return web.Response(status=501, text="501 not implemented")

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        where = request.match_info
        pod = self._pods.find(where["namespace"], where["pod"])
        if pod is None:
            raise web.HTTPNotFound(text=f'pod "{where["pod"]}" does not exist')
        try:
            options = LogOptions.parse(request.query)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        uid, container = pod["metadata"]["uid"], where["container"]
        names = [c["name"] for c in [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])]]
        if container not in names:
            raise web.HTTPNotFound(text=f'container "{container}" not found in pod "{where["pod"]}"')
        attempts = self._pods.runtime.attempts(uid, container)
        chosen = attempts[:-1] if options.previous else attempts
        if not chosen:
            raise web.HTTPBadRequest(text=self._absent(pod, container, options.previous))
        attempt = chosen[-1]

        def running() -> bool:
            now = self._pods.runtime.attempts(uid, container)
            return any(a.number == attempt.number and a.running for a in now)

        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        if attempt.log_file.exists():
            async for piece in read_log(attempt.log_file, options, running):
                await response.write(piece)
        await response.write_eof()
        return response

    def _absent(self, pod: dict, container: str, previous: bool) -> str:
        name = pod["metadata"]["name"]
        if previous:
            return f'previous terminated container "{container}" in pod "{name}" not found'
        statuses = (pod.get("status") or {}).get("containerStatuses") or []
        state: dict = next((s["state"] for s in statuses if s["name"] == container), {})
        reason = (state.get("waiting") or {}).get("reason", "ContainerCreating")
        return f'container "{container}" in pod "{name}" is waiting to start: {reason}'
