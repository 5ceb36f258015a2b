"""The three patch formats as pure functions: JSON merge patch, JSON patch and strategic merge patch.

JSON merge patch: RFC 7386. JSON patch: RFC 6902. Strategic merge: Kubernetes' own, see
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from __future__ import annotations

import copy
from typing import Any

import orjson

Json = dict[str, Any]

# Where a list is merged by a key, that key; by field name, and by "parent.field" where one name has two meanings.
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "secrets": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "hostIPs": "ip",
    "podIPs": "ip",
    "conditions": "type",
    "addresses": "type",
    "ownerReferences": "uid",
    "containers.ports": "containerPort",
    "initContainers.ports": "containerPort",
    "spec.ports": "port",
}
SET_LISTS = {"finalizers"}
# As kube-apiserver's `JSONPatchMaxCopyBytes`: copies of copies double with each operation.
MAX_COPY_BYTES = 3 * 1024 * 1024
MAX_OPERATIONS = 10_000
_MISSING = object()


class PatchError(ValueError):
    """The patch does not fit the object; `malformed` when it is no patch at all."""

    def __init__(self, message: str, malformed: bool = False) -> None:
        super().__init__(message)
        self.malformed = malformed


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch; neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def _pointer(path: Any) -> list[str]:
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise PatchError(f"invalid path {path!r}", malformed=True)
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(items: list[Any], part: str, adding: bool) -> int:
    if adding and part == "-":
        return len(items)
    if not part.isdecimal() or int(part) > len(items) - (0 if adding else 1):
        raise PatchError(f"Unable to access invalid index: {part}")
    return int(part)


def _get(document: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(document, list):
            document = document[_index(document, part, adding=False)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            return _MISSING
    return document


def _parent(document: Any, path: list[str], text: str) -> Any:
    parent = _get(document, path[:-1])
    if not isinstance(parent, dict | list):
        raise PatchError(f'add operation does not apply: doc is missing path: "{text}": missing value')
    return parent


def _add(document: Any, path: list[str], value: Any, text: str) -> Any:
    if not path:
        return value
    parent = _parent(document, path, text)
    if isinstance(parent, list):
        parent.insert(_index(parent, path[-1], adding=True), value)
    else:
        parent[path[-1]] = value
    return document


def _remove(document: Any, path: list[str], text: str, operation: str = "remove") -> Any:
    if not path or _get(document, path) is _MISSING:
        raise PatchError(
            f'{operation} operation does not apply: doc is missing path: "{text}": missing value'
        )
    parent = _parent(document, path, text)
    if isinstance(parent, list):
        del parent[_index(parent, path[-1], adding=False)]
    else:
        del parent[path[-1]]
    return document


def json_patch(document: Any, operations: Any) -> Any:
    """Apply a JSON patch to a copy of the document. Raises PatchError."""
    if not isinstance(operations, list) or not all(isinstance(item, dict) for item in operations):
        raise PatchError("cannot unmarshal into a JSON patch", malformed=True)
    document = copy.deepcopy(document)
    copied = 0
    for item in operations:
        operation, text = item.get("op"), item.get("path")
        path = _pointer(text)
        if operation in ("add", "replace", "test") and "value" not in item:
            raise PatchError(f'Unexpected kind: operation "{operation}" without a value')
        if operation == "add":
            document = _add(document, path, copy.deepcopy(item["value"]), text)
        elif operation == "remove":
            document = _remove(document, path, text)
        elif operation == "replace":
            if path:
                _remove(document, path, text, "replace")
            document = _add(document, path, copy.deepcopy(item["value"]), text)
        elif operation in ("copy", "move"):
            source = _pointer(item.get("from"))
            value = _get(document, source)
            if value is _MISSING:
                raise PatchError(
                    f'{operation} operation does not apply: doc is missing from path: "{item["from"]}"'
                )
            if operation == "copy":
                copied += len(orjson.dumps(value))
            if copied > MAX_COPY_BYTES:
                raise PatchError(
                    f"Unable to copy, the accumulated size increase of copy is {copied}, exceeding the limit "
                    f"{MAX_COPY_BYTES}"
                )
            value = copy.deepcopy(value)
            if operation == "move":
                document = _remove(document, source, item["from"])
            document = _add(document, path, value, text)
        elif operation == "test":
            found = _get(document, path)
            if (None if found is _MISSING else found) != item["value"]:
                raise PatchError(f"testing path {text} failed")
        else:
            raise PatchError(f"Unexpected kind: {operation}")
    return document


def merge_key(field: str, parent: str) -> str | None:
    """The key by which strategic merge matches the items of a list, None for an atomic list."""
    return MERGE_KEYS.get(f"{parent}.{field}") or MERGE_KEYS.get(field)


def strategic_merge(target: Any, patch: Any, field: str = "", parent: str = "") -> Any:
    """Apply a strategic merge patch to an object of a built-in kind; neither argument is changed.

    Arguments: `field` and its `parent` name the place in the object, which decides how a list is merged.
    """
    if isinstance(patch, dict):
        return _merge_map(target if isinstance(target, dict) else {}, patch, field)
    if isinstance(patch, list):
        return _merge_list(target if isinstance(target, list) else [], patch, field, parent)
    return patch


def _merge_map(target: Json, patch: Json, field: str) -> Json:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"unknown patch type found: {directive}", malformed=True)
    result = dict(target)
    retained = patch.get("$retainKeys")
    if isinstance(retained, list):
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            if not isinstance(value, list):
                raise PatchError(f"the value of {key} is not a list", malformed=True)
            if isinstance(result.get(name), list):
                result[name] = [item for item in result[name] if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic_merge(result.get(key), value, key, field)
    return result


def _merge_list(target: list[Any], patch: list[Any], field: str, parent: str) -> list[Any]:
    key = merge_key(field, parent)
    if key is None or any(not isinstance(item, dict) for item in patch):
        if field in SET_LISTS:
            return target + [item for item in patch if item not in target]
        return [_plain(item) for item in patch]
    if any(item.get("$patch") == "replace" for item in patch):
        return [_plain(item) for item in patch if "$patch" not in item]
    result = list(target)
    for item in patch:
        if key not in item:
            raise PatchError(f"map: {item} does not contain declared merge key: {key}", malformed=True)
        at = next(
            (i for i, old in enumerate(result) if isinstance(old, dict) and old.get(key) == item[key]), None
        )
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(strategic_merge({}, item, field, parent))
        else:
            result[at] = strategic_merge(result[at], item, field, parent)
    return result


def _plain(value: Any) -> Any:
    """A value of a patch that is taken whole, without the nulls and directives inside maps."""
    return strategic_merge({}, value) if isinstance(value, dict) else value
