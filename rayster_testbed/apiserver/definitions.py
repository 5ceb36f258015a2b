"""CustomResourceDefinitions: checked when they come in, and served as kinds from then on."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from .errors import Cause, forbidden_field, invalid_value, required
from .kinds import Kind, Registry
from .validation import label_1035_error, subdomain_error

Json = dict[str, Any]

STORAGE = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def default_definition(obj: Json) -> None:
    """Fill in a definition's defaults, in place."""
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if names.get("kind"):
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", names["kind"] + "List")
    spec.setdefault("conversion", {"strategy": "None"})


def prepare_definition(obj: Json) -> None:
    """Accept a new definition: its names are taken and it is established from the start."""
    names = obj["spec"].get("names") or {}
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    accepted = {
        "lastTransitionTime": now,
        "message": "no conflicts found",
        "reason": "NoConflicts",
        "status": "True",
        "type": "NamesAccepted",
    }
    established = {
        "lastTransitionTime": now,
        "message": "the initial names have been accepted",
        "reason": "InitialNamesAccepted",
        "status": "True",
        "type": "Established",
    }
    stored = [item.get("name", "") for item in obj["spec"].get("versions") or [] if item.get("storage")]
    obj["status"] = {
        "acceptedNames": dict(names),
        "conditions": [accepted, established],
        "storedVersions": stored,
    }
    obj["metadata"].setdefault("finalizers", []).append(CLEANUP)


def definition_causes(new: Json, old: Json | None) -> list[Cause]:
    """Everything that is wrong with a definition."""
    spec, causes = new["spec"], list[Cause]()
    names, group = spec.get("names") or {}, spec.get("group", "")
    if not group:
        causes.append(required("spec.group"))
    elif wrong := subdomain_error(group):
        causes.append(invalid_value("spec.group", group, wrong))
    elif "." not in group:
        causes.append(invalid_value("spec.group", group, "should be a domain with at least one dot"))
    for field in ("plural", "singular", "kind", "listKind"):
        name = names.get(field, "")
        if not name:
            causes.append(required(f"spec.names.{field}"))
        elif wrong := label_1035_error(name.lower()):
            causes.append(invalid_value(f"spec.names.{field}", name, wrong))
    wanted = f"{names.get('plural', '')}.{group}"
    if new["metadata"].get("name") != wanted:
        why = 'must be spec.names.plural+"."+spec.group'
        causes.append(invalid_value("metadata.name", new["metadata"].get("name"), why))
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        causes.append(required("spec.scope") if not spec.get("scope") else _scope_cause(spec["scope"]))
    causes += _version_causes(spec.get("versions") or [])
    if old is not None:
        for field in ("group", "scope"):
            if spec.get(field) != old["spec"].get(field):
                causes.append(invalid_value(f"spec.{field}", spec.get(field), "field is immutable"))
    return causes


def _scope_cause(scope: str) -> Cause:
    message = f'Unsupported value: "{scope}": supported values: "Cluster", "Namespaced"'
    return Cause("spec.scope", "FieldValueNotSupported", message)


def _version_causes(versions: list[Json]) -> list[Cause]:
    causes = []
    if not versions:
        causes.append(required("spec.versions", "must have at least one version"))
    elif sum(bool(item.get("storage")) for item in versions) != 1:
        why = "must have exactly one version marked as storage version"
        causes.append(invalid_value("spec.versions", [item.get("name") for item in versions], why))
    for index, item in enumerate(versions):
        path = f"spec.versions[{index}]"
        if wrong := label_1035_error(item.get("name", "")):
            causes.append(invalid_value(f"{path}.name", item.get("name", ""), wrong))
        schema = (item.get("schema") or {}).get("openAPIV3Schema")
        if not schema:
            causes.append(required(f"{path}.schema.openAPIV3Schema", "schemas are required"))
        elif schema.get("type") != "object":
            where = f"{path}.schema.openAPIV3Schema.type"
            causes.append(invalid_value(where, schema.get("type", ""), "must be object at the root"))
        elif schema.get("x-kubernetes-preserve-unknown-fields") is False:
            where = f"{path}.schema.openAPIV3Schema.x-kubernetes-preserve-unknown-fields"
            causes.append(forbidden_field(where, "must be true or undefined"))
    return causes


def kinds_of(definition: Json) -> list[Kind]:
    """The kinds that a definition serves, one for each served version."""
    spec, names = definition["spec"], definition["spec"]["names"]
    group, plural = spec["group"], names["plural"]
    stored = next(item["name"] for item in spec["versions"] if item.get("storage"))
    return [
        Kind(
            group=group,
            version=item["name"],
            kind=names["kind"],
            plural=plural,
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=frozenset(item.get("subresources") or ()),
            generation=True,
            stored=f"{group}/{stored}",
            storage=f"{plural}.{group}",
            singular=names["singular"],
            list_kind=names["listKind"],
            selectable=tuple(field["jsonPath"].lstrip(".") for field in item.get("selectableFields") or ()),
            columns=tuple(item.get("additionalPrinterColumns") or ()),
            schema=item["schema"]["openAPIV3Schema"],
            custom=True,
            scale=(item.get("subresources") or {}).get("scale") or {},
        )
        for item in spec["versions"]
        if item.get("served")
    ]


def serve_definition(registry: Registry, definition: Json) -> None:
    """Serve what a definition says from now on (again)."""
    spec = definition["spec"]
    registry.discard_custom(spec["group"], spec["names"]["plural"])
    for kind in kinds_of(definition):
        registry.add(kind)
