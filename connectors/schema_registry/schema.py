"""Schemas that records were written with, parsed, and what stands for one that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import fastavro
import msgspec
from fastavro.schema import SchemaParseException, UnknownType

from connectors.text_files import cut

MOST_BYTES: Final = 10_000_000
"""Of one schema, with the answer that holds it."""

_UNFIT: Final = (
    SchemaParseException, UnknownType,
    ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError,
)  # fmt: skip
"""What fastavro raises for JSON that is no schema, as it expects the right types everywhere."""
_KEPT: Final = frozenset(
    "type name namespace fields items values symbols size logicalType precision scale".split()
)
"""Old writers have defaults that are wrong, and no reader needs them, nor docs and aliases."""
_DEEPEST: Final = 100


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A valid schema: its names and references are full names, which `named` defines."""

    schema: Any
    named: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such schema, or none that can be used; `detail` says why, for a dead letter."""

    detail: str


def parse(text: str | bytes, referenced: Sequence[str | bytes] = ()) -> WriterSchema | Unknown:
    """Return the schema in a text; `referenced` are those that it names, before those they name."""
    named: dict[str, Any] = {}
    try:
        for each in referenced:
            fastavro.parse_schema(_read(each), named)
        schema = fastavro.parse_schema(_read(text), named)
    except _UNFIT as error:
        reason = cut(f"{type(error).__name__}: {error}", 200)
        return Unknown(f"the schema is no valid Avro schema ({reason})")
    return WriterSchema(schema, named)


def _read(text: str | bytes) -> Any:
    return _type(msgspec.json.decode(text), 0)


def _type(node: Any, depth: int) -> Any:
    """Return a type with what the binary form depends on; a type in a type is the inner one."""
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST} levels")
    if isinstance(node, list):
        return [_type(branch, depth + 1) for branch in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("type"), dict | list):
        return _type(node["type"], depth + 1)
    made = {key: value for key, value in node.items() if key in _KEPT}
    _check(made)
    for key in ("items", "values"):
        if key in made:
            made[key] = _type(made[key], depth + 1)
    if "fields" in made:
        made["fields"] = [
            {"name": field["name"], "type": _type(field["type"], depth + 1)}
            for field in made["fields"]
        ]
    return made


def _check(node: dict[str, Any]) -> None:
    """Check what fastavro does not."""
    if node.get("type") in ("record", "error"):
        names = [field["name"] for field in node["fields"]]
        if len(set(names)) < len(names):
            raise ValueError(f"record {node.get('name')} has two fields of one name")
    if node.get("type") == "enum" and not isinstance(node.get("symbols"), list):
        raise ValueError(f"enum {node.get('name')} has no list of symbols")
    size = node.get("size", 0)
    if node.get("type") == "fixed" and (type(size) is not int or not 0 <= size <= MOST_BYTES):
        raise ValueError(f"fixed {node.get('name')} has the size {size}")
