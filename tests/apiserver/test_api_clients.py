"""The clients that people use: kubernetes, kubernetes_asyncio, KubeSpawner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import kubernetes
import kubernetes_asyncio
import pytest
import yaml

ADMIN = "admin-token"


def kubeconfig(server, namespace, token=""):
    """Write a kubeconfig for a server; returns its path."""
    cluster = {"server": server.url}
    if server.tls:
        cluster["certificate-authority"] = str(server.folder / "tls.crt")
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token} if token else {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
        "current-context": "x",
    }
    path = server.folder / f"{namespace}.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


@pytest.fixture
def sync_client(api, server):
    """The synchronous client's own configuration, nothing global."""
    configuration = kubernetes.client.Configuration(host=server.url)
    with kubernetes.client.ApiClient(configuration) as client:
        yield client


def test_sync_client_does_a_pods_life(api, sync_client, pod):
    core, space = kubernetes.client.CoreV1Api(sync_client), api.namespace

    created = core.create_namespaced_pod(space, pod())
    core.patch_namespaced_pod(created.metadata.name, space, {"metadata": {"labels": {"k": "v"}}})
    core.patch_namespaced_pod_status("a", space, {"status": {"phase": "Running"}})
    listed = core.list_namespaced_pod(space, label_selector="k in (v)", field_selector="status.phase=Running")
    replaced = core.replace_namespaced_pod("a", space, listed.items[0])
    deleted = core.delete_namespaced_pod("a", space)

    assert created.metadata.creation_timestamp.tzinfo is not None
    assert [item.metadata.name for item in listed.items] == ["a"]
    assert replaced.metadata.resource_version == listed.items[0].metadata.resource_version
    assert deleted.metadata.name == "a"
    with pytest.raises(kubernetes.client.ApiException) as caught:
        core.read_namespaced_pod("a", space)
    assert (caught.value.status, json.loads(caught.value.body)["reason"]) == (404, "NotFound")


def test_sync_watch_goes_on_where_it_was(api, sync_client):
    core, space = kubernetes.client.CoreV1Api(sync_client), api.namespace
    version = core.list_namespaced_config_map(space).metadata.resource_version
    bodies = [{"metadata": {"name": f"c-{index}"}} for index in range(3)]
    writer = threading.Timer(0.2, lambda: [core.create_namespaced_config_map(space, body) for body in bodies])
    writer.start()

    watch, seen = kubernetes.watch.Watch(), []
    for event in watch.stream(
        core.list_namespaced_config_map, space, resource_version=version, timeout_seconds=5
    ):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 3:
            watch.stop()
    writer.join()

    assert seen == [("ADDED", "c-0"), ("ADDED", "c-1"), ("ADDED", "c-2")]


def test_sync_client_has_custom_objects_and_other_groups(api, sync_client):
    definitions = kubernetes.client.ApiextensionsV1Api(sync_client)
    group = "client.rayster.io"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "toys", "kind": "Toy"}
    definitions.create_custom_resource_definition(
        {"metadata": {"name": f"toys.{group}"}, "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}}
    )  # fmt: skip
    custom = kubernetes.client.CustomObjectsApi(sync_client)
    toy = {"apiVersion": f"{group}/v1", "kind": "Toy", "metadata": {"name": "t"}, "spec": {"a": 1}}

    created = custom.create_namespaced_custom_object(group, "v1", api.namespace, "toys", toy)
    lease = kubernetes.client.CoordinationV1Api(sync_client).create_namespaced_lease(
        api.namespace,
        {
            "metadata": {"name": "l"},
            "spec": {"holderIdentity": "me", "renewTime": "2026-01-01T00:00:00.123456Z"},
        },
    )
    version = kubernetes.client.VersionApi(sync_client).get_code()

    assert created["spec"] == {"a": 1}
    assert lease.spec.renew_time.microsecond == 123456
    assert (version.major, int(version.minor) >= 20) == ("1", True)
    definitions.delete_custom_resource_definition(f"toys.{group}")


async def test_asyncio_client_lists_and_watches(api, server, pod):
    configuration = kubernetes_asyncio.client.Configuration(host=server.url)
    async with kubernetes_asyncio.client.ApiClient(configuration) as client:
        core = kubernetes_asyncio.client.CoreV1Api(client)
        await core.create_namespaced_pod(api.namespace, pod())
        pods = await core.list_namespaced_pod(api.namespace)
        await core.delete_namespaced_pod("a", api.namespace, grace_period_seconds=0)
        seen = []
        async with kubernetes_asyncio.watch.Watch().stream(
            core.list_namespaced_pod,
            api.namespace,
            resource_version=pods.metadata.resource_version,
            timeout_seconds=1,
        ) as stream:
            async for event in stream:
                seen.append(event["type"])

    assert seen == ["MODIFIED", "DELETED"]


@pytest.mark.parametrize("cluster", ["open", "secured"])
async def test_kubespawner_starts_and_stops_a_server(cluster, request, client_of, api):
    if cluster == "open":
        server, namespace, token = request.getfixturevalue("server"), api.namespace, ""
    else:
        server, namespace, token = request.getfixturevalue("secured"), "kubespawner", ADMIN
        admin = client_of(ADMIN, namespace)
        assert (await admin("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})).status == 201
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig(server, namespace, token))}
    environment.pop("KUBERNETES_SERVICE_HOST", None)

    probe = Path(__file__).with_name("kubespawner_probe.py")
    done = subprocess.run(
        [sys.executable, str(probe), namespace], env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert "127.0.0.7" in str(result["where"])
    assert result["running"] is None
    assert result["stopped"] is not None
    assert result["seen"][0] == "ADDED Pending"
    assert result["seen"][-1] == "DELETED Running"
    assert len(result["claims"]) == 1
