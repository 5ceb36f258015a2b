"""Server-side apply: merge a configuration into an object, remember which fields each manager applied.

A field that a manager applied and leaves out later is removed unless another manager applied it too; a field that
another manager applied with a different value is a conflict unless forced. Only applied fields are tracked, writes
by PUT and the other patches are not (a real server tracks these as well).
"""

from __future__ import annotations

from typing import Any

import orjson

from .decoding import FieldReport
from .deletion import now_text
from .errors import ApiError, bad_request
from .kinds import Kind
from .merge import SET_LISTS, merge_key
from .objects import Objects
from .store import Record

Json = dict[str, Any]
Path = tuple[str, ...]
_IDENTITY = (
    "name",
    "namespace",
    "generateName",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
)


def _schema_at(schema: Json | None, field: str) -> Json | None:
    if schema is None:
        return None
    found = (schema.get("properties") or {}).get(field)
    if found is None and isinstance(schema.get("additionalProperties"), dict):
        found = schema["additionalProperties"]
    return found if isinstance(found, dict) else {}


def _list_keys(field: str, parent: str, schema: Json | None) -> tuple[str, ...] | None:
    """The keys that identify the items of a list; () for a set; None for an atomic list."""
    if schema is not None:
        kind = schema.get("x-kubernetes-list-type")
        return {"map": tuple(schema.get("x-kubernetes-list-map-keys") or ()), "set": ()}.get(kind or "")
    if field in SET_LISTS:
        return ()
    key = merge_key(field, parent)
    return (key,) if key else None


def _item_id(item: Any, keys: tuple[str, ...]) -> str:
    if not keys:
        return "v:" + orjson.dumps(item).decode()
    return "k:" + orjson.dumps({key: item.get(key) for key in keys}, option=orjson.OPT_SORT_KEYS).decode()


def _applied(value: Any, field: str, parent: str, schema: Json | None, prefix: Path) -> set[Path]:
    """The leaf paths of a configuration, in the words of `fieldsV1`."""
    if isinstance(value, dict) and value:
        found: set[Path] = set()
        for key, item in value.items():
            found |= _applied(item, key, field, _schema_at(schema, key), (*prefix, f"f:{key}"))
        return found
    keys = _list_keys(field, parent, schema) if isinstance(value, list) else None
    if keys is None or not value:
        return {prefix}
    found = set()
    items = schema.get("items") if schema is not None else None
    for item in value:
        at = (*prefix, _item_id(item, keys))
        found.add((*at, ".") if keys else at)
        if keys:
            found |= _applied(item, field, parent, items, at)
    return found


def _merge(live: Any, value: Any, field: str, parent: str, schema: Json | None) -> Any:
    if isinstance(value, dict):
        result = dict(live) if isinstance(live, dict) else {}
        for key, item in value.items():
            result[key] = _merge(result.get(key), item, key, field, _schema_at(schema, key))
        return result
    keys = _list_keys(field, parent, schema) if isinstance(value, list) else None
    if keys is None:
        return value
    items = schema.get("items") if schema is not None else None
    merged = {_item_id(item, keys): item for item in live or []}
    for item in value:
        name = _item_id(item, keys)
        merged[name] = _merge(merged.get(name), item, field, parent, items) if keys else item
    return list(merged.values())


def _find(value: Any, step: str) -> Any:
    if step.startswith("f:"):
        return value.get(step[2:]) if isinstance(value, dict) else None
    wanted = orjson.loads(step[2:])
    for item in value if isinstance(value, list) else []:
        if item == wanted or (
            step.startswith("k:")
            and isinstance(item, dict)
            and all(item.get(k) == v for k, v in wanted.items())
        ):
            return item
    return None


def _value_at(value: Any, path: Path) -> Any:
    for step in path:
        if step == ".":
            break
        value = _find(value, step)
    return value


def _without(value: Any, path: Path) -> Any:
    """A copy of a tree without the leaf at `path`; containers that become empty go as well."""
    step, rest = path[0], path[1:]
    inner = _find(value, step)
    if inner is None and step.startswith("k:"):
        return value
    done = not rest or rest == (".",)
    if isinstance(value, dict):
        changed = dict(value)
        left = None if done or inner is None else _without(inner, rest)
        if left is None or left in ({}, []):
            changed.pop(step[2:], None)
        else:
            changed[step[2:]] = left
        return changed
    if isinstance(value, list):
        if done:
            return [item for item in value if item is not inner]
        return [_without(item, rest) if item is inner else item for item in value]
    return value


def _tree(paths: set[Path]) -> Json:
    root: Json = {}
    for path in sorted(paths):
        place = root
        for step in path:
            place = place.setdefault(step, {})
    return root


def _paths(tree: Json, prefix: Path = ()) -> set[Path]:
    if not tree:
        return {prefix} if prefix else set()
    return {path for step, inner in tree.items() for path in _paths(inner, (*prefix, step))}


def _written(path: Path) -> str:
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        elif step != ".":
            text += "[" + step[2:].strip("{}").replace('":', "=").replace('"', "", 1) + "]"
    return text


def apply(
    objects: Objects,
    kind: Kind,
    namespace: str,
    name: str,
    config: Json,
    manager: str,
    force: bool,
    subresource: str,
    dry_run: bool,
    report: FieldReport | None,
) -> tuple[Record, bool]:
    """Apply a configuration; the second value says whether the object was created. Raises: ApiError 400, 409, 422."""
    meta = config.get("metadata")
    if not isinstance(meta, dict) or meta.get("name", name) != name:
        raise bad_request(
            f"the name of the object ({(meta or {}).get('name', '') if isinstance(meta, dict) else ''}) "
            f"does not match the name on the URL ({name})"
        )
    if meta.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    config = {**config, "metadata": {**meta, "name": name}}
    fields = {
        **{key: value for key, value in config.items() if key not in ("apiVersion", "kind")},
        "metadata": {key: value for key, value in meta.items() if key not in _IDENTITY},
    }
    fields = {key: value for key, value in fields.items() if value != {}}
    owned = _applied(fields, "", "", kind.schema, ()) if fields else set()
    entry = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": kind.api_version,
        "time": now_text(),
        "fieldsType": "FieldsV1",
        "fieldsV1": _tree(owned),
    }
    if subresource:
        entry["subresource"] = subresource
    if objects.store.get(kind.storage, namespace, name) is None and not subresource:
        return objects.create(kind, namespace, config, dry_run, report, managed=[entry]), True

    def change(live: Json) -> Json:
        managed = list(live["metadata"].get("managedFields") or [])
        mine = [item for item in managed if _is_same_manager(item, entry)]
        others = [item for item in managed if not _is_same_manager(item, entry)]
        result = _merge(live, fields, "", "", kind.schema)
        others = _settle(live, result, owned, others, force)
        before = {path for item in mine for path in _paths(item.get("fieldsV1") or {})}
        kept = {path for item in others for path in _paths(item.get("fieldsV1") or {})}
        for path in sorted(before - owned - kept, key=len, reverse=True):
            result = _without(result, path)
        if mine and mine[0].get("fieldsV1") == entry["fieldsV1"]:
            entry["time"] = mine[0].get("time", entry["time"])
        version = meta.get("resourceVersion")
        more = {"resourceVersion": version} if version else {}
        result["metadata"] = {**result["metadata"], **more, "managedFields": [*others, entry]}
        return {**result, "apiVersion": config.get("apiVersion"), "kind": config.get("kind")}

    record = objects.patch(kind, namespace, name, change, subresource, dry_run, report, managed=True)
    return record, False


def _is_same_manager(item: Json, entry: Json) -> bool:
    return all(item.get(field) == entry.get(field) for field in ("manager", "operation", "subresource"))


def _settle(live: Json, result: Json, owned: set[Path], others: list[Json], force: bool) -> list[Json]:
    """The other managers' entries after this apply. Raises: ApiError 409 for a conflict that is not forced."""
    clashes: list[tuple[str, Path]] = []
    settled = []
    for item in others:
        theirs = _paths(item.get("fieldsV1") or {})
        lost = {path for path in theirs & owned if _value_at(live, path) != _value_at(result, path)}
        clashes += [(item.get("manager", ""), path) for path in sorted(lost) if path[-1] != "."]
        if theirs - lost:
            settled.append({**item, "fieldsV1": _tree(theirs - lost)} if lost else item)
    if clashes and not force:
        causes = [
            {"reason": "FieldManagerConflict", "message": f'conflict with "{who}"', "field": _written(path)}
            for who, path in clashes
        ]
        listed = "\n".join(f'conflict with "{who}": {_written(path)}' for who, path in clashes)
        plural = "conflict" if len(clashes) == 1 else "conflicts"
        separator = " " if len(clashes) == 1 else "\n"
        message = f"Apply failed with {len(clashes)} {plural}:{separator}{listed}"
        raise ApiError(409, "Conflict", message, {"causes": causes})
    return settled
