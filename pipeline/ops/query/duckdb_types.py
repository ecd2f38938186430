"""The DuckDB types of Arrow's, as DuckDB reads them from Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import duckdb
import pyarrow as pa

from pipeline.ops.reconcile.database import name

INSTANT: Final = "TIMESTAMP WITH TIME ZONE"
# pyarrow writes each time of day as adjusted to UTC, hence DuckDB reads it with a time zone.
READ_TIME: Final = "TIME WITH TIME ZONE"
_PLAIN: Final[Mapping[pa.DataType, str]] = {
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.date32(): "DATE",
}


def duckdb_type_of(arrow: pa.DataType) -> str:
    """Return the type of a table's column, as DuckDB's DESCRIBE writes it.

    A time of day has no time zone there. In nested values it has one, as in DuckDB's reader.
    """
    if pa.types.is_time(arrow):
        return "TIME"
    return str(duckdb.sqltype(_read(arrow)))


def _read(arrow: pa.DataType) -> str:
    types = pa.types
    if arrow in _PLAIN:
        return _PLAIN[arrow]
    if types.is_decimal(arrow):
        return f"DECIMAL({arrow.precision}, {arrow.scale})"
    if types.is_binary(arrow) or types.is_fixed_size_binary(arrow):
        return "BLOB"
    if types.is_time(arrow):
        return READ_TIME
    if types.is_timestamp(arrow):
        if arrow.unit == "ns":
            return "TIMESTAMPTZ_NS" if arrow.tz else "TIMESTAMP_NS"
        return INSTANT if arrow.tz else "TIMESTAMP"
    if types.is_list(arrow):
        return f"{_read(arrow.value_type)}[]"
    if types.is_map(arrow):
        return f"MAP({_read(arrow.key_type)}, {_read(arrow.item_type)})"
    if types.is_struct(arrow):
        members = ", ".join(f"{name(field.name)} {_read(field.type)}" for field in arrow)
        return f"STRUCT({members})"
    raise TypeError(f"no field of an event is {arrow}")
