"""What 500 Ray clusters of 8 workers cost the service, and how soon a change of one reaches the streams that show it.

`python bench/ray_service.py [--clusters 500] [--streams 100] [--quick] [--json]` starts the service as a process of its
own, and beside it, on loopback, all that it talks to: an API server that has these clusters and their pods as KubeRay
would make them, the hub, a site's agent that tells a job of each pod, and the dashboards of all heads. It ends the
service.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A script's own folder comes first in the path, and there queue.py stands in the way of Python's own `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from rich.console import Console
from rich.table import Table

from rayster_spawner.profile_files import load_profiles
from rayster_spawner.ray import names
from rayster_spawner.ray.manifest import ray_cluster
from rayster_spawner.ray.owner import Owner
from rayster_spawner.ray.ports import HeadPorts
from rayster_spawner.ray.request import ClusterRequest
from rayster_spawner.ray.tokens import cluster_token

TARGETS = {"rss_mib": 400.0, "latency_max_ms": 1000.0, "burst_last_ms": 1000.0}
WORKERS = 8
KEY = "the-key-of-the-service"
NAMESPACE = "rayster"
ACCESS = "access:services!service=rayster"


def profiles(port: int, folder: Path) -> dict[str, Any]:
    """A profile with Ray workers at a site with an agent."""
    (folder / "agent-token").write_text("of-the-agent")
    return {
        "sites": {"padova": {"agent": {"url": f"http://127.0.0.1:{port}", "token_file": str(folder / "agent-token")}}},
        "profiles": [
            {
                "name": "padova",
                "title": "Padova",
                "site": "padova",
                "scheduler": "slurm",
                "cpu": {"max": 8, "default": 2},
                "memory": {"max": "16Gi", "default": "2Gi"},
                "walltime": {"max": "8h", "default": "1h"},
                "images": [{"name": "lab", "title": "Lab", "image": "registry.example.org/rayster/notebook:0.1.0"}],
                "ray": {"version": "2.60.0", "workers": {"max": WORKERS, "default": WORKERS}},
            }
        ],
    }  # fmt: skip


class World:
    """All that the service talks to, in memory."""

    def __init__(self, clusters: int):
        self.count, self.port = clusters, 0
        self.clusters: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.jobs: list[dict[str, Any]] = []
        self.tokens: dict[str, str] = {}
        self.asked_heads = 0
        self._version = 1000
        self._changes: list[tuple[int, bytes]] = []
        self._watchers: dict[str, list[asyncio.Queue[bytes]]] = {"pods": [], "rayclusters": []}
        self._runner: web.AppRunner | None = None

    def fill(self, profile: Any) -> None:
        """Make the clusters."""
        now = time.time()
        for index in range(self.count):
            cluster_id = f"ray-{index:010d}"
            request = ClusterRequest.parse({"profile": "padova", "workers": WORKERS}, profile)
            owner = Owner(f"jupyter-{index}", f"owner-{index}", f"user-{index}", "", f"user-{index}")
            cluster = ray_cluster(
                cluster_id, request, profile, owner, HeadPorts(self.port, self.port), now - 1800
            )
            metadata = {**cluster["metadata"], "uid": f"c-{index}", "creationTimestamp": stamp(now - 1800)}
            self.clusters[cluster_id] = {
                **cluster,
                "metadata": {**metadata, "resourceVersion": self.version()},
            }
            self.tokens[cluster_token(KEY, cluster_id)] = cluster_id
            head, worker = cluster["spec"]["headGroupSpec"], cluster["spec"]["workerGroupSpecs"][0]
            self.add_pod(cluster_id, "head", head["template"], 0)
            for number in range(WORKERS):
                self.add_pod(cluster_id, "worker", worker["template"], number)

    def add_pod(self, cluster_id: str, kind: str, template: dict[str, Any], number: int) -> None:
        """Make a pod that runs, and its job."""
        name = f"{cluster_id}-{kind}-{number}"
        labels = {
            **template["metadata"]["labels"],
            names.RAY_CLUSTER_LABEL: cluster_id,
            names.RAY_NODE_TYPE_LABEL: kind,
            names.RAY_GROUP_LABEL: "w",
        }
        job = str(10_000 + len(self.pods))
        annotations = {**template["metadata"]["annotations"], "JobID": job}
        container = template["spec"]["containers"][0]
        state = {"name": container["name"], "ready": True, "state": {"running": {}}}
        self.pods[name] = {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": f"uid-{name}",
                "labels": labels,
                "annotations": annotations,
                "creationTimestamp": stamp(time.time() - 1700),
                "resourceVersion": self.version(),
            },
            "spec": {**template["spec"], "nodeName": "padova"},
            "status": {"phase": "Running", "podIP": "127.0.0.1", "containerStatuses": [state]},
        }  # fmt: skip
        self.jobs.append({"id": job, "pod_uid": f"uid-{name}", "state": "running", "time_left_seconds": 1800})

    def version(self) -> str:
        """The next version of an object."""
        self._version += 1
        return str(self._version)

    def change(self, name: str, text: str) -> None:
        """Let a worker follow another job, of the name ``text``; who watches is told."""
        pod = self.pods[name]
        pod["metadata"]["annotations"]["JobID"] = text
        pod["metadata"]["resourceVersion"] = self.version()
        line = json.dumps({"type": "MODIFIED", "object": pod}).encode() + b"\n"
        self._changes.append((self._version, line))
        for watcher in self._watchers["pods"]:
            watcher.put_nowait(line)

    async def start(self) -> None:
        """Serve."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Be the API server, the hub, the agent, or a head."""
        path = request.path
        if path.endswith("/pods"):
            return await self.listed(request, "pods", self.pods)
        if path.endswith("/rayclusters"):
            return await self.listed(request, "rayclusters", self.clusters)
        if path == "/api/v1/nodes":
            ready = {"type": "Ready", "status": "True"}
            metadata = {"name": "padova", "labels": {"kubernetes.io/hostname": "padova"}}
            node = {"metadata": metadata, "status": {"conditions": [ready]}}
            return web.json_response({"items": [node], "metadata": {"resourceVersion": "1"}})
        if path == "/hub/api/user":
            user = request.headers["Authorization"].removeprefix("token ")
            scopes = ["access:services", "admin:servers"] if user == "root" else [ACCESS]
            return web.json_response({"kind": "user", "name": user, "groups": [], "scopes": scopes})
        if path == "/v1/jobs":
            return web.json_response({"version": 1, "site": "padova", "age_seconds": 1.0, "jobs": self.jobs})
        if path == "/v1/site":
            return web.json_response({"version": 1, "site": "padova", "age_seconds": 1.0, "partitions": []})
        return self.head(request)

    async def listed(self, request: web.Request, kind: str, items: dict[str, Any]) -> web.StreamResponse:
        """Answer a list in pages, or a watch."""
        if request.query.get("watch", "").lower() != "true":
            all_of_them, begin = list(items.values()), int(request.query.get("continue") or 0)
            end = begin + int(request.query.get("limit") or 500)
            metadata = {
                "resourceVersion": str(self._version),
                "continue": str(end) if end < len(all_of_them) else "",
            }
            return web.json_response({"items": all_of_them[begin:end], "metadata": metadata})
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        since = int(request.query.get("resourceVersion") or 0)
        for at, line in self._changes if kind == "pods" else ():
            if at > since:
                queue.put_nowait(line)
        self._watchers[kind].append(queue)
        try:
            deadline = time.monotonic() + float(request.query.get("timeoutSeconds", 20))
            while (left := deadline - time.monotonic()) > 0:
                try:
                    await response.write(await asyncio.wait_for(queue.get(), left))
                except asyncio.TimeoutError:
                    break
        finally:
            self._watchers[kind].remove(queue)
        return response

    def head(self, request: web.Request) -> web.Response:
        """Answer as the dashboard of the cluster whose token it is."""
        self.asked_heads += 1
        cluster_id = self.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if cluster_id is None:
            return web.json_response({}, status=403)
        if request.path == "/api/version":
            return web.json_response({"ray_version": "2.60.0", "session_name": f"session of {cluster_id}"})
        if request.path == "/api/component_activities":
            return web.json_response({"driver": {"is_active": "ACTIVE", "timestamp": time.time()}})
        kinds = [("head", 0), *(("worker", number) for number in range(WORKERS))]
        pods = [f"{cluster_id}-{kind}-{number}" for kind, number in kinds]
        if request.path == "/nodes":
            used = {pod: "0.5/2.0 CPU\n0B/2GiB memory" for pod in pods}
            return web.json_response({"data": {"summary": [], "nodeLogicalResources": used}})
        began = 1000 * (time.time() - 1600)
        nodes = [
            {
                "node_id": pod,
                "node_ip": "10.0.0.1",
                "is_head_node": pod == pods[0],
                "state": "ALIVE",
                "resources_total": {"CPU": 2.0},
                "labels": {"rayster.dev/pod": pod},
                "start_time_ms": began,
                "end_time_ms": 0,
            }
            for pod in pods
        ]
        return web.json_response({"data": {"result": {"result": nodes}}})


def stamp(seconds: float) -> str:
    """A moment as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Reader:
    """A stream that somebody has open; it knows when which text came."""

    def __init__(self, session: aiohttp.ClientSession, url: str, user: str):
        self._session, self._url, self._user = session, url, user
        self.opened, self.seen = asyncio.Event(), {}
        self._wanted: dict[str, asyncio.Event] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None)
        headers = {"Authorization": f"token {self._user}"}
        async with self._session.get(self._url, headers=headers, timeout=timeout) as answer:
            answer.raise_for_status()
            rest = b""
            async for chunk in answer.content.iter_any():
                self.opened.set()
                rest = rest[-100:] + chunk
                for text, event in list(self._wanted.items()):
                    if text.encode() in rest:
                        self.seen[text] = time.perf_counter()
                        event.set()
                        del self._wanted[text]

    def wants(self, text: str) -> asyncio.Event:
        """What is set when ``text`` has come."""
        return self._wanted.setdefault(text, asyncio.Event())


def rss_mib(pid: int) -> float:
    """How much memory a process has."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def cpu_seconds(pid: int) -> float:
    """How much of a core a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(clusters: int, streams: int, settling_seconds: float) -> dict[str, float]:
    """Run the service and return what was measured."""
    world = World(clusters)
    await world.start()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "profiles.yaml").write_text(yaml.safe_dump(profiles(world.port, folder)))
        world.fill(load_profiles(str(folder / "profiles.yaml")).profiles[0])
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "t",
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            "clusters": [{"name": "t", "cluster": {"server": f"http://127.0.0.1:{world.port}"}}],
            "users": [{"name": "t", "user": {}}],
        }
        (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("JUPYTERHUB")},
            "KUBECONFIG": str(folder / "kubeconfig"),
            "JUPYTERHUB_API_URL": f"http://127.0.0.1:{world.port}/hub/api",
            "JUPYTERHUB_API_TOKEN": KEY,
        }
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rayster_spawner.service", "--no-sweep", "--port", "0"),
            *("--namespace", NAMESPACE, "--profiles", str(folder / "profiles.yaml")),
            env=environment,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            return await with_service(world, process, began, streams, settling_seconds)
        finally:
            process.kill()
            await process.wait()
            await world.stop()


async def with_service(
    world: World, process: Any, began: float, count: int, settling_seconds: float
) -> dict[str, float]:
    """Open streams, change pods, and look at the process."""
    url = ""
    while not url:
        line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        url = line.partition("Listening on ")[2].strip()
    drain = asyncio.create_task(process.stderr.read())
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def total() -> int:
            async with session.get(f"{url}api/clusters", headers={"Authorization": "token root"}) as answer:
                return len((await answer.json()).get("clusters", []))

        while await total() < world.count:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.2)
        synced = time.perf_counter() - began
        alone = rss_mib(process.pid)
        shown = [f"ray-{index:010d}" for index in range(count)]
        readers = {
            one: Reader(session, f"{url}api/clusters/{one}/events", f"user-{int(one[4:])}") for one in shown
        }
        everybody = Reader(session, f"{url}api/clusters/events", "root")
        tasks = [asyncio.create_task(reader.run()) for reader in (*readers.values(), everybody)]
        for reader in (*readers.values(), everybody):
            await asyncio.wait_for(reader.opened.wait(), 60)
        await asyncio.sleep(settling_seconds)  # of 500, all heads were asked after 60 s
        used, asked, at = cpu_seconds(process.pid), world.asked_heads, time.perf_counter()
        await asyncio.sleep(settling_seconds / 3)
        seconds = time.perf_counter() - at
        quiet, heads = (cpu_seconds(process.pid) - used) / seconds, (world.asked_heads - asked) / seconds
        latencies, to_all = [], []
        for index in range(100):
            name, text = random.choice(shown), f"change-{index:04d}-of-one"
            mine, all_of_them = readers[name].wants(text), everybody.wants(text)
            sent = time.perf_counter()
            world.change(f"{name}-worker-{index % WORKERS}", text)
            await asyncio.wait_for(asyncio.gather(mine.wait(), all_of_them.wait()), 30)
            latencies.append(1000 * (readers[name].seen[text] - sent))
            to_all.append(1000 * (everybody.seen[text] - sent))
        sent, waits = time.perf_counter(), []
        for name in shown:
            waits.append(readers[name].wants(f"burst-of-{name}").wait())
            world.change(f"{name}-worker-0", f"burst-of-{name}")
        await asyncio.wait_for(asyncio.gather(*waits), 60)
        last = 1000 * (time.perf_counter() - sent)
        memory = rss_mib(process.pid)
        for task in (*tasks, drain):
            task.cancel()
        await asyncio.gather(*tasks, drain, return_exceptions=True)
    return {
        "clusters": world.count,
        "pods": len(world.pods),
        "streams": count + 1,
        "synced_s": synced,
        "rss_synced_mib": alone,
        "rss_mib": memory,
        "quiet_core_share": quiet,
        "head_requests_per_s": heads,
        "latency_median_ms": statistics.median(latencies),
        "latency_max_ms": max(latencies),
        "admin_list_median_ms": statistics.median(to_all),
        "admin_list_max_ms": max(to_all),
        "burst_last_ms": last,
    }


def main() -> int:
    """Measure, print, and tell by the exit status whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--streams", type=int, default=100, help="open streams of one cluster each")
    parser.add_argument("--quick", action="store_true", help="20 clusters, 10 streams, a shorter look")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    clusters, streams = (20, 10) if arguments.quick else (arguments.clusters, arguments.streams)
    settling_seconds = 9.0 if arguments.quick else 60.0
    figures = asyncio.run(measure(clusters, min(streams, clusters), settling_seconds))
    if arguments.json:
        print(json.dumps(figures))
    else:
        table = Table("figure", "measured", "target")
        for name, value in figures.items():
            table.add_row(name, f"{value:.4g}", f"≤ {TARGETS[name]:g}" if name in TARGETS else "")
        Console().print(table)
    return int(any(figures[name] > target for name, target in TARGETS.items()))


if __name__ == "__main__":
    sys.exit(main())
