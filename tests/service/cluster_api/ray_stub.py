"""What KubeRay, Ray and a kubelet are in these tests: pods of a cluster, a dashboard, and logs, as a test wants them."""

import asyncio
import time
from typing import Any

import requests
from aiohttp import web

from rayster_spawner.ray import names
from rayster_spawner.ray.tokens import cluster_token

from ..conftest import NAMESPACE, SERVICE_TOKEN, Cluster
from .conftest import RayCluster


class Head:
    """The dashboard of one cluster's Ray 2.60. ``spoil`` answers instead of it."""

    def __init__(self, cluster_id: str):
        self.token = cluster_token(SERVICE_TOKEN, cluster_id)
        self.port = 0
        self.nodes: list[dict[str, Any]] = []
        self.activity: dict[str, Any] = {"is_active": "ACTIVE", "reason": None, "last_activity_at": None}
        self.session = "session_1"
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.spoil: Any = None
        self._runner: web.AppRunner | None = None

    async def start(self) -> "Head":
        """Serve."""
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self.answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Be gone."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def join(self, pod: str, *, head: bool = False, began: float = -5) -> None:
        """Let the node of a pod be there."""
        self.nodes.append(
            {
                "node_id": f"node-of-{pod}",
                "node_ip": "127.60.0.2",
                "is_head_node": head,
                "state": "ALIVE",
                "state_message": None,
                "resources_total": {} if head else {"CPU": 2.0},
                "labels": {"rayster.dev/pod": pod, "rayster.dev/python": "3.11.7"},
                "start_time_ms": 1000 * (time.time() + began),
                "end_time_ms": 0,
            }
        )

    def lose(self, pod: str, why: str) -> None:
        """Let the node of a pod be dead."""
        node = next(node for node in self.nodes if node["node_id"] == f"node-of-{pod}")
        node.update(state="DEAD", state_message=why, end_time_ms=1000 * time.time())

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as Ray does, with 401 and 403 for no and for a wrong token."""
        self.asked.append(request)
        self.bodies.append(await request.read())
        if self.spoil is not None and (spoilt := await self.spoil(request)) is not None:
            return spoilt
        given = request.headers.get("Authorization", "")
        if given != f"Bearer {self.token}":
            return web.json_response({"error": "no"}, status=403 if given else 401)
        match request.path:
            case "/api/version":
                return web.json_response({"ray_version": "2.60.0", "session_name": self.session})
            case "/api/v0/nodes":
                return web.json_response({"result": True, "data": {"result": {"result": self.nodes}}})
            case "/api/component_activities":
                return web.json_response({"driver": {**self.activity, "timestamp": time.time()}})
            case "/nodes":
                summary = [{"raylet": {"nodeId": node["node_id"]}} for node in self.nodes]
                used = {
                    node["node_id"]: "0.5/2.0 CPU\n0B/1GiB memory"
                    for node in self.nodes
                    if node["resources_total"]
                }
                return web.json_response({"data": {"summary": summary, "nodeLogicalResources": used}})
        return web.Response(text="nothing", status=404)


class KubeRay:
    """Pods of clusters, made, ended and deleted by hand."""

    def __init__(self, cluster: Cluster, rays: RayCluster):
        self._cluster, self._rays, self._count = cluster, rays, 0

    def add(
        self, cluster_id: str, *, head: bool = False, site: str = "padova", node: str | None = None
    ) -> str:
        """Create a pod; returns its name."""
        self._count += 1
        kind = "head" if head else "w-worker"
        name = f"{cluster_id}-{kind}-{self._count}"
        labels = {
            names.RAY_CLUSTER_LABEL: cluster_id,
            names.RAY_NODE_TYPE_LABEL: "head" if head else "worker",
            names.RAY_GROUP_LABEL: "headgroup" if head else "w",
            names.SITE_LABEL: site,
        }
        container = names.HEAD_CONTAINER if head else names.WORKER_CONTAINER
        spec: dict[str, Any] = {"containers": [{"name": container, "image": "x"}], "restartPolicy": "Never"}
        if node is not None:
            spec["nodeName"] = node
        body = {"metadata": {"name": name, "labels": labels}, "spec": spec}
        self._cluster._post(f"/api/v1/namespaces/{NAMESPACE}/pods", body)
        return name

    def run(self, name: str) -> None:
        """Let a pod run."""
        self._cluster.set_status(name, phase="Running", podIP="127.0.0.1")

    def fail(self, name: str, reason: str = "Error: 1", message: str = "") -> None:
        """Let a pod end."""
        self._cluster.set_status(name, phase="Failed", reason=reason, message=message)

    def delete(self, name: str) -> None:
        """Delete a pod."""
        self._cluster.delete(name)

    def replace(self, cluster_id: str, name: str) -> str:
        """Do what KubeRay does with a pod that has ended; returns the new one's name."""
        self.delete(name)
        return self.add(cluster_id)

    def reach(self, cluster_id: str, head: Head) -> None:
        """Say that the head's dashboard is at the port of ``head``."""
        self._rays.patch(cluster_id, {"metadata": {"annotations": {names.DASHBOARD_PORT: str(head.port)}}})

    def pods(self, cluster_id: str) -> set[str]:
        """Return the names of a cluster's pods."""
        query = {"labelSelector": f"{names.RAY_CLUSTER_LABEL}={cluster_id}"}
        items = requests.get(self._cluster.pods_url, params=query, timeout=10).json()["items"]
        return {item["metadata"]["name"] for item in items}


async def eventually(what: Any, seconds: float = 30) -> Any:
    """Return the first true answer of the coroutine function ``what``."""
    deadline = time.monotonic() + seconds
    while not (answer := await what()):
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        await asyncio.sleep(0.05)
    return answer
