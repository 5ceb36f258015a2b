"""Every name that a cluster's objects carry: API group, labels, annotations, containers, ids."""

import re
import secrets
import string
from typing import Final

# KubeRay (`ray-operator/apis/ray/v1`, `controllers/ray/utils/constant.go`).
API_GROUP: Final = "ray.io"
API_VERSION: Final = "v1"
KIND: Final = "RayCluster"
PLURAL: Final = "rayclusters"
# On the object: the operator then leaves the command of every pod as it is.
OVERWRITE_COMMAND: Final = "ray.io/overwrite-container-cmd"
RAY_CLUSTER_LABEL: Final = "ray.io/cluster"
RAY_NODE_TYPE_LABEL: Final = "ray.io/node-type"
RAY_GROUP_LABEL: Final = "ray.io/group"
HEAD_NODE_TYPE: Final = "head"
WORKER_NODE_TYPE: Final = "worker"
# The key of the token in the secret that has the cluster's own name.
TOKEN_KEY: Final = "auth_token"  # noqa: S105 - a key's name
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"

# The only worker group of a cluster, and the containers that Ray runs in.
WORKER_GROUP: Final = "w"
HEAD_CONTAINER: Final = "ray-head"
WORKER_CONTAINER: Final = "ray-worker"

# Labels of the object and of its pods.
CLUSTER_LABEL: Final = "rayster.dev/cluster"
PROFILE_LABEL: Final = "rayster.dev/profile"
SITE_LABEL: Final = "rayster.dev/site"
USERNAME_LABEL: Final = "hub.jupyter.org/username"
# Told from other people's RayClusters in the same namespace by it.
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "rayster"

# Annotations of the object: who it belongs to, as the hub spells it, ...
USERNAME: Final = "hub.jupyter.org/username"
SERVERNAME: Final = "hub.jupyter.org/servername"
# ... what was asked for, when (epoch seconds), what the user calls it, ...
REQUEST: Final = "rayster.dev/ray-request"
REQUESTED_AT: Final = "rayster.dev/requested-at"
TITLE: Final = "rayster.dev/title"
# ... the ports of its head, ...
GCS_PORT: Final = "rayster.dev/ray-gcs-port"
DASHBOARD_PORT: Final = "rayster.dev/ray-dashboard-port"
# ... how nodes find each other (JSON), whatever the profile says by now, ...
NETWORK: Final = "rayster.dev/ray-network"
# ... and what the service keeps of its life.
ENDED_WORKERS: Final = "rayster.dev/ended-workers"
IDLE_SINCE: Final = "rayster.dev/idle-since"
STOPPED_BECAUSE: Final = "rayster.dev/stopped-because"

ID_PATTERN: Final = r"^ray-[a-z0-9]{10}$"
_ID_ALPHABET = string.ascii_lowercase + string.digits


def new_cluster_id() -> str:
    """Return an id that nobody guesses and no two clusters share (36**10 of them): the RayCluster's name."""
    return "ray-" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(10))


def is_cluster_id(text: str) -> bool:
    """Tell whether ``text`` could be the id of a cluster."""
    return re.fullmatch(ID_PATTERN, text, re.ASCII) is not None


def head_service(cluster_id: str, namespace: str, domain: str = "cluster.local") -> str:
    """Return the name under which pods of the cluster find its head (KubeRay's ``FQ_RAY_IP``)."""
    return f"{cluster_id}-head-svc.{namespace}.svc.{domain}"
