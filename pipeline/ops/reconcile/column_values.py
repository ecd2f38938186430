"""SQL for the digest of a column of the lake, of any kind and with any DuckDB type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import duckdb

from connectors.sql import literal
from pipeline.events.model import Field, Kind
from pipeline.ops.reconcile.digests import EPOCH_DAY, NULL, ODD_COLUMN, known, leaf, unless_null

_INTEGERS: Final = frozenset(
    ("tinyint", "smallint", "integer", "bigint", "hugeint")
    + ("utinyint", "usmallint", "uinteger", "ubigint")
)
_LOCAL: Final = frozenset(("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"))
_NANOS: Final = frozenset(("timestamp_ns", "timestamptz_ns"))
_TYPES: Final[Mapping[Kind, frozenset[str]]] = {
    "boolean": frozenset(("boolean",)),
    "int32": _INTEGERS,
    "int64": _INTEGERS,
    "float": _INTEGERS | {"float", "double"},
    "double": _INTEGERS | {"float", "double"},
    "decimal": frozenset(("decimal",)),
    "string": frozenset(("varchar",)),
    "bytes": frozenset(("blob",)),
    "date": frozenset(("date",)),
    "time": frozenset(("time", "time with time zone")),
    # Before 0.3, no time was marked as UTC.
    "timestamp": _LOCAL | {"timestamp with time zone", "timestamptz_ns"},
    "local_timestamp": _LOCAL,
    "record": frozenset(("struct",)),
    "union": frozenset(("struct",)),
    "array": frozenset(("list",)),
    "map": frozenset(("map",)),
}


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A DuckDB type: its name in lower case, and the types in it by name."""

    name: str
    children: Mapping[str, ColumnType]
    scale: int = 0


@lru_cache(maxsize=4096)
def column_type(text: str) -> ColumnType:
    """Parse a type as DuckDB's DESCRIBE writes it."""
    return _column_type(duckdb.sqltype(text))


def _column_type(found: Any) -> ColumnType:
    if found.id == "decimal":
        return ColumnType("decimal", {}, dict(found.children)["scale"])
    nested = found.children if found.id in ("struct", "list", "map") else ()
    return ColumnType(found.id, {key: _column_type(child) for key, child in nested})


def fits(field: Field, found: ColumnType) -> bool:
    """Return whether a column of that type can have the field's values."""
    if found.name not in _TYPES[field.kind]:
        return False
    if field.kind == "decimal":
        return found.scale == field.scale
    return all(fits(child, below) for child, below in _below(field, found))


def _below(field: Field, found: ColumnType) -> Iterator[tuple[Field, ColumnType]]:
    """Yield the children of a field with their types; an older file may lack some."""
    if field.kind in ("array", "map"):
        yield field.children[0], found.children["child" if field.kind == "array" else "value"]
        return
    for child in field.children:
        if child.name in found.children:
            yield child, found.children[child.name]


def column_digest(column: str, field: Field, found: ColumnType | None, level: int = 0) -> str:
    """Return SQL for the digest of a column of that type; None: the file lacks it."""
    if found is None:
        return NULL
    if found.name not in _TYPES[field.kind]:
        return unless_null(column, ODD_COLUMN)
    match field.kind:
        case "record" | "union":
            return unless_null(column, _struct(column, field, found, level))
        case "array" | "map":
            return unless_null(column, _repeated(column, field, found, level))
    value = _column_leaf(column, field, found)
    return unless_null(column, known(leaf(field, value), field, ODD_COLUMN))


def _struct(column: str, field: Field, found: ColumnType, level: int) -> str:
    digests = []
    for child in field.children:
        part = f"struct_extract({column}, {literal(child.name)})"
        digests.append(column_digest(part, child, found.children.get(child.name), level))
    return f"hash({literal(field.kind)}, {', '.join(digests)})"


def _repeated(column: str, field: Field, found: ColumnType, level: int) -> str:
    each = f"v{level}"
    ((child, below),) = _below(field, found)
    if field.kind == "array":
        item = column_digest(each, child, below, level + 1)
        items = f"list_transform({column}, lambda {each}: {item})"
        return f"hash('array', len({column})::BIGINT, {items})"
    item = f"hash({each}.key, {column_digest(f'{each}.value', child, below, level + 1)})"
    items = f"list_transform(map_entries({column}), lambda {each}: {item})"
    return f"hash('map', cardinality({column})::BIGINT, list_sort({items}))"


def _column_leaf(column: str, field: Field, found: ColumnType) -> str:
    match field.kind:
        case "int32" | "int64":
            return f"{column}::HUGEINT"
        case "float" | "double":
            return f"{column}::DOUBLE"
        case "decimal":
            unscaled = f"TRY_CAST(replace({column}::VARCHAR, '.', '') AS HUGEINT)"
            return unscaled if found.scale == field.scale else "NULL::HUGEINT"
        case "date":
            return f"({column} - {EPOCH_DAY})::HUGEINT"
        case "time":
            return f"epoch_us({column}::TIME)::HUGEINT"
        case "timestamp" | "local_timestamp":
            return _column_instant(column, field, found)
    return column


def _column_instant(column: str, field: Field, found: ColumnType) -> str:
    if found.name not in _NANOS:
        return f"epoch_us({column})::HUGEINT" + (" * 1000" if field.unit == "ns" else "")
    # DuckDB takes the least and the largest count for infinity, of which epoch_ns is NULL.
    most = 2**63 - 1
    end = f"CASE WHEN {column}::VARCHAR = 'infinity' THEN {most} ELSE -{most} END"
    nanos = f"coalesce(epoch_ns({column}), {end})::HUGEINT"
    if field.unit == "ns":
        return nanos
    return f"CASE WHEN {nanos} % 1000 = 0 THEN {nanos} // 1000 END"
