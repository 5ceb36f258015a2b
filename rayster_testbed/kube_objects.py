"""Fetches from the API server what a pod refers to: config maps, secrets, service account tokens."""

from __future__ import annotations

from collections.abc import Mapping

from rayster_testbed.kube import KubeClient, Obj, path
from rayster_testbed.pod_env import Objects


async def fetch_objects(client: KubeClient, namespace: str, references: set[tuple[str, str]]) -> Objects:
    """Config maps and secrets by (plural, name); None for those that do not exist."""
    return {(plural, name): await client.find(path(plural, namespace, name)) for plural, name in references}


def token_requests(spec: Mapping) -> list[Mapping]:
    """The `serviceAccountToken` sources of a pod's projected volumes."""
    return [
        source["serviceAccountToken"]
        for volume in spec.get("volumes") or []
        for source in (volume.get("projected") or {}).get("sources") or []
        if source.get("serviceAccountToken")
    ]


async def request_token(client: KubeClient, pod: Obj, request: Mapping, lifetime_seconds: int) -> str:
    """A token for the pod's service account, bound to the pod.

    Raises: ApiError when the account does not exist or tokens are not served.
    """
    account = pod["spec"].get("serviceAccountName") or "default"
    metadata = pod["metadata"]
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [request["audience"]] if request.get("audience") else [],
            "expirationSeconds": lifetime_seconds,
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }
    where = path("serviceaccounts", metadata["namespace"], account, "token")
    return (await client.create(where, body))["status"]["token"]
