"""Read a YAML file of the configuration: plain values, each key once, nothing quoted in errors.

PyYAML keeps the last of two equal keys, quotes the line of an error, which may hold a password, and
reads YAML 1.1: `010` would be 8, `12:30` 750, and a date an object of Python. Here these are text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from connectors.errors import UserError
from connectors.text_files import cut, read_text

_MOST_VALUES: Final = 100_000
"""More are no configuration: aliases of aliases multiply, and each is copied."""

_QUOTE: Final = (
    "put a value in quotes that begins with one of @ % * & ! ` | > or contains ': ' or ' #',"
    " and inside of { } also one with ${."
)
_KINDS: Final = {yaml.ScalarNode: "a text or number", yaml.SequenceNode: "a list"}


class _Invalid(Exception):
    """What is wrong, and where in the file."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(f"line {mark.line + 1}, column {mark.column + 1}: {problem}")


class _Loader(yaml.SafeLoader):
    """Composes nodes without explicit tags: a tag is mostly a password that begins with `!`."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise _Invalid(f"a tag is not allowed; {_QUOTE}", event.start_mark)
        return super().compose_node(parent, index)


def _resolvers() -> dict[str, list[tuple[str, Any]]]:
    """Return PyYAML's rules of null, truth values, merges and plain numbers.

    Each is one of PyYAML's or narrower, so that `yaml.safe_dump` quotes what it has to.
    """
    kept = ("null", "bool", "merge")
    rules = {
        first: [(tag, regexp) for tag, regexp in pairs if tag.rpartition(":")[2] in kept]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    integer = re.compile(r"[-+]?(0|[1-9][0-9_]{0,39})\Z")
    number = re.compile(
        r"[-+]?([0-9]{1,40}\.[0-9]{0,40}|\.[0-9]{1,40})([eE][-+][0-9]{1,4})?\Z"
        r"|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
    )
    for first in "-+.0123456789":
        rules.setdefault(first, []).append(("tag:yaml.org,2002:int", integer))
        rules[first].append(("tag:yaml.org,2002:float", number))
    return rules


_Loader.yaml_implicit_resolvers = _resolvers()


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        UserError: with the file and the line, without the text in it.
    """
    text = read_text(path, f" Pass an existing file with --config{_beside(path)}")
    name = cut(str(path), 300)
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise UserError(
                f"{name}: must contain sections such as `source:`, not"
                f" {_KINDS.get(type(node), 'nothing')}."
            )
        _measure(node, {})
        content: dict[str, Any] = loader.construct_document(node)
    except _Invalid as error:
        raise UserError(f"{name}: {error}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{name}: is not YAML: line {line} has a control character.") from None
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{name}: is not YAML: {_Invalid(_problem(error), _mark(error))}") from None
    except RecursionError:
        raise UserError(f"{name}: is not YAML for a configuration: nested too deep.") from None
    finally:
        if loader:
            loader.dispose()
    return content


def _beside(path: Path) -> str:
    """Return the file in the same folder whose name is nearly that one, as a question."""
    try:
        names = [each.name for each in path.parent.iterdir() if each.is_file()]
    except (OSError, ValueError):
        names = []
    near = difflib.get_close_matches(path.name[:255], names, n=1)
    return f"; did you mean {cut(str(path.with_name(near[0])), 300)}?" if near else "."


def _measure(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return the number of values below a node, aliases followed; refuse what cannot be meant.

    `sizes` has those of finished nodes, and 0 for nodes that are open: an alias to one of them
    contains itself.
    """
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise _Invalid("an alias is inside of what it stands for", node.start_mark)
        return sizes[id(node)]
    sizes[id(node)] = 0
    below: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        _refuse_repeated_keys(node)
        below = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        below = node.value
    size = 1 + sum(_measure(each, sizes) for each in below)
    if size > _MOST_VALUES:
        raise _Invalid(f"its aliases stand for more than {_MOST_VALUES:,} values", node.start_mark)
    sizes[id(node)] = size
    return size


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    lines: dict[Hashable, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Invalid("a key must be a name", key.start_mark)
        line = key.start_mark.line + 1
        if key.value in lines:
            raise _Invalid(
                f"the key {cut(key.value)} is given twice, in line {lines[key.value]} and in line"
                f" {line}; keep one.",
                key.start_mark,
            )
        lines[key.value] = line


def _problem(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's words if they quote nothing of the file, and the usual remedy."""
    problem = error.problem or ""
    plain = "" if re.search(r"['\"]", problem) else f"{problem}; "
    begin = error.context_mark
    inside = f"inside of what begins in line {begin.line + 1}; " if begin else ""
    return plain + inside + _QUOTE


def _mark(error: yaml.MarkedYAMLError) -> Any:
    return error.problem_mark or error.context_mark or yaml.Mark("", 0, 0, 0, "", 0)
