"""What built-in admission does to objects on their way in (service account, priority, tolerations, namespaces)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from .errors import ApiError, forbidden, not_found
from .kinds import Kind
from .pods import containers

Json = dict[str, Any]
Lookup = Callable[[str, str, str], Json | None]  # (storage, namespace, name) → object
TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 (a path, not a secret)
NAME_SIGNS = "bcdfghjklmnpqrstvwxz2456789"
SYSTEM_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
PROTECTED_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def random_suffix(length: int = 5) -> str:
    """The random end of a generated name."""
    return "".join(random.choices(NAME_SIGNS, k=length))  # noqa: S311 (a name, not a secret)


def check_namespace(kind: Kind, namespace: str, name: str, lookup: Lookup) -> None:
    """Refuse to create in a namespace that is missing (404) or going away (403)."""
    space = lookup("namespaces", "", namespace)
    if space is None:
        raise not_found("namespaces", "", namespace)
    if space["metadata"].get("deletionTimestamp"):
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        raise forbidden(kind.plural, kind.group, name, why, causes=[cause])


def admit_pod(pod: Json, lookup: Lookup) -> None:
    """Admit a new pod: service account with its token volume, priority, default tolerations; in place.

    Raises: ApiError 403 when the service account or the priority class does not exist.
    """
    _service_account(pod, lookup)
    _priority(pod, lookup)
    default_tolerations(pod["spec"])


def _refuse(pod: Json, why: str) -> ApiError:
    return forbidden("pods", "", pod["metadata"].get("name", ""), why)


def _service_account(pod: Json, lookup: Lookup) -> None:
    spec, namespace = pod["spec"], pod["metadata"].get("namespace", "")
    if "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {}):
        return
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = lookup("serviceaccounts", namespace, name)
    if account is None:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise _refuse(pod, why)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = list(account["imagePullSecrets"])
    wanted = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
    if wanted:
        _mount_token(spec)


def _mount_token(spec: Json) -> None:
    bare = [
        container
        for path, container in containers(spec)
        if "ephemeral" not in path
        and not any(mount.get("mountPath") == TOKEN_MOUNT for mount in container.get("volumeMounts") or [])
    ]
    if not bare:
        return
    volume = f"kube-api-access-{random_suffix()}"
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    ca = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": ca},
        {"downwardAPI": {"items": [namespace]}},
    ]
    spec.setdefault("volumes", []).append(
        {"name": volume, "projected": {"sources": sources, "defaultMode": 420}}
    )
    for container in bare:
        mount = {"name": volume, "readOnly": True, "mountPath": TOKEN_MOUNT}
        container.setdefault("volumeMounts", []).append(mount)


def _priority(pod: Json, lookup: Lookup) -> None:
    spec = pod["spec"]
    name, value, policy = spec.get("priorityClassName"), 0, "PreemptLowerPriority"
    if name in SYSTEM_PRIORITIES:
        value = SYSTEM_PRIORITIES[name]
    elif name:
        found = lookup("priorityclasses.scheduling.k8s.io", "", name)
        if found is None:
            raise _refuse(pod, f"no PriorityClass with name {name} was found")
        value, policy = found.get("value", 0), found.get("preemptionPolicy", policy)
    if spec.get("priority") not in (None, value):
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            f"priority admission controller computed {value} from the given PriorityClass name"
        )
        raise _refuse(pod, why)
    spec["priority"] = value
    spec.setdefault("preemptionPolicy", policy)


def default_tolerations(spec: Json) -> None:
    """DefaultTolerationSeconds: 300 s for the two NoExecute taints of a lost node, unless the pod says otherwise."""
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        covered = any(
            item.get("key", "") in ("", key) and item.get("effect", "") in ("", "NoExecute")
            for item in tolerations
        )
        if not covered:
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            )
