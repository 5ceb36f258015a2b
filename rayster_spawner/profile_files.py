"""Reads profiles from YAML (a profiles file, or a Helm values file) and tells every mistake with its line."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from . import interlink
from .profile_checks import (
    IMPOSSIBLE,
    Mistake,
    impossible,
    names_used_twice,
    not_one_token,
    site_label,
    sites_of_no_profile,
)
from .profile_words import UNIONS, reason
from .profiles import Profile, ProfileSet
from .text import did_you_mean, shown
from .yaml_lines import Document, YamlMistake, read_yaml

# Where a Helm values file holds the profiles.
HELM_PATH = ("custom", "rayster")
# As much as Kubernetes keeps in one ConfigMap or Secret.
MAX_FILE_BYTES = 2**20


class FileMistake(NamedTuple):
    """A mistake with the place in a file where a person can mend it; ``line`` counts from 1."""

    file: str
    line: int
    path: str
    value: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (f"{self.file}:{self.line}", self.path, self.value, self.reason)))


class ProfilesError(ValueError):
    """A profiles file cannot be used; ``mistakes`` are all of them, and the text has one a line."""

    def __init__(self, mistakes: list[FileMistake]):
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def load_profiles(file: str | Path) -> ProfileSet:
    """Read a profiles file, or a Helm values file with profiles under ``custom.rayster``.

    Raises ProfilesError, which names every mistake with its line and the reason why a file cannot be read.
    """
    file = Path(file)
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ProfilesError(
            [FileMistake(str(file), 1, "", "", f"cannot be read: {error.strerror}")]
        ) from None
    if len(text) > MAX_FILE_BYTES:
        raise ProfilesError([FileMistake(str(file), 1, "", "", f"is larger than {MAX_FILE_BYTES} bytes")])
    return parse_profiles(text, str(file))


def parse_profiles(text: str | bytes, file: str = "profiles") -> ProfileSet:
    """Read profiles from YAML ``text``; ``file`` is only what mistakes call it. Raises ProfilesError."""
    try:
        document = read_yaml(text)
    except YamlMistake as error:
        raise ProfilesError([FileMistake(file, error.line, "", "", str(error))]) from None
    prefix, content = _find_profiles(document.data)
    if isinstance(content, Mapping) and not prefix and "profiles" not in content:
        # Not a word about the other keys: a values file is full of other parts' keys.
        profiles, found = None, list(_no_profiles(content))
    else:
        profiles, found = validate_profiles(content)
    mistakes = [Mistake(prefix + m.path, m.value, m.reason) for m in found]
    # Keys that stand twice elsewhere in a values file are another part's business.
    mistakes += [
        Mistake(path, None, "stands twice; only one of them would count")
        for path in document.repeated
        if path[: len(prefix)] == prefix
    ]
    if profiles is None or mistakes:
        raise ProfilesError(sorted((_in_file(m, file, document) for m in mistakes), key=lambda m: m.line))
    return profiles


def validate_profiles(content: Any) -> tuple[ProfileSet | None, list[Mistake]]:
    """Return the profiles in plain data and no mistakes, or None and every mistake."""
    try:
        return ProfileSet.model_validate(content), []
    except ValidationError as error:
        mistakes = [mistake for details in error.errors() for mistake in _mistakes_of(details, content)]
        # Of a union, only the branch that the value was meant for is of use.
        mistakes = [
            m for m in mistakes if not (isinstance(m.value, (dict, list)) and _is_detailed(m, mistakes))
        ]
        mistakes += _hidden_mistakes(content, mistakes)
        first_of = {(mistake.path, mistake.reason): mistake for mistake in reversed(mistakes)}
        return None, list(reversed(first_of.values()))


def _is_detailed(mistake: Mistake, mistakes: list[Mistake]) -> bool:
    depth = len(mistake.path)
    return any(len(m.path) > depth and m.path[:depth] == mistake.path for m in mistakes)


def _find_profiles(data: Any) -> tuple[tuple[str, ...], Any]:
    """Return where the profiles are in the file, and what is there."""
    if isinstance(data, Mapping) and "profiles" not in data:
        inner: Any = data
        for key in HELM_PATH:
            inner = inner.get(key) if isinstance(inner, Mapping) else None
        if inner is not None:
            return HELM_PATH, inner
    return (), data


def _no_profiles(content: Mapping[str, Any]) -> Iterator[Mistake]:
    yield Mistake(("profiles",), None, "is required, at the top or under custom.rayster")
    for key in content:
        if close := did_you_mean(key, ["profiles"]):
            yield Mistake((key,), None, f"is not a key here{close}")


def _mistakes_of(details: ErrorDetails, content: Any) -> list[Mistake]:
    """Turn one error of pydantic into mistakes that say what is allowed."""
    kind, value, context = details["type"], details["input"], details.get("ctx") or {}
    path = _data_path(details["loc"], content, missing=kind == "missing")
    if kind == IMPOSSIBLE:
        return [
            Mistake(path + m.path, _as_written(path + m.path, content, m.value), m.reason)
            for m in context["mistakes"]
        ]
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1])
        close = did_you_mean(path[-1], known)
        return [Mistake(path, value, f"is not a key here; known are {', '.join(known)}{close}")]
    if len(path) == 3 and path[-1] in UNIONS and kind != "missing":
        return [Mistake(path, value, UNIONS[path[-1]])]
    return [Mistake(path, None if kind == "missing" else value, reason(kind, value, context, details["msg"]))]


def _as_written(path: tuple[str | int, ...], content: Any, read: Any) -> Any:
    """Return what stands at ``path`` in the file (`8Gi`) instead of what was ``read`` from it (8192)."""
    for step in path:
        if isinstance(content, Mapping) and step in content:
            content = content[step]
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        else:
            return read
    return read if isinstance(content, (Mapping, list)) else content


def _data_path(loc: tuple[str | int, ...], content: Any, missing: bool) -> tuple[str | int, ...]:
    """Return ``loc`` without the names that pydantic adds for its own union branches and dictionary keys."""
    path: list[str | int] = []
    here = content
    for n, step in enumerate(loc):
        if isinstance(here, Mapping) and step in here:
            here = here[step]
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        elif not (missing and n == len(loc) - 1):
            continue
        path.append(step)
    return tuple(path)


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that are allowed in the mapping at ``path``."""
    schema: dict[str, Any] = ProfileSet.model_json_schema()
    here = schema
    for step in path:
        if isinstance(step, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(step) or _any_entry(here)
        here = _mapping_branch(here, schema)
    return list(here.get("properties", {}))


def _any_entry(mapping: dict[str, Any]) -> dict[str, Any]:
    """Return what each entry of a mapping is whose keys are the admin's own names."""
    return next(iter(mapping.get("patternProperties", {}).values()), {})


def _mapping_branch(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for branch in (here, *here.get("anyOf", [])):
        if "$ref" in branch:
            return schema["$defs"][branch["$ref"].rsplit("/", 1)[1]]
        if branch.get("type") == "array":
            return branch
    return here


def _hidden_mistakes(content: Any, found: list[Mistake]) -> Iterator[Mistake]:
    """Yield the impossible combinations that pydantic did not come to, because another field is wrong."""
    entries = content.get("profiles") if isinstance(content, Mapping) else None
    if not isinstance(entries, list):
        return
    known_paths = {mistake.path for mistake in found}
    for mistake in _hidden_mistakes_of_sites(content.get("sites"), entries):
        if mistake.path not in known_paths:
            yield mistake
    broken = {mistake.path[1] for mistake in found if len(mistake.path) > 1}
    yield from names_used_twice(
        [entry.get("name") if isinstance(entry, Mapping) else None for entry in entries]
    )
    for n, entry in enumerate(entries):
        if n in broken and isinstance(entry, Mapping):
            readable = SimpleNamespace(**dict(_readable_fields(entry)))
            for mistake in impossible(readable):
                yield Mistake(("profiles", n, *mistake.path), mistake.value, mistake.reason)


def _hidden_mistakes_of_sites(sites: Any, profiles: list[Any]) -> Iterator[Mistake]:
    if not isinstance(sites, Mapping):
        return
    labels = [
        site_label(entry["name"], entry["site"])
        for entry in profiles
        if isinstance(entry, Mapping)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("site"), (str, Mapping))
    ]
    used = [label for label in labels if interlink.matches(interlink.NODE_NAME_PATTERN, label)]
    # A profile that cannot be read may be the one that uses the site.
    if len(used) == len(profiles):
        yield from sites_of_no_profile(map(str, sites), used)
    for name, site in sites.items():
        agent = site.get("agent") if isinstance(site, Mapping) else None
        if isinstance(agent, Mapping):
            tokens = {field: agent.get(field) for field in ("token_file", "token_env")}
            for mistake in not_one_token(SimpleNamespace(**tokens)):
                yield Mistake(("sites", name, "agent", *mistake.path), mistake.value, mistake.reason)


def _readable_fields(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, field in Profile.model_fields.items():
        if name not in entry:
            if not field.is_required():
                yield name, field.get_default(call_default_factory=True)
            continue
        try:
            yield name, _adapter(field).validate_python(entry[name])
        except ValidationError:
            continue


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]


def _in_file(mistake: Mistake, file: str, document: Document) -> FileMistake:
    path = ".".join(map(_step, mistake.path)) or "(top)"
    value = "" if mistake.value is None or mistake.value == "…" else shown(mistake.value)
    return FileMistake(file, document.line(mistake.path), path, value, mistake.reason)


def _step(step: str | int) -> str:
    """Return a key as it is written, but for one that would break the line or talk to the terminal."""
    return str(step) if str(step).isprintable() else shown(step)
