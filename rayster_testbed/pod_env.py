"""The environment of a container as Kubernetes defines it: literal values, references and `$(VAR)`; pure functions."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rayster_testbed.quantity import format_quantity, parse_quantity

# (kind, name) with kind "configmaps" or "secrets" -> the object, or None when it does not exist.
Objects = Mapping[tuple[str, str], Mapping[str, Any] | None]

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_VARIABLE = re.compile(r"\$\$|\$\(([^)]*)\)")


class EnvError(Exception):
    """A reference cannot be resolved; the text is what a kubelet says (`secret "x" not found`)."""


def env_references(containers: Iterable[Mapping]) -> set[tuple[str, str]]:
    """The config maps and secrets that the environment of *containers* refers to, as (plural, name)."""
    found: set[tuple[str, str]] = set()
    for container in containers:
        for source in container.get("envFrom") or []:
            if ref := source.get("configMapRef"):
                found.add(("configmaps", ref["name"]))
            if ref := source.get("secretRef"):
                found.add(("secrets", ref["name"]))
        for variable in container.get("env") or []:
            value_from = variable.get("valueFrom") or {}
            if ref := value_from.get("configMapKeyRef"):
                found.add(("configmaps", ref["name"]))
            if ref := value_from.get("secretKeyRef"):
                found.add(("secrets", ref["name"]))
    return found


def object_data(plural: str, obj: Mapping) -> dict[str, bytes]:
    """The keys of a config map or secret with their content."""
    if plural == "secrets":
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    text = {key: value.encode() for key, value in (obj.get("data") or {}).items()}
    binary = {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
    return text | binary


def field_value(pod: Mapping, field_path: str, status: Mapping[str, str]) -> str:
    """The value of a downward API `fieldRef`.

    Args:
        pod: the pod.
        field_path: such as `metadata.name` or `metadata.labels['x']`.
        status: values of the paths that only the node agent knows (`status.podIP`, `spec.nodeName`, ...).
    Raises: EnvError for a path that is not supported.
    """
    if field_path in status:
        return status[field_path]
    metadata = pod["metadata"]
    if field_path in ("metadata.name", "metadata.namespace", "metadata.uid"):
        return metadata.get(field_path.split(".")[1], "")
    if field_path in ("metadata.labels", "metadata.annotations"):
        values = metadata.get(field_path.split(".")[1]) or {}
        return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))
    if match := _SUBSCRIPT.fullmatch(field_path):
        return (metadata.get(match[1]) or {}).get(match[2], "")
    if field_path == "spec.serviceAccountName":
        return pod["spec"].get("serviceAccountName") or "default"
    if field_path == "spec.nodeName":
        return pod["spec"].get("nodeName") or ""
    raise EnvError(f"unsupported fieldPath: {field_path}")


def resource_value(container: Mapping, ref: Mapping, node_allocatable: Mapping[str, str]) -> str:
    """The value of a `resourceFieldRef`, in units of its divisor, rounded up; an absent limit is the node's size.

    Raises: EnvError for a resource that is not `limits.*` or `requests.*`.
    """
    scope, _, name = ref["resource"].partition(".")
    if scope not in ("limits", "requests") or not name:
        raise EnvError(f"unsupported container resource : {ref['resource']}")
    resources = container.get("resources") or {}
    text = (resources.get(scope) or {}).get(name)
    if text is None:
        text = node_allocatable.get(name, "0") if scope == "limits" else "0"
    divisor = parse_quantity(ref.get("divisor") or "1") or parse_quantity("1")
    return str(math.ceil(parse_quantity(text) / divisor))


def plain_resource(container: Mapping, ref: Mapping) -> str:
    """The quantity as it stands in the container (`64Mi`), as interLink's own resolution gives it."""
    scope, _, name = ref["resource"].partition(".")
    text = ((container.get("resources") or {}).get(scope) or {}).get(name)
    return format_quantity(parse_quantity("0")) if text is None else str(text)


def container_env(
    container: Mapping,
    objects: Objects,
    *,
    namespace: str,
    field: Callable[[Mapping], str],
    resource: Callable[[Mapping], str | None],
) -> dict[str, str]:
    """The environment of *container*, in the order in which it is declared.

    Args:
        container: the container of the pod's spec.
        objects: every object named by `env_references`.
        namespace: the pod's, for messages.
        field: resolves a `fieldRef`.
        resource: resolves a `resourceFieldRef`; None leaves the variable out.
    Raises: EnvError for a missing object or key that is not optional.
    """
    env: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        env |= _env_from(source, objects)
    for variable in container.get("env") or []:
        name, value_from = variable["name"], variable.get("valueFrom") or {}
        value: str | None
        if ref := value_from.get("fieldRef"):
            value = field(ref)
        elif ref := value_from.get("resourceFieldRef"):
            value = resource(ref)
        elif ref := value_from.get("configMapKeyRef"):
            value = _key("configmaps", ref, objects, namespace)
        elif ref := value_from.get("secretKeyRef"):
            value = _key("secrets", ref, objects, namespace)
        else:
            value = expand(variable.get("value") or "", env)
        if value is not None:
            env[name] = value
    return env


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` → its value when *env* has it (else left as it is), `$$` → `$`."""

    def replace(match: re.Match) -> str:
        if match[0] == "$$":
            return "$"
        return env.get(match[1], match[0])

    return _VARIABLE.sub(replace, text)


def _env_from(source: Mapping, objects: Objects) -> dict[str, str]:
    plural = "configmaps" if source.get("configMapRef") else "secrets"
    ref = source.get("configMapRef") or source.get("secretRef") or {}
    obj = objects.get((plural, ref.get("name", "")))
    if obj is None:
        if ref.get("optional"):
            return {}
        raise EnvError(f'{plural[:-1]} "{ref.get("name")}" not found')
    prefix = source.get("prefix") or ""
    return {prefix + key: value.decode(errors="replace") for key, value in object_data(plural, obj).items()}


def _key(plural: str, ref: Mapping, objects: Objects, namespace: str) -> str | None:
    obj = objects.get((plural, ref["name"]))
    if obj is None:
        if ref.get("optional"):
            return None
        raise EnvError(f'{plural[:-1]} "{ref["name"]}" not found')
    data = object_data(plural, obj)
    if ref["key"] not in data:
        if ref.get("optional"):
            return None
        kind = "Secret" if plural == "secrets" else "ConfigMap"
        raise EnvError(f"couldn't find key {ref['key']} in {kind} {namespace}/{ref['name']}")
    return data[ref["key"]].decode(errors="replace")
