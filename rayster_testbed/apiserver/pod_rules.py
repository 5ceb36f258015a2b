"""Validation of pods: what is wrong with one, and what of it may change."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from .errors import Cause, duplicate, forbidden_field, invalid_value, required, unsupported_value
from .pods import containers
from .quantities import parse_quantity
from .validation import label_causes, label_error, subdomain_error

Json = dict[str, Any]

UPDATE_FORBIDDEN = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
RESTART_POLICIES = ["Always", "OnFailure", "Never"]
PULL_POLICIES = ["Always", "IfNotPresent", "Never"]
DNS_POLICIES = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]
EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]


def _resource_causes(path: str, resources: Json) -> list[Cause]:
    causes = []
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for group, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            where, quantity = f"{path}.{group}[{name}]", parse_quantity(amount)
            if quantity < 0:
                causes.append(invalid_value(where, amount, "must be greater than or equal to 0"))
            if _is_extended(name) and quantity % 1:
                causes.append(invalid_value(where, amount, "must be an integer"))
            if (
                "/" not in name
                and name not in ("cpu", "memory", "ephemeral-storage")
                and not name.startswith("hugepages-")
            ):
                causes.append(invalid_value(where, name, "must be a standard resource for containers"))
    for name, amount in requests.items():
        request, limit = parse_quantity(amount), limits.get(name)
        if limit is None:
            if _is_extended(name):
                causes.append(
                    required(f"{path}.limits", "Limit must be set for non overcommitable resources")
                )
        elif _is_extended(name) and request != parse_quantity(limit):
            causes.append(
                invalid_value(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}")
            )
        elif request > parse_quantity(limit):
            why = f"must be less than or equal to {name} limit of {limit}"
            causes.append(invalid_value(f"{path}.requests", amount, why))
    return causes


def _is_extended(name: str) -> bool:
    """Whether a resource cannot be given out more than once: any device's, none of Kubernetes' own."""
    return "/" in name and not name.startswith("kubernetes.io/")


def _port_causes(path: str, port: Json) -> list[Cause]:
    causes = []
    number = port.get("containerPort")
    if number is None:
        causes.append(required(f"{path}.containerPort"))
    elif not 0 < number < 65536:
        why = "must be between 1 and 65535, inclusive"
        causes.append(invalid_value(f"{path}.containerPort", number, why))
    if "name" in port and (len(port["name"]) > 15 or label_error(port["name"])):
        wrong = "must be no more than 15 characters" if len(port["name"]) > 15 else label_error(port["name"])
        causes.append(invalid_value(f"{path}.name", port["name"], wrong or ""))
    if port.get("protocol", "TCP") not in ("TCP", "UDP", "SCTP"):
        causes.append(unsupported_value(f"{path}.protocol", port["protocol"], ["SCTP", "TCP", "UDP"]))
    return causes


def _container_causes(path: str, container: Json, volumes: set[str]) -> list[Cause]:
    causes = []
    name = container.get("name", "")
    if not name:
        causes.append(required(f"{path}.name"))
    elif wrong := label_error(name):
        causes.append(invalid_value(f"{path}.name", name, wrong))
    if not container.get("image"):
        causes.append(required(f"{path}.image"))
    if container.get("imagePullPolicy") not in PULL_POLICIES:
        causes.append(
            unsupported_value(f"{path}.imagePullPolicy", container["imagePullPolicy"], PULL_POLICIES)
        )
    for index, variable in enumerate(container.get("env") or []):
        at = f"{path}.env[{index}]"
        if not variable.get("name"):
            causes.append(required(f"{at}.name"))
        elif "=" in variable["name"]:
            causes.append(
                invalid_value(
                    f"{at}.name", variable["name"], "environment variable names must not contain '='"
                )
            )
        if variable.get("value") and variable.get("valueFrom"):
            why = "may not be specified when `value` is not empty"
            causes.append(invalid_value(f"{at}.valueFrom", "", why))
    for index, mount in enumerate(container.get("volumeMounts") or []):
        at = f"{path}.volumeMounts[{index}]"
        if not mount.get("mountPath"):
            causes.append(required(f"{at}.mountPath"))
        if not mount.get("name"):
            causes.append(required(f"{at}.name"))
        elif mount["name"] not in volumes:
            causes.append(Cause(f"{at}.name", "FieldValueNotFound", f'Not found: "{mount["name"]}"'))
    paths = [mount.get("mountPath") for mount in container.get("volumeMounts") or []]
    for index, mount_path in enumerate(paths):
        if mount_path in paths[:index]:
            why = "must be unique"
            causes.append(invalid_value(f"{path}.volumeMounts[{index}].mountPath", mount_path, why))
    for index, port in enumerate(container.get("ports") or []):
        causes += _port_causes(f"{path}.ports[{index}]", port)
    return causes + _resource_causes(f"{path}.resources", container.get("resources") or {})


def _toleration_causes(tolerations: list[Json]) -> list[Cause]:
    causes = []
    for index, item in enumerate(tolerations):
        at = f"spec.tolerations[{index}]"
        operator = item.get("operator", "Equal")
        if not item.get("key") and operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            causes.append(invalid_value(f"{at}.operator", operator, why))
        if operator not in ("Equal", "Exists", "Lt", "Gt"):
            causes.append(unsupported_value(f"{at}.operator", operator, ["Equal", "Exists"]))
        if operator == "Exists" and item.get("value"):
            why = "value must be empty when `operator` is 'Exists'"
            causes.append(invalid_value(f"{at}.operator", item["value"], why))
        if item.get("effect") and item["effect"] not in EFFECTS:
            causes.append(unsupported_value(f"{at}.effect", item["effect"], EFFECTS))
        if item.get("tolerationSeconds") is not None and item.get("effect") != "NoExecute":
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            causes.append(invalid_value(f"{at}.effect", item.get("effect", ""), why))
    return causes


def pod_spec_causes(spec: Json) -> list[Cause]:
    """Everything that is wrong with a pod spec after its defaults were filled in; paths begin with `spec`."""
    causes = []
    volumes: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or []):
        name = volume.get("name", "")
        if not name:
            causes.append(required(f"spec.volumes[{index}].name"))
        elif wrong := label_error(name):
            causes.append(invalid_value(f"spec.volumes[{index}].name", name, wrong))
        elif name in volumes:
            causes.append(duplicate(f"spec.volumes[{index}].name", name))
        if len(set(volume) - {"name"}) > 1:
            why = "may not specify more than 1 volume type"
            causes.append(forbidden_field(f"spec.volumes[{index}].{sorted(set(volume) - {'name'})[1]}", why))
        volumes.add(name)
    if not spec.get("containers"):
        causes.append(required("spec.containers"))
    names: set[str] = set()
    for path, container in containers(spec):
        causes += _container_causes(path, container, volumes)
        if container.get("name") in names:
            causes.append(duplicate(f"{path}.name", container["name"]))
        names.add(container.get("name", ""))
    if spec.get("restartPolicy") not in RESTART_POLICIES:
        causes.append(unsupported_value("spec.restartPolicy", spec["restartPolicy"], RESTART_POLICIES))
    if spec.get("dnsPolicy") not in DNS_POLICIES:
        causes.append(unsupported_value("spec.dnsPolicy", spec["dnsPolicy"], DNS_POLICIES))
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        value = spec["terminationGracePeriodSeconds"]
        causes.append(
            invalid_value("spec.terminationGracePeriodSeconds", value, "must be greater than or equal to 0")
        )
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 0 < deadline < 2**31:
        why = "must be between 1 and 2147483647, inclusive"
        causes.append(invalid_value("spec.activeDeadlineSeconds", deadline, why))
    for field in ("nodeName", "serviceAccountName"):
        if spec.get(field) and (wrong := subdomain_error(spec[field])):
            causes.append(invalid_value(f"spec.{field}", spec[field], wrong))
    if spec.get("hostname") and (wrong := label_error(spec["hostname"])):
        causes.append(invalid_value("spec.hostname", spec["hostname"], wrong))
    causes += label_causes(spec.get("nodeSelector") or {}, "spec.nodeSelector")
    return causes + _toleration_causes(spec.get("tolerations") or [])


def _without_mutable(spec: Json) -> Json:
    """A pod spec without what an update may change."""
    free = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")
    rest = {key: value for key, value in spec.items() if key not in free}
    for field in ("containers", "initContainers"):
        if field in rest:
            rest[field] = [
                {key: value for key, value in item.items() if key != "image"} for item in rest[field]
            ]
    return rest


def pod_causes(new: Json, old: Json | None) -> list[Cause]:
    """Everything that is wrong with a pod (`old`: with changing it so)."""
    spec = new["spec"]
    if old is None:
        return pod_spec_causes(spec)
    before = old["spec"]
    tolerations, had = spec.get("tolerations") or [], before.get("tolerations") or []
    kept = all(any(_same_but_shorter(item, other) for other in tolerations) for item in had)
    grace, grace_before = (
        spec.get("terminationGracePeriodSeconds"),
        before.get("terminationGracePeriodSeconds"),
    )
    gates = [
        item
        for item in spec.get("schedulingGates") or []
        if item not in (before.get("schedulingGates") or [])
    ]
    frozen = spec.get("nodeName") == before.get("nodeName") and _without_mutable(spec) == _without_mutable(
        before
    )
    if not frozen or grace != grace_before or gates:
        return [forbidden_field("spec", UPDATE_FORBIDDEN)]
    causes = []
    if not kept:
        why = "existing toleration can not be modified except its tolerationSeconds"
        causes.append(forbidden_field("spec.tolerations", why))
    deadline, deadline_before = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if deadline_before is not None and (deadline is None or deadline > deadline_before):
        why = "must be less than or equal to previous value"
        causes.append(invalid_value("spec.activeDeadlineSeconds", deadline, why))
    return causes + pod_spec_causes(spec) + _address_causes(new.get("status") or {})


def _address_causes(status: Json) -> list[Cause]:
    """What is wrong with the addresses in a pod's status; a lone `podIP` is read as the first of `podIPs`."""
    pod_ips = [item.get("ip", "") for item in status.get("podIPs") or []]
    if status.get("podIP") and pod_ips[:1] != [status["podIP"]]:
        pod_ips = [status["podIP"]]
    host_ips = [item.get("ip", "") for item in status.get("hostIPs") or []]
    causes = []
    for field, addresses in (("podIPs", pod_ips), ("hostIPs", host_ips)):
        for index, address in enumerate(addresses):
            if not _is_address(address):
                why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
                causes.append(invalid_value(f"status.{field}[{index}]", address, why))
    return causes


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # Go's parser takes no zones


def _same_but_shorter(item: Json, other: Json) -> bool:
    return {**item, "tolerationSeconds": 0} == {**other, "tolerationSeconds": 0}
