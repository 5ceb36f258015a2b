"""Makes `wire_fields.txt`, the table that `wire` decodes protobuf bodies with, from the Go sources of Kubernetes' API.

Run it when a new release adds fields:
`python -m rayster_testbed.apiserver.wire_table API_CHECKOUT APIMACHINERY_CHECKOUT > wire_fields.txt`, where the
checkouts are those of `k8s.io/api` and `k8s.io/apimachinery`. The Go struct tags say all there is to know: field
number, JSON name, what is inlined, and what is left out when it is zero.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

GROUPS = {
    "core": "core/v1",
    "apps": "apps/v1",
    "authentication": "authentication/v1",
    "authorization": "authorization/v1",
    "autoscaling": "autoscaling/v1",
    "autoscaling2": "autoscaling/v2",
    "batch": "batch/v1",
    "certificates": "certificates/v1",
    "coordination": "coordination/v1",
    "discovery": "discovery/v1",
    "events": "events/v1",
    "networking": "networking/v1",
    "node": "node/v1",
    "policy": "policy/v1",
    "rbac": "rbac/v1",
    "scheduling": "scheduling/v1",
    "storage": "storage/v1",
}
SCALARS = {
    "string": "s",
    "bool": "b",
    "int": "i",
    "int32": "i",
    "int64": "i",
    "[]byte": "y",
    "metav1.Time": "time",
    "Time": "time",
    "metav1.MicroTime": "microtime",
    "MicroTime": "microtime",
    "resource.Quantity": "quantity",
    "intstr.IntOrString": "intorstring",
    "FieldsV1": "json",
    "metav1.FieldsV1": "json",
    "runtime.RawExtension": "json",
    "types.UID": "s",
    "types.NodeName": "s",
}
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_ALIAS = re.compile(r"^type (\w+) ([\w.\[\]]+)$", re.MULTILINE)
_FIELD = re.compile(
    r'^\t(?:(\w+)\s+)?([\w.*\[\]]+)\s+`json:"([^"]*)"[^`\n]*?\sprotobuf:"\w+,(\d+),', re.MULTILINE
)


def go_type(text: str, package: str, aliases: dict[str, dict[str, str]]) -> str:
    """A Go type in the words of the table: `s`, `[]core.Container`, `{}quantity`, …"""
    text = text.lstrip("*")
    if text in SCALARS:
        return SCALARS[text]
    if text.startswith("map["):
        return "{}" + go_type(text.partition("]")[2], package, aliases)
    if text.startswith("[]"):
        return "[]" + go_type(text[2:], package, aliases)
    space, _, name = text.rpartition(".")
    home = {"": package, "v1": "core", "apiv1": "core", "corev1": "core", "metav1": "meta"}.get(space, space)
    aliased = aliases.get(home, {}).get(name)
    if name == "ExtraValue":
        return "items"
    return go_type(aliased, home, aliases) if aliased else f"{home}.{name}"


def table(sources: dict[str, str]) -> list[str]:
    """The lines of the table for Go sources by package."""
    aliases = {package: dict(_ALIAS.findall(text)) for package, text in sources.items()}
    lines = []
    for package, text in sources.items():
        for struct, body in _STRUCT.findall(text):
            fields = []
            for name, kind, tag, number in _FIELD.findall(body):
                json_name, *options = tag.split(",")
                inline = "inline" in options or (not name and not json_name)
                optional = "omitempty" in options and not kind.startswith("*")
                mark = "inline" if inline else json_name
                fields.append(f"{number}:{mark}:{go_type(kind, package, aliases)}{'?' if optional else ''}")
            lines.append(" ".join([f"{package}.{struct}", *fields]))
    return lines


def main() -> None:
    """Print the table."""
    api, machinery = Path(sys.argv[1]), Path(sys.argv[2])
    sources = {package: (api / path / "types.go").read_text() for package, path in GROUPS.items()}
    sources["meta"] = (machinery / "pkg/apis/meta/v1/types.go").read_text()
    print("\n".join(table(sources)))


if __name__ == "__main__":
    main()
