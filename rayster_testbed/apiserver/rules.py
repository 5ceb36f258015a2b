"""What is special about each built-in kind: defaults, first status, validation, how updates and deletes behave."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .definitions import default_definition, definition_causes, prepare_definition
from .errors import Cause, invalid_value, required, unsupported_value
from .pod_rules import pod_causes
from .pods import default_pod, prepare_pod
from .validation import label_1035_error
from .workloads import (
    default_job,
    default_workload,
    job_causes,
    prepare_job,
    prepare_workload,
    workload_causes,
)

Json = dict[str, Any]


def _nothing(obj: Json) -> None:
    """No defaults."""


def _valid(new: Json, old: Json | None) -> list[Cause]:
    return []


@dataclass(frozen=True)
class Rules:
    """One kind's behaviour.

    `default` and `prepare` (before create) change the object in place; `causes(new, old)` says what is wrong;
    `unconditional`: a PUT needs no resourceVersion; `create_on_put`: a PUT may create; `answers_object`: DELETE answers
    with the object, not with a Status.
    """

    default: Callable[[Json], None] = _nothing
    prepare: Callable[[Json], None] = _nothing
    causes: Callable[[Json, Json | None], list[Cause]] = _valid
    unconditional: bool = True
    create_on_put: bool = False
    answers_object: bool = False


def _default_namespace(obj: Json) -> None:
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")


def _prepare_namespace(obj: Json) -> None:
    obj.setdefault("spec", {})["finalizers"] = ["kubernetes"]
    obj["status"] = {"phase": "Active"}


NOT_READY_TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def _prepare_node(obj: Json) -> None:
    taints = obj.setdefault("spec", {}).setdefault("taints", [])
    if not any(taint.get("key") == NOT_READY_TAINT["key"] for taint in taints):
        taints.append(dict(NOT_READY_TAINT))


def _default_node(obj: Json) -> None:
    status = obj.setdefault("status", {})
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def _node_causes(new: Json, old: Json | None) -> list[Cause]:
    causes = []
    seen = set()
    for index, taint in enumerate((new.get("spec") or {}).get("taints") or []):
        path = f"spec.taints[{index}]"
        if not taint.get("key"):
            causes.append(required(f"{path}.key"))
        if taint.get("effect") not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            choices = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
            causes.append(unsupported_value(f"{path}.effect", taint.get("effect", ""), choices))
        pair = (taint.get("key"), taint.get("effect"))
        if pair in seen:
            causes.append(invalid_value(path, taint, "taints must be unique by key and effect pair"))
        seen.add(pair)
    return causes


def _default_service(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _prepare_service(obj: Json) -> None:
    obj["status"] = {"loadBalancer": {}}


def _service_causes(new: Json, old: Json | None) -> list[Cause]:
    spec = new["spec"]
    causes = []
    kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    if spec["type"] not in kinds:
        causes.append(unsupported_value("spec.type", spec["type"], kinds))
    ports = spec.get("ports") or []
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append(required("spec.ports"))
    for index, port in enumerate(ports):
        number = port.get("port", 0)
        if not 0 < number < 65536:
            why = "must be between 1 and 65535, inclusive"
            causes.append(invalid_value(f"spec.ports[{index}].port", number, why))
        if len(ports) > 1 and not port.get("name"):
            causes.append(required(f"spec.ports[{index}].name"))
        elif (
            port.get("name")
            and (wrong := label_1035_error(port["name"].lower()))
            and port["name"][0].isalpha()
        ):
            causes.append(invalid_value(f"spec.ports[{index}].name", port["name"], wrong))
    if old is not None:
        before = old["spec"].get("clusterIP")
        if before and spec.get("clusterIP") != before and spec["type"] != "ExternalName":
            why = "may not change once set"
            causes.append(invalid_value("spec.clusterIPs[0]", spec.get("clusterIP", ""), why))
    return causes


def _default_claim(obj: Json) -> None:
    obj.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")


def _prepare_claim(obj: Json) -> None:
    obj["status"] = {"phase": "Pending"}
    finalizers = obj["metadata"].setdefault("finalizers", [])
    if "kubernetes.io/pvc-protection" not in finalizers:
        finalizers.append("kubernetes.io/pvc-protection")


def _claim_causes(new: Json, old: Json | None) -> list[Cause]:
    spec = new["spec"]
    causes = []
    if not spec.get("accessModes"):
        causes.append(required("spec.accessModes", "at least 1 access mode is required"))
    if not ((spec.get("resources") or {}).get("requests") or {}).get("storage"):
        causes.append(required("spec.resources[storage]"))
    return causes


def _prepare_volume(obj: Json) -> None:
    obj["status"] = {"phase": "Pending"}


def _default_secret(obj: Json) -> None:
    obj.setdefault("type", "Opaque")
    for key, value in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[key] = b64encode(value.encode()).decode()


def _data_causes(new: Json, old: Json | None) -> list[Cause]:
    causes = []
    if old is not None and old.get("immutable"):
        for field in ("data", "binaryData", "stringData"):
            if new.get(field) != old.get(field):
                causes.append(
                    Cause(
                        field, "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set"
                    )
                )
    if old is not None and new["kind"] == "Secret" and new.get("type") != old.get("type"):
        causes.append(invalid_value("type", new.get("type"), "field is immutable"))
    for field in ("data", "binaryData"):
        for key in new.get(field) or {}:
            if not key or len(key) > 253 or not all(sign.isalnum() or sign in "-_." for sign in key):
                why = (
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
                    "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                )
                causes.append(invalid_value(f"{field}[{key}]", key, why))
    size = sum(
        len(str(value)) for field in ("data", "binaryData") for value in (new.get(field) or {}).values()
    )
    if size > 1024 * 1024 * (4 / 3 if new["kind"] == "Secret" else 1):
        causes.append(
            Cause(
                "data" if new["kind"] == "Secret" else "",
                "FieldValueTooLong",
                "Too long: may not be more than 1048576 bytes",
            )
        )
    return causes


def _default_event(event: Json) -> None:
    """A real server answers these as null, never leaves them out: clients sort by one of them."""
    for field in ("firstTimestamp", "lastTimestamp", "eventTime"):
        event.setdefault(field, None)


def _event_causes(new: Json, old: Json | None) -> list[Cause]:
    space = (new.get("involvedObject") or {}).get("namespace", "")
    own = new["metadata"].get("namespace", "")
    if (space or "default") != own:
        return [invalid_value("involvedObject.namespace", space, "does not match event.namespace")]
    return []


def _default_binding(obj: Json) -> None:
    obj["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", **(obj.get("roleRef") or {})}
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")
        elif subject.get("kind") == "ServiceAccount" and obj["kind"] == "RoleBinding":
            subject.setdefault("namespace", obj["metadata"].get("namespace", ""))


def _binding_causes(new: Json, old: Json | None) -> list[Cause]:
    causes = []
    role = new["roleRef"]
    allowed = ["ClusterRole"] if new["kind"] == "ClusterRoleBinding" else ["Role", "ClusterRole"]
    if role.get("kind") not in allowed:
        causes.append(unsupported_value("roleRef.kind", role.get("kind", ""), allowed))
    if not role.get("name"):
        causes.append(required("roleRef.name"))
    for index, subject in enumerate(new.get("subjects") or []):
        if subject.get("kind") not in ("User", "Group", "ServiceAccount"):
            choices = ["ServiceAccount", "User", "Group"]
            causes.append(unsupported_value(f"subjects[{index}].kind", subject.get("kind", ""), choices))
        elif subject["kind"] == "ServiceAccount" and not subject.get("namespace"):
            causes.append(required(f"subjects[{index}].namespace"))
        if not subject.get("name"):
            causes.append(required(f"subjects[{index}].name"))
    if old is not None and role != old["roleRef"]:
        causes.append(invalid_value("roleRef", role, "cannot change roleRef"))
    return causes


def _role_causes(new: Json, old: Json | None) -> list[Cause]:
    causes = []
    for index, rule in enumerate(new.get("rules") or []):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            causes.append(required(f"{path}.verbs", "verbs must contain at least one value"))
        if not rule.get("nonResourceURLs"):
            if not rule.get("apiGroups"):
                causes.append(
                    required(f"{path}.apiGroups", "resource rules must supply at least one api group")
                )
            if not rule.get("resources"):
                causes.append(
                    required(f"{path}.resources", "resource rules must supply at least one resource")
                )
    return causes


def _default_priority(obj: Json) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
    obj.setdefault("value", 0)


def _default_storage_class(obj: Json) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def _clear_status(obj: Json) -> None:
    obj["status"] = {}


_WORKLOAD = Rules(default_workload, prepare_workload, workload_causes)
_RBAC = ".rbac.authorization.k8s.io"
_ANY = Rules()

BY_STORAGE: dict[str, Rules] = {
    "pods": Rules(default_pod, prepare_pod, pod_causes, answers_object=True),
    "namespaces": Rules(_default_namespace, _prepare_namespace),
    "nodes": Rules(_default_node, _prepare_node, _node_causes),
    "services": Rules(
        _default_service, _prepare_service, _service_causes, create_on_put=True, answers_object=True
    ),
    "configmaps": Rules(causes=_data_causes),
    "secrets": Rules(_default_secret, causes=_data_causes),
    "endpoints": Rules(create_on_put=True),
    "events": Rules(_default_event, causes=_event_causes, create_on_put=True),
    "serviceaccounts": Rules(answers_object=True),
    "persistentvolumeclaims": Rules(_default_claim, _prepare_claim, _claim_causes, answers_object=True),
    "persistentvolumes": Rules(prepare=_prepare_volume, answers_object=True),
    "deployments.apps": _WORKLOAD,
    "replicasets.apps": _WORKLOAD,
    "statefulsets.apps": _WORKLOAD,
    "daemonsets.apps": _WORKLOAD,
    "jobs.batch": Rules(default_job, prepare_job, job_causes),
    "leases.coordination.k8s.io": Rules(create_on_put=True, unconditional=False),
    "ingresses.networking.k8s.io": Rules(prepare=_clear_status),
    "poddisruptionbudgets.policy": Rules(prepare=_clear_status, unconditional=False),
    f"roles{_RBAC}": Rules(causes=_role_causes, create_on_put=True),
    f"clusterroles{_RBAC}": Rules(causes=_role_causes, create_on_put=True),
    f"rolebindings{_RBAC}": Rules(_default_binding, causes=_binding_causes, create_on_put=True),
    f"clusterrolebindings{_RBAC}": Rules(_default_binding, causes=_binding_causes, create_on_put=True),
    "customresourcedefinitions.apiextensions.k8s.io": Rules(
        default_definition, prepare_definition, definition_causes, unconditional=False
    ),
    "priorityclasses.scheduling.k8s.io": Rules(_default_priority),
    "storageclasses.storage.k8s.io": Rules(_default_storage_class),
}


def rules_for(storage: str) -> Rules:
    """The behaviour of a kind, the plain one when nothing is special about it."""
    return BY_STORAGE.get(storage, _ANY)
