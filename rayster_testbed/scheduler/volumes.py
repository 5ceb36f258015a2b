"""Binds a PersistentVolumeClaim when the first pod that mounts it is scheduled (`WaitForFirstConsumer`).

The volume is a directory that the kubelet of the pod's node makes; here are only the Kubernetes objects around it.
"""

from __future__ import annotations

from rayster_testbed.kube import ApiError, KubeClient, Obj, path, path_of

_SELECTED_NODE = "volume.kubernetes.io/selected-node"


async def bind_claim(client: KubeClient, claim: Obj, node: str) -> None:
    """Give *claim* a PersistentVolume and mark both Bound; nothing happens to a claim that is bound already."""
    if (claim.get("status") or {}).get("phase") == "Bound":
        return
    name = f"pvc-{claim['metadata']['uid']}"
    wanted = claim["spec"]
    capacity = ((wanted.get("resources") or {}).get("requests")) or {"storage": "1Gi"}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": capacity,
            "accessModes": wanted.get("accessModes") or ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": wanted.get("storageClassName") or "",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                **{key: claim["metadata"][key] for key in ("namespace", "name", "uid")},
            },
            "hostPath": {"path": f"/volumes/{claim['metadata']['namespace']}/{claim['metadata']['name']}"},
        },
    }
    try:
        await client.create(path("persistentvolumes"), volume)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
    await client.merge(path("persistentvolumes", "", name, "status"), {"status": {"phase": "Bound"}})
    await client.merge(
        path_of("persistentvolumeclaims", claim),
        {"metadata": {"annotations": {_SELECTED_NODE: node}}, "spec": {"volumeName": name}},
    )
    await client.merge(
        path_of("persistentvolumeclaims", claim, "status"),
        {"status": {"phase": "Bound", "accessModes": volume["spec"]["accessModes"], "capacity": capacity}},  # type: ignore[index]
    )


async def release(client: KubeClient, claim: Obj) -> None:
    """Remove the PersistentVolume of a claim that is gone (reclaim policy Delete)."""
    if name := claim["spec"].get("volumeName"):
        await client.delete(path("persistentvolumes", "", name))
