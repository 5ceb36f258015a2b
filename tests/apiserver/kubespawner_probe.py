"""Starts and stops one plain KubeSpawner server on the API of $KUBECONFIG; prints what it saw as JSON.

A process of its own, because KubeSpawner configures the Kubernetes client for its whole process. Beside it runs an
agent that does what scheduler and kubelet do: binds the pod, sets it Running, and lets it go when it is deleted.
"""

from __future__ import annotations

import asyncio
import json
import sys
from unittest.mock import Mock

from jupyterhub.objects import Hub, Server
from kubernetes_asyncio import client, config, watch
from kubespawner import KubeSpawner
from traitlets.config import Config

NAMESPACE = sys.argv[1]


class User(Mock):
    """The part of a hub's user that KubeSpawner reads."""

    name = "ada"
    escaped_name = "ada"
    url = "/user/ada/"
    server = Server()


async def agent(seen: list[str]) -> None:
    """Scheduler and kubelet of one pod."""
    core = client.CoreV1Api()
    async with watch.Watch().stream(core.list_namespaced_pod, NAMESPACE) as stream:
        async for event in stream:
            pod = event["object"]
            seen.append(f"{event['type']} {pod.status.phase}")
            name = pod.metadata.name
            if event["type"] == "DELETED":
                return
            if pod.metadata.deletion_grace_period_seconds == 0:
                continue
            if pod.metadata.deletion_timestamp:
                await core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)
            elif not pod.spec.node_name:
                target = client.V1ObjectReference(kind="Node", name="cloud-0")
                binding = client.V1Binding(metadata=client.V1ObjectMeta(name=name), target=target)
                await core.create_namespaced_pod_binding(name, NAMESPACE, binding, _preload_content=False)
            elif pod.status.phase == "Pending":
                state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
                container = {
                    "name": "notebook",
                    "ready": True,
                    "restartCount": 0,
                    "image": "x",
                    "imageID": "",
                    "state": state,
                }
                status = {"phase": "Running", "podIP": "127.0.0.7", "containerStatuses": [container]}
                await core.patch_namespaced_pod_status(name, NAMESPACE, {"status": status})


async def main() -> None:
    """Start, look, stop, look."""
    await config.load_kube_config()
    settings = Config()
    settings.KubeSpawner.namespace = NAMESPACE
    settings.KubeSpawner.image = "rayster/notebook:0.1.0"
    settings.KubeSpawner.storage_pvc_ensure = True
    settings.KubeSpawner.storage_capacity = "1Gi"
    settings.KubeSpawner.delete_grace_period = 1
    orm_spawner = Mock(server=None)
    orm_spawner.name = ""
    spawner = KubeSpawner(
        hub=Hub(), user=User(), config=settings, api_token="t", oauth_client_id="c", orm_spawner=orm_spawner
    )
    seen: list[str] = []
    working = asyncio.create_task(agent(seen))
    where = await asyncio.wait_for(spawner.start(), 15)
    running = await spawner.poll()
    claims = await client.CoreV1Api().list_namespaced_persistent_volume_claim(NAMESPACE)
    await asyncio.wait_for(spawner.stop(), 15)
    stopped = await spawner.poll()
    await asyncio.wait_for(working, 5)
    print(
        json.dumps(
            {
                "where": where,
                "running": running,
                "stopped": stopped,
                "seen": seen,
                "claims": [item.metadata.name for item in claims.items],
            }
        )
    )
    await KubeSpawner._stop_all_reflectors()


asyncio.run(main())
