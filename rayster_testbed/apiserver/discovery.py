"""What the API says about itself: versions, groups, resources."""

from __future__ import annotations

import platform
from typing import Any

from .kinds import Kind, Registry

Json = dict[str, Any]

VERSION: Json = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.2+rayster-testbed",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "cpython",
    "platform": f"linux/{platform.machine()}",
}
API_VERSIONS: Json = {
    "kind": "APIVersions",
    "versions": ["v1"],
    "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
}
# The smallest document with which every kubectl creates and applies: swagger "2.0" and nothing else, in protobuf.
OPENAPI_V2 = bytes.fromhex("0a03322e30")
OPENAPI_V2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

# Verbs of a subresource, and the kind its body is when it is not the object itself.
_SUBRESOURCES: dict[str, tuple[tuple[str, ...], Json]] = {
    "status": (("get", "patch", "update"), {}),
    "approval": (("get", "patch", "update"), {}),
    "finalize": (("update",), {}),
    "log": (("get",), {}),
    "binding": (("create",), {"kind": "Binding"}),
    "eviction": (("create",), {"kind": "Eviction", "group": "policy", "version": "v1"}),
    "scale": (("get", "patch", "update"), {"kind": "Scale", "group": "autoscaling", "version": "v1"}),
    "token": (
        ("create",),
        {"kind": "TokenRequest", "group": "authentication.k8s.io", "version": "v1"},
    ),
}


def _group(name: str, versions: list[str]) -> Json:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list(registry: Registry) -> Json:
    """The answer to `/apis`."""
    groups = [_group(name, versions) for name, versions in registry.groups().items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> Json | None:
    """The answer to `/apis/G`, None for an unknown group."""
    versions = registry.groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if versions else None


def _resources(kind: Kind) -> list[Json]:
    main: Json = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        main["shortNames"] = list(kind.short_names)
    if kind.categories:
        main["categories"] = list(kind.categories)
    entries = [main]
    for part in sorted(kind.subresources):
        verbs, body = _SUBRESOURCES[part]
        entry = {
            "name": f"{kind.plural}/{part}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(verbs),
        }
        entries.append({**entry, **body})
    return entries


def resource_list(registry: Registry, group_name: str, version: str) -> Json | None:
    """The answer to `/api/v1` and `/apis/G/V`, None for an unknown group or version."""
    kinds = [kind for kind in registry.kinds() if (kind.group, kind.version) == (group_name, version)]
    if not kinds:
        return None
    entries = [entry for kind in kinds for entry in _resources(kind)]
    entries.sort(key=lambda entry: entry["name"])
    where = f"{group_name}/{version}" if group_name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": where, "resources": entries}


def root_paths(registry: Registry) -> list[str]:
    """The answer to `/`: the paths there are."""
    groups = registry.groups()
    apis = [f"/apis/{name}" for name in groups]
    apis += [f"/apis/{name}/{version}" for name, versions in groups.items() for version in versions]
    return sorted(
        ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/readyz", "/version", *apis]
    )
