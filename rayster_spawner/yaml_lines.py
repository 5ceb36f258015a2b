"""Reads YAML and remembers on which line each value stands."""

import re
from typing import Any, NamedTuple

import yaml

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML as Helm reads it: `24:00` is text (not base 60), and `on`, `yes`, `0o7` and dates are text too."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith((":timestamp", ":bool", ":int"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]{0,17})$"), list("-+0123456789")
)


class YamlMistake(ValueError):
    """The text is not YAML; ``line`` counts from 1."""

    def __init__(self, reason: str, line: int):
        super().__init__(reason)
        self.line = line


class Document(NamedTuple):
    """Plain data, the line of each path in it, and the paths of keys that stand twice."""

    data: Any
    lines: dict[Path, int]
    repeated: list[Path]

    def line(self, path: Path) -> int:
        """Return the line of ``path``, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(text: str | bytes) -> Document:
    """Read one YAML document. Raises YamlMistake."""
    try:
        root = yaml.compose(text, Loader=_Loader)
        document = Document(None, {(): 1}, [])
        if root is not None:
            _note_lines(root, (), document, set())
        return document._replace(data=yaml.load(text, Loader=_Loader))  # noqa: S506 - derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlMistake(error.problem or str(error), mark.line + 1 if mark else 1) from None
    except yaml.YAMLError as error:
        raise YamlMistake(str(error).splitlines()[0], 1) from None
    except RecursionError:
        raise YamlMistake("is nested too deeply", 1) from None


def _note_lines(node: yaml.Node, path: Path, document: Document, seen: set[int]) -> None:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in seen:  # an alias: its lines are those of the anchor
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for n, item in enumerate(node.value):
            _note_lines(item, (*path, n), document, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            here = (*path, key.value)
            # The last one would win in silence.
            if key.value in keys:
                document.repeated.append(here)
            keys.add(key.value)
            document.lines[here] = key.start_mark.line + 1
            _note_lines(value, here, document, seen)
