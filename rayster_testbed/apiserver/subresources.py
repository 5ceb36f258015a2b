"""The parts of an object that have a path of their own: binding, eviction, scale."""

from __future__ import annotations

from typing import Any

import orjson

from .decoding import conform, parse_body
from .deletion import DeleteOptions, now_text
from .errors import ApiError, bad_request, conflict, invalid, required
from .kinds import Kind
from .objects import Objects
from .requests import Call
from .selectors import selects
from .store import Record

Json = dict[str, Any]

BINDING = Kind("", "v1", "Binding", "", model="V1Binding")
EVICTION = Kind("policy", "v1", "Eviction", "", model="V1Eviction")
SCALE = Kind("autoscaling", "v1", "Scale", "", model="V1Scale")
SUCCESS: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def bind(objects: Objects, call: Call, body: bytes, dry_run: bool) -> Json:
    """POST pods/NAME/binding: give a pod its node, once. Raises: ApiError 409 when it has one."""
    kind, namespace, name = call.kind, call.namespace, call.path.name
    binding = conform(parse_body(body, call.content_type, "Binding"), BINDING)
    node = (binding.get("target") or {}).get("name")
    if not node:
        raise invalid("Binding", "", name, [required("target.name")])
    record = objects.read(kind, namespace, name)
    pod = record.copy()
    meta = binding.get("metadata") or {}
    if meta.get("uid") and meta["uid"] != pod["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {pod['metadata']['uid']}"
        raise conflict("pods/binding", "", name, why)
    if pod["metadata"].get("deletionTimestamp"):
        raise conflict("pods/binding", "", name, f"pod {name} is being deleted, cannot be assigned to a host")
    if pod["spec"].get("nodeName"):
        why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        raise conflict("pods/binding", "", name, why)
    pod["spec"]["nodeName"] = node
    for field in ("annotations", "labels"):
        if meta.get(field):
            pod["metadata"][field] = {**(pod["metadata"].get(field) or {}), **meta[field]}
    set_condition(pod, {"type": "PodScheduled", "status": "True"})
    if not dry_run:
        objects.store.put(kind.storage, namespace, name, pod)
    return SUCCESS


def set_condition(obj: Json, condition: Json) -> None:
    """Set one of `status.conditions` by its type, in place; the transition time moves when the status changes."""
    conditions = obj.setdefault("status", {}).setdefault("conditions", [])
    for old in conditions:
        if old["type"] == condition["type"]:
            moved = old["status"] != condition["status"]
            when = now_text() if moved else old.get("lastTransitionTime", now_text())
            old.clear()
            old.update({"lastProbeTime": None, **condition, "lastTransitionTime": when})
            return
    conditions.append({"lastProbeTime": None, **condition, "lastTransitionTime": now_text()})


def evict(objects: Objects, call: Call, body: bytes, options: DeleteOptions) -> Json:
    """POST pods/NAME/eviction: delete a pod unless a disruption budget forbids it (429)."""
    kind, namespace, name = call.kind, call.namespace, call.path.name
    eviction = conform(parse_body(body, call.content_type, "Eviction"), EVICTION)
    asked = eviction.get("deleteOptions") or {}
    pod = objects.read(kind, namespace, name).obj
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed", "Pending")
    for _, _, record in objects.store.records("poddisruptionbudgets.policy", namespace):
        budget = record.obj
        if ended or not selects(budget["spec"].get("selector"), pod["metadata"].get("labels") or {}):
            continue
        if (budget.get("status") or {}).get("disruptionsAllowed", 0) < 1:
            cause = {
                "reason": "DisruptionBudget",
                "message": f"The disruption budget {budget['metadata']['name']} does not allow evicting pods currently",
            }
            message = "Cannot evict pod as it would violate the pod's disruption budget."
            raise ApiError(429, "TooManyRequests", message, {"causes": [cause]})
    grace = asked.get("gracePeriodSeconds")
    uid = (asked.get("preconditions") or {}).get("uid")
    objects.delete(
        kind, namespace, name, DeleteOptions(grace_seconds=grace, uid=uid, dry_run=options.dry_run)
    )
    return SUCCESS


def _at(obj: Json, path: str, default: Any = None) -> Any:
    value: Any = obj
    for part in path.strip(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return default if value is None else value


def _scale_paths(kind: Kind) -> Json:
    default = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": "",
    }
    return {**default, **kind.scale}


def read_scale(kind: Kind, obj: Json) -> Json:
    """The `Scale` of an object that has replicas."""
    paths, meta = _scale_paths(kind), obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Json = {"replicas": _at(obj, paths["statusReplicasPath"], 0)}
    if kind.custom and paths["labelSelectorPath"]:
        status["selector"] = _at(obj, paths["labelSelectorPath"], "")
    elif not kind.custom:
        labels = _at(obj, "spec.selector.matchLabels", {})
        status["selector"] = ",".join(f"{key}={value}" for key, value in labels.items())
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: meta[field] for field in kept if field in meta},
        "spec": {"replicas": _at(obj, paths["specReplicasPath"], 0)},
        "status": status,
    }


def write_scale(objects: Objects, kind: Kind, record: Record, scale: Json, dry_run: bool) -> Record:
    """Set an object's replicas from a `Scale`. Raises: ApiError."""
    scale = conform(scale, SCALE)
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    path = _scale_paths(kind)["specReplicasPath"].strip(".").split(".")
    name = record.obj["metadata"]["name"]
    if (scale.get("metadata") or {}).get("name", name) != name:
        raise bad_request("the name of the object does not match the name on the URL")

    def change(obj: Json) -> Json:
        obj = orjson.loads(orjson.dumps(obj))
        place = obj
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = replicas
        version = (scale.get("metadata") or {}).get("resourceVersion")
        if version:
            obj["metadata"]["resourceVersion"] = version
        return obj

    namespace = record.obj["metadata"].get("namespace", "")
    return objects.patch(kind, namespace, name, change, dry_run=dry_run)
