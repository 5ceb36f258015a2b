"""Label and field selectors: text of a query string → a predicate over objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .errors import bad_request
from .kinds import Kind

Json = dict[str, Any]
Predicate = Callable[[Json], bool]

_KEY = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_COMPARE = re.compile(rf"({_KEY})\s*(==|=|!=|>|<)\s*({_VALUE})")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")
_WHOLE_VALUE = re.compile(_VALUE)

Test = Callable[[Mapping[str, str]], bool]


def _compare(key: str, operator: str, value: str) -> Test:
    if operator in ("=", "=="):
        return lambda labels: labels.get(key) == value
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    try:
        bound = int(value)
    except ValueError:
        raise bad_request(
            f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": '
            "for 'Gt', 'Lt' operators, the value must be an integer"
        ) from None

    def by_number(labels: Mapping[str, str]) -> bool:
        try:
            found = int(labels.get(key, ""))
        except ValueError:
            return False
        return found > bound if operator == ">" else found < bound

    return by_number


def _in_set(key: str, operator: str, text: str) -> Test:
    values = {item.strip() for item in text.split(",")}
    for value in values:
        if not _WHOLE_VALUE.fullmatch(value) or len(value) > 63:
            raise bad_request(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}"')
    if operator == "in":
        return lambda labels: labels.get(key) in values
    return lambda labels: labels.get(key) not in values


def _exists(negated: str, key: str) -> Test:
    if negated:
        return lambda labels: key not in labels
    return lambda labels: key in labels


def _requirement(text: str) -> tuple[Test, int]:
    """The first requirement of a selector, and how long its text is."""
    forms: tuple[tuple[re.Pattern[str], Callable[..., Test]], ...] = (
        (_SET, _in_set),
        (_COMPARE, _compare),
        (_EXISTS, _exists),
    )
    for pattern, build in forms:
        match = pattern.match(text)
        if match and re.match(r"\s*(,|$)", text[match.end() :]):
            return build(*match.groups()), match.end()
    raise bad_request(f"unable to parse requirement: found '{text}', expected: identifier or '!'")


def parse_labels(text: str) -> list[Test]:
    """Parse a label selector (`a=b,c in (d,e),!f`) into tests over an object's labels.

    Raises: ApiError 400 when the text is not a selector.
    """
    tests: list[Test] = []
    rest = text.strip()
    while rest:
        test, length = _requirement(rest)
        tests.append(test)
        rest = rest[length:].lstrip()
        if rest.startswith(","):
            rest = rest[1:].lstrip()
            if not rest:
                raise bad_request("unable to parse requirement: found '', expected: identifier after ','")
    return tests


def match_labels(text: str) -> Predicate | None:
    """The predicate of a label selector over whole objects; None when it selects everything."""
    tests = parse_labels(text)
    if not tests:
        return None

    def matches(obj: Json) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return matches


def selects(selector: Json | None, labels: Mapping[str, str]) -> bool:
    """Whether a `LabelSelector` object (`matchLabels`, `matchExpressions`) selects these labels."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for item in selector.get("matchExpressions") or []:
        key, values = item["key"], item.get("values") or []
        verdict = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not verdict.get(item["operator"], False):
            return False
    return True


def split_fields(text: str) -> list[tuple[str, str, str]]:
    r"""Split `a=b,c!=d` into (path, operator, value); `\,` `\=` and `\\` stand for themselves.

    Raises: ApiError 400 when a term has no operator.
    """
    requirements = []
    for term in re.findall(r"(?:\\.|[^,\\])+", text):
        found = re.match(r"((?:\\.|[^=!\\])*)(!=|==|=)(.*)", term, re.DOTALL)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        path, operator, value = found.groups()
        requirements.append((path, operator, re.sub(r"\\(.)", r"\1", value)))
    return requirements


def _field(obj: Json, path: tuple[str, ...], kind: Kind) -> str:
    if kind.storage == "events" and path == ("source",):
        source = obj.get("source") or {}
        return str(source.get("component") or obj.get("reportingComponent") or "")
    if kind.storage == "jobs.batch" and path == ("status", "successful"):
        path = ("status", "succeeded")
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        if path in (("spec", "unschedulable"), ("spec", "hostNetwork")):
            return "false"
        return "0" if path == ("status", "succeeded") else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_EVENTS_K8S_IO = {"regarding": "involvedObject", "reportingController": "reportingComponent"}


def match_fields(text: str, kind: Kind) -> tuple[Predicate | None, str | None]:
    """The predicate of a field selector and, when it asks for one `metadata.name`, that name.

    Raises: ApiError 400 for a field the kind cannot be selected by.
    """
    tests: list[tuple[tuple[str, ...], bool, str]] = []
    name: str | None = None
    for path, operator, value in split_fields(text):
        if path not in ("metadata.name", "metadata.namespace") and path not in kind.selectable:
            if kind.selectable or kind.custom:
                raise bad_request(f"field label not supported: {path}")
            raise bad_request(
                f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            )
        if path == "metadata.name" and operator != "!=":
            name = value
        parts = path.split(".")
        if kind.storage == "events":
            parts[0] = _EVENTS_K8S_IO.get(parts[0], parts[0])
        tests.append((tuple(parts), operator != "!=", value))
    if not tests:
        return None, None

    def matches(obj: Json) -> bool:
        return all((_field(obj, path, kind) == value) is wanted for path, wanted, value in tests)

    return matches, name


def both(first: Predicate | None, second: Predicate | None) -> Predicate | None:
    """The conjunction of two predicates, None standing for "everything"."""
    if first is None or second is None:
        return first or second
    one, two = first, second
    return lambda obj: one(obj) and two(obj)
