"""URL path and method → what is asked of which resource, as Kubernetes' `RequestInfo` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

NAMESPACE_PARTS = ("status", "finalize")
_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


@dataclass(frozen=True)
class ResourcePath:
    """The resource part of a request; empty strings where the path says nothing."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    watch: bool = False

    def verb(self, method: str, watching: bool = False) -> str:
        """The verb that RBAC rules name."""
        verb = _VERBS.get(method, "")
        if not self.name:
            if verb == "get":
                return "watch" if watching else "list"
            if verb == "delete":
                return "deletecollection"
        elif watching and verb == "get" and self.watch:
            return "watch"
        return verb

    @property
    def resource(self) -> str:
        """`pods`, `pods/log`: the resource as RBAC rules name it."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural


def parse_path(raw_path: str) -> ResourcePath | None:
    """The resource a path names, or None when it is no resource path (`/version`, `/apis`, …)."""
    parts = [unquote(part) for part in raw_path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watch = rest[0] == "watch" and len(rest) > 1
    if watch:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and not (rest[2] in NAMESPACE_PARTS and group == ""):
            rest = rest[2:]
    plural, name, subresource = [*rest, "", ""][:3]
    return ResourcePath(group, version, plural, namespace, name, subresource, "/".join(rest[3:]), watch)
