"""Taints and tolerations: the matching rule that the scheduler and the node lifecycle controller share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def tolerates(toleration: Mapping, taint: Mapping) -> bool:
    """Whether *toleration* covers *taint* (an empty key with `Exists` covers all, an empty effect any effect)."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def untolerated(
    taints: Iterable[Mapping], tolerations: Iterable[Mapping], effects: Iterable[str]
) -> Mapping | None:
    """The first taint with one of *effects* that no toleration covers, or None."""
    tolerations = list(tolerations)
    effects = set(effects)
    for taint in taints:
        if taint["effect"] in effects and not any(tolerates(t, taint) for t in tolerations):
            return taint
    return None
