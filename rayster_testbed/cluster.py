"""What the orchestrator asks of the testbed's API server, in plain calls that wait for the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import yaml

from rayster_testbed import kube
from rayster_testbed.kube import ApiError, KubeClient, KubeConfig

Answer = TypeVar("Answer")

_RBAC = "apis/rbac.authorization.k8s.io/v1"
_COLLECTIONS = {
    "Namespace": ("namespaces", kube.CORE),
    "ServiceAccount": ("serviceaccounts", kube.CORE),
    "ConfigMap": ("configmaps", kube.CORE),
    "Service": ("services", kube.CORE),
    "Deployment": ("deployments", "apis/apps/v1"),
    "NetworkPolicy": ("networkpolicies", "apis/networking.k8s.io/v1"),
    "Role": ("roles", _RBAC),
    "RoleBinding": ("rolebindings", _RBAC),
    "ClusterRole": ("clusterroles", _RBAC),
    "ClusterRoleBinding": ("clusterrolebindings", _RBAC),
    "CustomResourceDefinition": ("customresourcedefinitions", "apis/apiextensions.k8s.io/v1"),
}
_CLUSTER_SCOPED = {"Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
_POLL_SECONDS = 0.2


class Cluster:
    """The API server as one identity sees it. Safe to use from any thread, also from one with an event loop."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def call(self, ask: Callable[[KubeClient], Awaitable[Answer]], timeout_seconds: float = 10) -> Answer:
        """Return what ``ask`` answers.

        Raises what `kube.TROUBLE` names when the server refuses or does not answer.
        """

        async def session() -> Answer:
            async with KubeClient(
                KubeConfig.load(self._kubeconfig), timeout_seconds=timeout_seconds
            ) as client:
                return await ask(client)

        with ThreadPoolExecutor(1) as worker:
            return worker.submit(lambda: asyncio.run(session())).result()

    def answers(self) -> bool:
        """Whether the server is there and says that it is ready."""
        try:
            # Not /readyz, which answers without a token too: the token file must have been read as well.
            self.call(lambda client: client.get(kube.path("namespaces")), timeout_seconds=2)
        except kube.TROUBLE:
            return False
        return True

    def node(self, name: str) -> dict[str, Any] | None:
        """Return the node, or None when there is none. Raises what `kube.TROUBLE` names."""
        return self.call(lambda client: client.find(kube.path("nodes", name=name)), timeout_seconds=2)

    def node_is_ready(self, name: str) -> bool:
        """Whether the node is there and says that it is ready."""
        try:
            node = self.node(name)
        except kube.TROUBLE:
            return False
        conditions = ((node or {}).get("status") or {}).get("conditions") or []
        return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)

    def delete_nodes(self) -> None:
        """Delete all nodes; an agent that runs registers its own again."""
        self.call(_delete_nodes)

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        """Return the pods of a namespace. Raises what `kube.TROUBLE` names."""
        return self.call(lambda client: client.get(kube.path("pods", namespace)))["items"]

    def apply(self, documents: Iterable[dict[str, Any]], namespace: str) -> None:
        """Create the objects, in order; those that exist get the fields of ``documents``.

        Args:
            documents: manifests; those of a namespaced kind that name no namespace go to ``namespace``.

        Raises: what `kube.TROUBLE` names; KeyError for a kind that the testbed does not install.
        """
        self.call(lambda client: _apply(client, list(documents), namespace), timeout_seconds=30)

    def purge_pods(self, namespace: str) -> None:
        """Forget all pods at once, without waiting for their nodes."""

        async def purge(client: KubeClient) -> None:
            for pod in (await client.get(kube.path("pods", namespace)))["items"]:
                await client.delete(kube.path_of("pods", pod), grace_seconds=0)

        self.call(purge)

    def delete_pods(self, namespace: str, timeout_seconds: float) -> int:
        """Delete all pods and wait until they are gone; return how many are not gone in time."""
        return self.call(
            lambda client: _delete_pods(client, namespace, timeout_seconds),
            timeout_seconds=timeout_seconds + 5,
        )


def read_manifests(file: Path) -> list[dict[str, Any]]:
    """Return the documents of a YAML file."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


async def _apply(client: KubeClient, documents: list[dict[str, Any]], namespace: str) -> None:
    for document in documents:
        plural, api = _COLLECTIONS[document["kind"]]
        where = (
            "" if document["kind"] in _CLUSTER_SCOPED else document["metadata"].get("namespace", namespace)
        )
        try:
            await client.create(kube.path(plural, where, api=api), document)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            await client.merge(kube.path(plural, where, document["metadata"]["name"], api=api), document)


async def _delete_nodes(client: KubeClient) -> None:
    for node in (await client.get(kube.path("nodes")))["items"]:
        await client.delete(kube.path_of("nodes", node))


async def _delete_pods(client: KubeClient, namespace: str, timeout_seconds: float) -> int:
    deadline = time.monotonic() + timeout_seconds
    pods = kube.path("pods", namespace)
    remaining = (await client.get(pods))["items"]
    for pod in remaining:
        await client.delete(kube.path_of("pods", pod), grace_seconds=1)
    while remaining and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        remaining = (await client.get(pods))["items"]
    return len(remaining)
