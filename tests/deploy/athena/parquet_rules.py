"""Which Parquet columns Athena's engine reads as which types.

Athena's documentation lists types, and no mapping from Parquet's. Athena's engine 3 is built on
Trino, so these are the rules of Trino's reader, `ColumnReaderFactory` in lib/trino-parquet. Athena
may have changed them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from tests.deploy.athena.glue_types import GlueType

_INTEGERS = ("INT32", "INT64")
_BYTES = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")


class Leaf(NamedTuple):
    """One column of a Parquet file: its physical type, and how its logical type is called."""

    physical: str
    logical: str


def leaves(path: Path) -> dict[str, Leaf]:
    """The columns of a file by their paths, in lower case: the reader ignores the case."""
    schema = pq.ParquetFile(path).schema
    columns = [schema.column(at) for at in range(len(schema.names))]
    return {
        column.path.lower(): Leaf(
            column.physical_type, json.loads(column.logical_type.to_json())["Type"]
        )
        for column in columns
    }


def is_read(declared: GlueType, leaf: Leaf) -> bool:
    physical, logical = leaf
    plain = logical in ("None", "Int")
    match declared.kind:
        case "boolean":
            return physical == "BOOLEAN"
        case "int":
            return physical in _INTEGERS and plain
        case "bigint":
            return (physical in _INTEGERS and plain) or (
                physical == "INT64" and logical in ("Time", "Timestamp")
            )
        case "float":
            return physical == "FLOAT"
        case "double":
            return physical in ("DOUBLE", "FLOAT")
        case "decimal":
            return physical in (*_INTEGERS, *_BYTES) and logical == "Decimal"
        case "string" | "binary":
            return physical in _BYTES
        case "date":
            return physical == "INT32" and logical in ("None", "Date")
        case "timestamp":
            return physical == "INT64" and logical == "Timestamp"
    raise AssertionError(f"no leaf is a {declared.kind}")


def unread(columns: Mapping[str, GlueType], found: Mapping[str, Leaf]) -> dict[str, Any]:
    """The leaves of a table's columns that the file has and the reader refuses."""
    declared = {
        path.lower(): kind for name, each in columns.items() for path, kind in each.leaves(name)
    }
    return {
        path: leaf
        for path, leaf in found.items()
        if path in declared and not is_read(declared[path], leaf)
    }
