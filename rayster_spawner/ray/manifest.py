"""Builds the Kubernetes objects of one cluster from profile, request and owner. Pure: plain data out.

The sources of the rules are KubeRay 1.7 (`controllers/ray/common/pod.go`, `service.go`) and interLink 0.6.2. What users
write stands in annotations only, as data: nothing here is expanded, and none of it becomes part of a command.
"""

from typing import Any

from ..profiles import Profile
from . import names
from .network import network_of
from .owner import Owner
from .pod_templates import PodTemplates
from .ports import HeadPorts
from .request import ClusterRequest

Object = dict[str, Any]

# What stands in `rayStartParams` alone keeps KubeRay from a volume that interLink would make a directory on a disk.
_SOME_DIRECTORY = "/tmp"  # noqa: S108 - the launcher chooses the directory


def token_secret(cluster_id: str, token: str, owner: Owner) -> Object:
    """Return the secret with a cluster's token, under the name where KubeRay looks before it makes one."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": cluster_id,
            "labels": {names.CLUSTER_LABEL: cluster_id, names.MANAGED_BY_LABEL: names.MANAGED_BY},
            "ownerReferences": [owner.reference()],
        },
        "stringData": {names.TOKEN_KEY: token},
    }


def ray_cluster(
    cluster_id: str,
    request: ClusterRequest,
    profile: Profile,
    owner: Owner,
    ports: HeadPorts,
    requested_at: float,
) -> Object:
    """Return the RayCluster. ``requested_at`` is in seconds since the epoch.

    Raises OffloadError when the profile asks for what its site cannot do.
    """
    assert profile.ray is not None
    plan = PodTemplates(cluster_id, request, profile, owner, ports)
    labels = plan.labels(profile.site_name)
    if profile.ray.queue is not None:
        labels[names.QUEUE_LABEL] = profile.ray.queue
    annotations = {
        names.OVERWRITE_COMMAND: "true",
        names.USERNAME: owner.user,
        names.SERVERNAME: owner.server,
        names.REQUEST: request.as_json(),
        names.REQUESTED_AT: f"{requested_at:.3f}",
        names.GCS_PORT: str(ports.gcs),
        names.DASHBOARD_PORT: str(ports.dashboard),
        names.NETWORK: network_of(cluster_id, profile, owner).as_json(),
    }
    if request.title:
        annotations[names.TITLE] = request.title
    plasma = profile.ray.plasma_directory or _SOME_DIRECTORY
    return {
        "apiVersion": f"{names.API_GROUP}/{names.API_VERSION}",
        "kind": names.KIND,
        "metadata": {
            "name": cluster_id,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner.reference()],
        },
        "spec": {
            "rayVersion": profile.ray.version,
            "authOptions": {"mode": "token"},
            "headGroupSpec": {
                # No task of the user runs beside the head. KubeRay tells the workers this port.
                "rayStartParams": {"num-cpus": "0", "port": str(ports.gcs), "plasma-directory": plasma},
                "template": plan.head(),
            },
            "workerGroupSpecs": [
                {
                    "groupName": names.WORKER_GROUP,
                    "replicas": request.workers,
                    # Without bounds KubeRay refuses the cluster; within them it would clamp what the service asks for.
                    "minReplicas": 0,
                    "maxReplicas": max(profile.ray.workers.max, request.workers),
                    "rayStartParams": {"plasma-directory": plasma},
                    "template": plan.worker(),
                }
            ],
        },
    }
