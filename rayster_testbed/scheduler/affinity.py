"""Which nodes a pod's selector and node affinity allow, and how much it prefers them: pure functions."""

from __future__ import annotations

from collections.abc import Mapping


def selector_matches(spec: Mapping, node: Mapping) -> bool:
    """Whether *node* satisfies `nodeSelector` and the required node affinity of a pod's *spec*."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = _node_affinity(spec).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(term_matches(term, node) for term in required.get("nodeSelectorTerms") or [])


def preference(spec: Mapping, node: Mapping) -> int:
    """The summed weight of the preferred node affinity terms that *node* satisfies."""
    terms = _node_affinity(spec).get("preferredDuringSchedulingIgnoredDuringExecution") or []
    return sum(term.get("weight", 0) for term in terms if term_matches(term.get("preference") or {}, node))


def term_matches(term: Mapping, node: Mapping) -> bool:
    """Whether *node* satisfies all expressions of a term; an empty term matches nothing."""
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels") or {}
    names = {"metadata.name": node["metadata"]["name"]}
    return all(_expression_matches(e, labels) for e in expressions) and all(
        _expression_matches(e, names) for e in fields
    )


def _node_affinity(spec: Mapping) -> Mapping:
    return (spec.get("affinity") or {}).get("nodeAffinity") or {}


def _expression_matches(expression: Mapping, values: Mapping[str, str]) -> bool:
    key, operator = expression["key"], expression["operator"]
    wanted = expression.get("values") or []
    value = values.get(key)
    if operator == "In":
        return value in wanted
    if operator == "NotIn":
        return value not in wanted
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator in ("Gt", "Lt") and value is not None:
        try:
            return int(value) > int(wanted[0]) if operator == "Gt" else int(value) < int(wanted[0])
        except ValueError:
            return False
    return False
