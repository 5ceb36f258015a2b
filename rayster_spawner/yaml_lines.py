"""Reads YAML and remembers on which line each value stands."""

import re
from collections.abc import Hashable
from typing import Any, NamedTuple

import yaml

Path = tuple[str | int, ...]


# Bounds on the time that a hostile file costs; no profiles file comes near them. Merges (`<<`) of merges multiply keys.
MAX_NODES = 50_000
MAX_KEYS = 20_000


class _Loader(yaml.SafeLoader):
    """YAML as Helm reads it: `24:00` is no number of base 60; `on`, `yes`, `0o7`, dates and all keys are text."""

    def __init__(self, text: str | bytes):
        self._nodes = 0
        super().__init__(text)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node. Raises a yaml.YAMLError when they become too many."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_NODES} values", problem_mark=self.get_mark())
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put merged keys into the mapping. Raises a yaml.YAMLError when they become too many."""
        super().flatten_mapping(node)
        if len(node.value) > MAX_KEYS:
            raise yaml.MarkedYAMLError(
                problem=f"a mapping of more than {MAX_KEYS} keys", problem_mark=node.start_mark
            )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping with its keys as they are written."""
        if not isinstance(node, yaml.MappingNode):  # a tag that the value does not fit
            return super().construct_mapping(node, deep=deep)
        self.flatten_mapping(node)
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key that is not text", problem_mark=key.start_mark)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return what a node stands for. Raises a yaml.YAMLError also where its tag does not fit."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            raise yaml.MarkedYAMLError(
                problem=f"a value that does not fit its tag {node.tag}", problem_mark=node.start_mark
            ) from error


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
    """The text is not one YAML document; ``line`` counts from 1."""

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
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return Document(None, {(): 1}, [])
        document = Document(None, {(): 1}, [])
        _note_lines(root, (), document, set())
        return document._replace(data=loader.construct_document(root))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        if error.problem == "but found another document":
            raise YamlMistake("holds more than one YAML document; the second begins here", line) from None
        raise YamlMistake(f"is not YAML: {error.problem or error}", line) from None
    except yaml.reader.ReaderError as error:
        raise YamlMistake(f"is not YAML: {str(error).splitlines()[0]}", _line_of(error, text)) from None
    except yaml.YAMLError as error:
        raise YamlMistake(f"is not YAML: {str(error).splitlines()[0]}", 1) from None
    except RecursionError:
        raise YamlMistake("is not YAML: is nested too deeply", 1) from None
    except (ValueError, OverflowError):  # of an escape such as "\\UFFFFFFFF", which stands for no character
        line = loader.get_mark().line + 1 if loader else 1
        raise YamlMistake("is not YAML: an escape that stands for no character", line) from None
    finally:
        if loader:
            loader.dispose()


def _line_of(error: yaml.reader.ReaderError, text: str | bytes) -> int:
    """Return the line of what cannot be a character of YAML; its position is one of bytes where they are no text."""
    if isinstance(text, bytes) and error.encoding == "unicode":
        text = text.decode("utf-8", "replace")
    before = text[: error.position]
    return 1 + (before.count(b"\n") if isinstance(before, bytes) else before.count("\n"))


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
