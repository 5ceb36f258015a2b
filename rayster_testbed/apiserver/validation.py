"""Rules every object obeys: names, labels, annotations, owner references, finalizers.

Messages and expressions are those of `k8s.io/apimachinery/pkg/util/validation`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .errors import Cause, forbidden_field, invalid_value, required, too_long
from .kinds import Kind

Json = dict[str, Any]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
TOTAL_ANNOTATIONS_BYTES = 256 * 1024

_IS_LABEL, _IS_SUBDOMAIN, _IS_1035 = re.compile(_LABEL), re.compile(_SUBDOMAIN), re.compile(_LABEL_1035)
_IS_QUALIFIED, _IS_LABEL_VALUE = re.compile(_QUALIFIED), re.compile(_LABEL_VALUE)


def _regex_error(what: str, example: str, pattern: str) -> str:
    return f"{what} (e.g. {example}, regex used for validation is '{pattern}')"


LABEL_ERROR = _regex_error(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character",
    "'my-name',  or '123-abc'",
    _LABEL,
)
SUBDOMAIN_ERROR = _regex_error(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character",
    "'example.com'",
    _SUBDOMAIN,
)
LABEL_1035_ERROR = _regex_error(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character",
    "'my-name',  or 'abc-123'",
    _LABEL_1035,
)
QUALIFIED_ERROR = _regex_error(
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character",
    "'MyName',  or 'my.name',  or '123-abc'",
    _QUALIFIED,
)
LABEL_VALUE_ERROR = _regex_error(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character",
    "'MyValue',  or 'my_value',  or '12345'",
    _LABEL_VALUE,
)


def label_error(name: str) -> str | None:
    """What is wrong with a DNS-1123 label (≤ 63 characters), or None."""
    if len(name) > 63:
        return "must be no more than 63 characters"
    return None if _IS_LABEL.fullmatch(name) else LABEL_ERROR


def subdomain_error(name: str) -> str | None:
    """What is wrong with a DNS-1123 subdomain (≤ 253 characters), or None."""
    if len(name) > 253:
        return "must be no more than 253 characters"
    return None if _IS_SUBDOMAIN.fullmatch(name) else SUBDOMAIN_ERROR


def label_1035_error(name: str) -> str | None:
    """What is wrong with a DNS-1035 label (≤ 63 characters), or None."""
    if len(name) > 63:
        return "must be no more than 63 characters"
    return None if _IS_1035.fullmatch(name) else LABEL_1035_ERROR


def path_segment_error(name: str) -> str | None:
    """What is wrong with a name that only has to fit into a path, or None."""
    if name in (".", ".."):
        return f"may not be '{name}'"
    for sign in "/%":
        if sign in name:
            return f"may not contain '{sign}'"
    return None


_NAME_RULES: dict[str, Callable[[str], str | None]] = {
    "namespaces": label_error,
    "services": label_1035_error,
    "roles.rbac.authorization.k8s.io": path_segment_error,
    "rolebindings.rbac.authorization.k8s.io": path_segment_error,
    "clusterroles.rbac.authorization.k8s.io": path_segment_error,
    "clusterrolebindings.rbac.authorization.k8s.io": path_segment_error,
}


def qualified_name_error(name: str) -> str | None:
    """What is wrong with a label or annotation key, or None."""
    prefix, slash, rest = name.rpartition("/")
    if slash:
        if not prefix:
            return "prefix part must be non-empty"
        if wrong := subdomain_error(prefix):
            return f"prefix part {wrong}"
    if not rest:
        return "name part must be non-empty"
    if len(rest) > 63:
        return "name part must be no more than 63 characters"
    return None if _IS_QUALIFIED.fullmatch(rest) else QUALIFIED_ERROR


def label_value_error(value: str) -> str | None:
    """What is wrong with a label's value, or None."""
    if len(value) > 63:
        return "must be no more than 63 characters"
    return None if _IS_LABEL_VALUE.fullmatch(value) else LABEL_VALUE_ERROR


def label_causes(labels: Json, field: str) -> list[Cause]:
    """What is wrong with a map of labels."""
    causes = []
    for key, value in labels.items():
        if wrong := qualified_name_error(key):
            causes.append(invalid_value(field, key, wrong))
        if wrong := label_value_error(value):
            causes.append(invalid_value(field, value, wrong))
    return causes


def _annotation_causes(annotations: Json) -> list[Cause]:
    field = "metadata.annotations"
    wrong_keys = ((key, qualified_name_error(key.lower())) for key in annotations)
    causes = [invalid_value(field, key, wrong) for key, wrong in wrong_keys if wrong]
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > TOTAL_ANNOTATIONS_BYTES:
        causes.append(too_long(field, f"may not be more than {TOTAL_ANNOTATIONS_BYTES} bytes"))
    return causes


def _owner_causes(owners: list[Json]) -> list[Cause]:
    causes = []
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                why = "must not be empty"
                causes.append(invalid_value(f"{path}.{name}", owner.get(name, ""), why))
    controllers = [owner for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        why = (
            "Only one reference can have Controller set to true. Found "
            f'"true" in references for {controllers[0]["kind"]}/{controllers[0]["name"]} and '
            f"{controllers[1]['kind']}/{controllers[1]['name']}"
        )
        causes.append(invalid_value("metadata.ownerReferences", owners, why))
    return causes


def metadata_causes(meta: Json, kind: Kind) -> list[Cause]:
    """Everything that is wrong with an object's metadata."""
    causes: list[Cause] = []
    rule = _NAME_RULES.get(kind.storage, subdomain_error)
    name, base = meta.get("name", ""), meta.get("generateName", "")
    if not name:
        causes.append(required("metadata.name", "name or generateName is required"))
    elif wrong := rule(name):
        causes.append(invalid_value("metadata.name", name, wrong))
    if base and (wrong := rule(base.rstrip("-.") or base)):
        causes.append(invalid_value("metadata.generateName", base, wrong))
    causes += label_causes(meta.get("labels") or {}, "metadata.labels")
    causes += _annotation_causes(meta.get("annotations") or {})
    causes += _owner_causes(meta.get("ownerReferences") or [])
    for finalizer in meta.get("finalizers") or []:
        if wrong := qualified_name_error(finalizer):
            causes.append(invalid_value("metadata.finalizers", finalizer, wrong))
    return causes


def metadata_update_causes(new: Json, old: Json) -> list[Cause]:
    """What of the metadata may not change the way it does."""
    causes = [
        invalid_value(f"metadata.{name}", new.get(name), "field is immutable")
        for name in ("name", "namespace", "uid", "creationTimestamp")
        if new.get(name) != old.get(name)
    ]
    if old.get("deletionTimestamp"):
        added = [item for item in new.get("finalizers") or [] if item not in (old.get("finalizers") or [])]
        if added:
            listed = ", ".join(f'"{item}"' for item in added)
            why = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}"
            )
            causes.append(forbidden_field("metadata.finalizers", why))
    return causes
