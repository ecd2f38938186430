"""SQL for digests of values of any kind, as the lake's columns and JSON have them.

Both sides give the same 64-bit number exactly if the values are equal. A digest is built from the
leaves up: DuckDB's own `hash` is the same for NULL, `[]`, `[NULL]` and a struct of NULLs, and for
`[1, 2], [3]` and `[1], [2, 3]`. A HUGEINT is never hashed: -1 and 0 have the same hash.

A value of another type than the field's is `ODD_JSON` or `ODD_COLUMN`, which match nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectors.sql import literal
from pipeline.events.model import Field, Kind

ODD_JSON: Final = "1::UBIGINT"
ODD_COLUMN: Final = "2::UBIGINT"
NULL: Final = "0::UBIGINT"
EPOCH_DAY: Final = "DATE '1970-01-01'"

# Leaves of one of these classes have the same SQL type on both sides.
_CLASS: Final[Mapping[Kind, str]] = {
    "int32": "integer",
    "int64": "integer",
    "decimal": "decimal",
    "date": "integer",
    "time": "integer",
    "timestamp": "integer",
    "local_timestamp": "integer",
    "float": "number",
    "double": "number",
    "string": "text",
    "bytes": "bytes",
    "boolean": "boolean",
}


def of_default(field: Field) -> str:
    """Return SQL for the digest of a field's default."""
    default = field.default
    if default is None:
        return NULL
    if default == ():
        return f"hash({literal(field.kind)}, 0::BIGINT, []::UBIGINT[])"
    kind = _CLASS[field.kind]
    if kind == "text":
        return leaf(field, literal(str(default)))
    if kind == "boolean":
        return leaf(field, str(default).lower())
    if kind == "integer":
        return leaf(field, f"{default}::HUGEINT")
    number = f"{literal(repr(default))}::DOUBLE"
    return leaf(field, f"{number}::FLOAT::DOUBLE" if field.kind == "float" else number)


def leaf(field: Field, value: str) -> str:
    """Return SQL for the digest of a leaf: integers and decimals as HUGEINT, others as they are."""
    kind = _CLASS[field.kind]
    hashed = {"integer": f"TRY_CAST({value} AS BIGINT)", "decimal": f"CAST({value} AS VARCHAR)"}
    return f"hash({literal(kind)}, {hashed.get(kind, value)})"


def known(digest: str, field: Field, odd: str) -> str:
    """Return SQL for the digest of a leaf, or `odd` if the leaf is NULL."""
    return f"coalesce(nullif({digest}, {leaf(field, 'NULL')}), {odd})"


def unless_null(value: str, digest: str) -> str:
    """Return SQL for the digest of a value that may be NULL."""
    return f"CASE WHEN {value} IS NULL THEN {NULL} ELSE {digest} END"
