"""A service that speaks the contract of RaySTER's REST interface and does what a test says."""

import asyncio
import json
import threading
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from aiohttp import web

TOKEN = "token-of-ada"
PREFIX = "/services/rayster/api"


def row(pod: str, state: str, **other: Any) -> dict[str, Any]:
    """A node as the service tells it."""
    told = {
        "pod": pod, "uid": f"uid-{pod}", "state": state, "reason": "", "raw_reason": "", "job_id": None, "position": None,
        "expected_start_in_seconds": None, "address": None, "time_left_seconds": None, "cpus": 2.0, "gpus": 0.0,
        "since_seconds": 90, "note": "",
    }  # fmt: skip
    return {**told, **other}


def cluster(cluster_id: str, **other: Any) -> dict[str, Any]:
    """A cluster as the service tells it: two workers that have joined."""
    told = {
        "id": cluster_id, "name": cluster_id, "title": None, "profile": "padova-slurm", "site": "padova", "network": "site",
        "user": "ada", "server": "", "state": "running", "message": "2 of 2 workers joined.", "requested_at": 1_795_000_000.0,
        "elapsed_seconds": 130,
        "wanted": {"workers": 2, "cpus": 2.0, "memory_mib": 4096, "gpus": None, "walltime_minutes": 120, "image": "lab"},
        "joined": 2,
        "head": row(f"{cluster_id}-head-x1", "joined", job_id="4216", cpus=0.0, time_left_seconds=7000),
        "workers": [
            row(f"{cluster_id}-w-worker-a1", "joined", job_id="4217", address="10.128.3.7", time_left_seconds=6900),
            row(f"{cluster_id}-w-worker-b2", "joined", job_id="4218", address="10.128.3.9", time_left_seconds=6900),
        ],
        "ended": [],
        "resources": {"cpus_total": 4.0, "cpus_used": 3.0, "gpus_total": 0.0, "gpus_used": 0.0},
        "idle": None, "time_left_seconds": 6900, "problems": [], "session": "session_1", "ray_version": "2.60.0",
        "python_version": "3.11.7", "bounds": {"workers": {"min": 0, "max": 8}},
        "dashboard_url": f"{PREFIX}/clusters/{cluster_id}/dashboard/", "heard_seconds_ago": 2,
    }  # fmt: skip
    return {**told, **other}


def profile(name: str = "padova-slurm", **other: Any) -> dict[str, Any]:
    """A profile with workers as the service tells it."""
    told = {
        "name": name, "title": "Padova SLURM", "description": "The SLURM cluster of INFN Padova.", "site": "padova",
        "network": "site",
        "status": {"state": "busy", "text": "Busy, typical wait about 25 min", "detail": "12 of 96 cores free, 7 jobs wait"},
        "bounds": {
            "workers": {"min": 0, "max": 8, "default": 2},
            "cpus": {"min": 1, "max": 16, "default": 2, "whole": True},
            "memory_mib": {"min": 1024, "max": 61440, "default": 4096},
            "gpus": None,
            "walltime_minutes": {"min": 10, "max": 2880, "default": 120},
        },
        "images": [{"name": "lab", "title": "JupyterLab with Ray", "default": True}],
        "ray_version": "2.60.0",
        "limits": {"clusters_per_user": 2, "clusters_total": None, "workers_per_user": None, "clusters_now": 0},
    }  # fmt: skip
    return {**told, **other}


def error(status: int, code: str, message: str, fields: Any = None, **headers: str) -> web.Response:
    """An error as the service tells it."""
    said = {"code": code, "message": message, **({"fields": fields} if fields else {})}
    return web.json_response({"error": said}, status=status, headers=headers)


class Stub:
    """The service. Everything is given in plain JSON; `push` sends it to whoever listens."""

    def __init__(self) -> None:
        self.clusters: list[dict[str, Any]] = []
        self.profiles = [profile()]
        self.requests: list[tuple[str, str, Any]] = []
        self.queries: list[str] = []
        self.answers: dict[tuple[str, str], list[Callable[[], web.StreamResponse]]] = {}
        self.log_lines = ["Ray runtime started."]
        self.made: Callable[[dict[str, Any]], dict[str, Any]] = lambda asked: cluster("ray-0000000001")
        self.is_streaming = True
        self.streams_opened = 0
        self._streams: set[asyncio.Event] = set()
        self._drops = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    # For tests.

    def start(self) -> "Stub":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def environment(self) -> dict[str, str]:
        """What the hub would put into a server's environment."""
        return {"RAYSTER_SERVICE_URL": f"http://127.0.0.1:{self.port}/services/rayster", "JUPYTERHUB_API_TOKEN": TOKEN,
                "JUPYTERHUB_SERVER_NAME": ""}  # fmt: skip

    def tell(self, *clusters: dict[str, Any]) -> None:
        """Let these be the clusters, and say so."""
        self.clusters = deepcopy(list(clusters))
        self._loop.call_soon_threadsafe(self._ring)

    def drop_streams(self) -> None:
        """End all streams as a restart of the service does."""

        def drop() -> None:
            self._drops += 1
            self._ring()

        self._loop.call_soon_threadsafe(drop)

    def answer_once(self, method: str, path: str, *answers: Callable[[], web.StreamResponse]) -> None:
        """Give these answers first to such a request."""
        self.answers[method, path] = list(answers)

    def asked(self, method: str, path: str) -> list[Any]:
        """Return the bodies of such requests."""
        return [body for one, where, body in self.requests if (one, where) == (method, path)]

    # The service.

    def _ring(self) -> None:
        for bell in self._streams:
            bell.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_forever()

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._look])
        app.add_routes(
            [
                web.get(f"{PREFIX}/profiles", self._profiles),
                web.get(f"{PREFIX}/clusters", self._list),
                web.post(f"{PREFIX}/clusters", self._make),
                web.get(f"{PREFIX}/clusters/events", self._events),
                web.get(f"{PREFIX}/clusters/{{id}}", self._show),
                web.patch(f"{PREFIX}/clusters/{{id}}", self._show),
                web.delete(f"{PREFIX}/clusters/{{id}}", self._delete),
                web.post(f"{PREFIX}/clusters/{{id}}/restart", self._show),
                web.get(f"{PREFIX}/clusters/{{id}}/logs", self._logs),
                web.get(f"{PREFIX}/clusters/{{id}}/attach", self._attach),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self._ready.set()

    @web.middleware
    async def _look(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        path = request.path.removeprefix(f"{PREFIX}/")
        self.requests.append((request.method, path, body))
        if request.headers.get("Authorization") != f"token {TOKEN}":
            return error(401, "unauthorized", "the hub does not know this token")
        if queue := self.answers.get((request.method, path)):
            return queue.pop(0)()
        return await handler(request)

    async def _profiles(self, request: web.Request) -> web.Response:
        return web.json_response({"profiles": self.profiles})

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"clusters": self.clusters})

    async def _make(self, request: web.Request) -> web.Response:
        made = self.made(await request.json())
        self.clusters.append(made)
        self._ring()
        return web.json_response(made, status=201)

    async def _show(self, request: web.Request) -> web.Response:
        found = self._find(request)
        return self._none(request) if found is None else web.json_response(found)

    async def _delete(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return self._none(request)
        self.clusters.remove(found)
        self._ring()
        return web.json_response({"id": found["id"], "state": "stopping"}, status=202)

    async def _attach(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return self._none(request)
        told = {"cluster": found["id"], "network": "direct", "address": "127.0.0.1:1", "rendezvous": None, "token": "secret",
                "dashboard_url": found["dashboard_url"], "ray_version": None, "python_version": None}  # fmt: skip
        return web.json_response(told)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.streams_opened += 1
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        bell, drops = asyncio.Event(), self._drops
        self._streams.add(bell)
        try:
            while self._drops == drops:
                if self.is_streaming:
                    event = json.dumps({"clusters": self.clusters})
                    await answer.write(f"event: clusters\ndata: {event}\n\n".encode())
                bell.clear()
                try:
                    await asyncio.wait_for(bell.wait(), 1.0)
                except asyncio.TimeoutError:
                    await answer.write(b": nothing new\n\n")
        except ConnectionResetError:
            pass
        finally:
            self._streams.discard(bell)
        return answer

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(request.query_string)
        if self._find(request) is None:
            return self._none(request)
        answer = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await answer.prepare(request)
        told = 0
        for _ in range(600):
            while told < len(self.log_lines):
                await answer.write(f"{self.log_lines[told]}\n".encode())
                told += 1
            if request.query.get("follow") != "true":
                break
            await asyncio.sleep(0.1)
        return answer

    def _find(self, request: web.Request) -> dict[str, Any] | None:
        return next((one for one in self.clusters if one["id"] == request.match_info["id"]), None)

    def _none(self, request: web.Request) -> web.Response:
        return error(404, "not-found", f"There is no cluster '{request.match_info['id']}' of yours.")
