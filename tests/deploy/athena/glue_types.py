"""Types of Glue's columns, read from their text: as Arrow's, as DuckDB's, and as Parquet's leaves.

This reads what `dev.templates.athena_types` writes, and shares nothing with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

_TOKEN: Final = re.compile(r"[A-Za-z0-9_]+|[<>(),:]")
_ARROW: Final = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ms"),
}
_DUCKDB: Final = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}


@dataclass(frozen=True)
class GlueType:
    """A type; the `children` of an array, a map and a struct have names as Parquet has them."""

    kind: str
    children: tuple[tuple[str, GlueType], ...] = ()
    digits: tuple[int, ...] = ()

    def arrow(self) -> pa.DataType:
        kinds = [child.arrow() for _, child in self.children]
        match self.kind:
            case "decimal":
                return pa.decimal128(*self.digits)
            case "array":
                return pa.list_(pa.field("element", kinds[0]))
            case "map":
                return pa.map_(*kinds)
            case "struct":
                names = [name for name, _ in self.children]
                return pa.struct(list(zip(names, kinds, strict=True)))
        return _ARROW[self.kind]

    def duckdb(self) -> str:
        kinds = [child.duckdb() for _, child in self.children]
        match self.kind:
            case "decimal":
                return f"DECIMAL({self.digits[0]}, {self.digits[1]})"
            case "array":
                return f"{kinds[0]}[]"
            case "map":
                return f"MAP({kinds[0]}, {kinds[1]})"
            case "struct":
                names = [name for name, _ in self.children]
                members = [f'"{name}" {kind}' for name, kind in zip(names, kinds, strict=True)]
                return f"STRUCT({', '.join(members)})"
        return _DUCKDB[self.kind]

    def leaves(self, path: str) -> Iterator[tuple[str, GlueType]]:
        """The columns of a Parquet file, by their paths, that a column of this type has."""
        between = {"array": "list.", "map": "key_value."}.get(self.kind, "")
        if not self.children:
            yield path, self
        for name, child in self.children:
            yield from child.leaves(f"{path}.{between}{name}")


def glue_type(text: str) -> GlueType:
    tokens = _TOKEN.findall(text)
    assert "".join(tokens) == text, f"a character of {text!r} is in no type"
    found = _read(tokens)
    assert not tokens, f"{tokens} after the type"
    return found


def _read(tokens: list[str]) -> GlueType:
    kind = tokens.pop(0)
    if kind == "decimal":
        parts = [tokens.pop(0) for _ in range(5)]
        assert "".join(parts[::2]) == "(,)"
        return GlueType(kind, digits=(int(parts[1]), int(parts[3])))
    if kind not in ("array", "map", "struct"):
        assert kind in _ARROW, f"{kind} is no type of Athena's"
        return GlueType(kind)
    assert tokens.pop(0) == "<"
    names = {"array": ["element"], "map": ["key", "value"], "struct": []}[kind]
    children = []
    while True:
        name = names.pop(0) if kind != "struct" else tokens.pop(0)
        assert kind != "struct" or tokens.pop(0) == ":"
        children.append((name, _read(tokens)))
        end = tokens.pop(0)
        if end == ">":
            return GlueType(kind, tuple(children))
        assert end == ","
