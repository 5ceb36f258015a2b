"""The cluster roles and bindings that every cluster has from the start (the parts of them that matter here).

After `plugin/pkg/auth/authorizer/rbac/bootstrappolicy` of Kubernetes; `admin`, `edit` and `view` gather, as there, the
rules of every cluster role labelled for them.
"""

from __future__ import annotations

from typing import Any

from .bootstrap import ensure
from .identity import AUTHENTICATED, MASTERS, UNAUTHENTICATED
from .objects import Objects

Json = dict[str, Any]
API = "rbac.authorization.k8s.io/v1"
READ = ["get", "list", "watch"]
WRITE = ["create", "delete", "deletecollection", "patch", "update"]
ALL = [*READ, *WRITE]

_SEEN_CORE = [
    "bindings",
    "configmaps",
    "endpoints",
    "events",
    "limitranges",
    "namespaces",
    "persistentvolumeclaims",
    "persistentvolumeclaims/status",
    "pods",
    "pods/log",
    "pods/status",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "resourcequotas",
    "serviceaccounts",
    "services",
    "services/status",
]
_WRITTEN_CORE = [
    "configmaps",
    "events",
    "persistentvolumeclaims",
    "pods",
    "pods/attach",
    "pods/exec",
    "pods/portforward",
    "pods/proxy",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "secrets",
    "serviceaccounts",
    "services",
    "services/proxy",
]
_WORKLOADS = {
    "apps": [
        "controllerrevisions",
        "daemonsets",
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
    ],
    "autoscaling": ["horizontalpodautoscalers"],
    "batch": ["cronjobs", "jobs"],
    "networking.k8s.io": ["ingresses", "networkpolicies"],
    "policy": ["poddisruptionbudgets"],
}


def rule(groups: str | list[str], resources: list[str], verbs: list[str]) -> Json:
    """A `PolicyRule` over resources."""
    return {
        "apiGroups": [groups] if isinstance(groups, str) else groups,
        "resources": resources,
        "verbs": verbs,
    }


def _urls(urls: list[str]) -> Json:
    return {"nonResourceURLs": urls, "verbs": ["get"]}


_HEALTH = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_HEALTH]
_SELF = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
_VIEW = [rule("", _SEEN_CORE, READ), *(rule(group, names, READ) for group, names in _WORKLOADS.items())]
_EDIT = [
    rule("", _WRITTEN_CORE, WRITE),
    rule("", ["pods/eviction", "serviceaccounts/token"], ["create"]),
    rule(
        "", ["secrets", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy"], READ
    ),
    rule("coordination.k8s.io", ["leases"], ALL),
    *(rule(group, names, WRITE) for group, names in _WORKLOADS.items()),
]
_ADMIN = [
    rule("authorization.k8s.io", ["localsubjectaccessreviews"], ["create"]),
    rule("rbac.authorization.k8s.io", ["roles", "rolebindings"], ALL),
]
_EVENTS = rule(["", "events.k8s.io"], ["events"], ["create", "patch", "update"])
_NODE = [
    rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
    rule("authorization.k8s.io", ["localsubjectaccessreviews", "subjectaccessreviews"], ["create"]),
    rule("", ["services"], READ),
    rule("", ["nodes"], ["create", *READ, "patch", "update"]),
    rule("", ["nodes/status"], ["patch", "update"]),
    rule("", ["pods"], [*READ, "create", "delete"]),
    rule("", ["pods/status"], ["patch", "update"]),
    rule("", ["pods/eviction", "serviceaccounts/token"], ["create"]),
    rule("", ["configmaps", "secrets", "persistentvolumeclaims", "persistentvolumes", "endpoints"], READ),
    rule("coordination.k8s.io", ["leases"], ["create", "delete", "get", "patch", "update"]),
    rule("certificates.k8s.io", ["certificatesigningrequests"], ["create", *READ]),
    rule("node.k8s.io", ["runtimeclasses"], READ),
    _EVENTS,
]
_SCHEDULER = [
    _EVENTS,
    rule("coordination.k8s.io", ["leases"], ["create", *READ, "update"]),
    rule("", ["nodes", "namespaces", "services", "replicationcontrollers"], READ),
    rule("", ["pods"], ["delete", *READ]),
    rule("", ["bindings", "pods/binding"], ["create"]),
    rule("", ["pods/status"], ["patch", "update"]),
    rule("apps", ["replicasets", "statefulsets"], READ),
    rule("policy", ["poddisruptionbudgets"], READ),
    rule("", ["persistentvolumeclaims", "persistentvolumes"], [*READ, "patch", "update"]),
    rule("storage.k8s.io", ["storageclasses"], READ),
    rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
    rule("authorization.k8s.io", ["subjectaccessreviews"], ["create"]),
]
_MANAGER = [
    _EVENTS,
    rule("coordination.k8s.io", ["leases"], ["create", *READ, "update"]),
    rule("*", ["*"], READ),
    rule("", ["serviceaccounts", "secrets", "configmaps", "endpoints"], WRITE),
    rule("", ["serviceaccounts/token"], ["create"]),
    rule("", ["nodes", "nodes/status"], ["delete", "patch", "update"]),
    rule("", ["pods"], ["delete"]),
    rule("", ["pods/eviction"], ["create"]),
    rule("", ["pods/status"], ["patch", "update"]),
]

CLUSTER_ROLES: dict[str, list[Json]] = {
    "cluster-admin": [rule("*", ["*"], ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}],
    "system:aggregate-to-view": _VIEW,
    "system:aggregate-to-edit": _EDIT,
    "system:aggregate-to-admin": _ADMIN,
    "system:discovery": [_urls(_DISCOVERY)],
    "system:public-info-viewer": [_urls(_HEALTH)],
    "system:basic-user": [
        rule("authorization.k8s.io", _SELF, ["create"]),
        rule("authentication.k8s.io", ["selfsubjectreviews"], ["create"]),
    ],
    "system:auth-delegator": [
        rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
        rule("authorization.k8s.io", ["subjectaccessreviews"], ["create"]),
    ],
    "system:node": _NODE,
    "system:kube-scheduler": _SCHEDULER,
    "system:kube-controller-manager": _MANAGER,
}
# role → the labels that gather rules into it; view's rules are in edit, edit's in admin.
_AGGREGATED = {"view": ["view"], "edit": ["view", "edit"], "admin": ["view", "edit", "admin"]}
_LABEL = "rbac.authorization.k8s.io/aggregate-to-"

CLUSTER_BINDINGS: dict[str, list[tuple[str, str]]] = {
    "cluster-admin": [("Group", MASTERS)],
    "system:discovery": [("Group", AUTHENTICATED)],
    "system:basic-user": [("Group", AUTHENTICATED)],
    "system:public-info-viewer": [("Group", AUTHENTICATED), ("Group", UNAUTHENTICATED)],
    # A real cluster restricts each node to its own objects; here the role is enough.
    "system:node": [("Group", "system:nodes")],
    "system:kube-scheduler": [("User", "system:kube-scheduler")],
    "system:kube-controller-manager": [("User", "system:kube-controller-manager")],
}


def bootstrap_roles(objects: Objects) -> None:
    """Create the roles and bindings that are missing."""
    for name, rules in CLUSTER_ROLES.items():
        labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
        target = name.removeprefix("system:aggregate-to-")
        if target != name:
            labels[f"{_LABEL}{target}"] = "true"
        ensure(
            objects, API, "ClusterRole", "", {"metadata": {"name": name, "labels": labels}, "rules": rules}
        )
    for name, targets in _AGGREGATED.items():
        selectors = [{"matchLabels": {f"{_LABEL}{target}": "true"}} for target in targets]
        rules = [item for target in targets for item in CLUSTER_ROLES[f"system:aggregate-to-{target}"]]
        role = {
            "metadata": {"name": name},
            "aggregationRule": {"clusterRoleSelectors": selectors},
            "rules": rules,
        }
        ensure(objects, API, "ClusterRole", "", role)
    for name, subjects in CLUSTER_BINDINGS.items():
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": kind, "name": subject} for kind, subject in subjects],
        }
        ensure(objects, API, "ClusterRoleBinding", "", binding)
