"""The Glue types of Arrow's, which Athena reads from Parquet.

https://docs.aws.amazon.com/athena/latest/ug/data-types.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

_PLAIN: Final[Mapping[pa.DataType, str]] = {
    pa.bool_(): "boolean",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.date32(): "date",
}


def athena_type_of(arrow: pa.DataType) -> str:
    """Return the type of a Glue table's column; empty for one that Athena could not read.

    Athena's timestamp has milliseconds; Trino's reader rounds microseconds and nanoseconds to them.
    It has no instants: it shows them in UTC. Nor has it times of day: those in microseconds are
    numbers. Those in milliseconds are left out, also within other types: Trino refuses Parquet's
    TIME(MILLIS) as any type, and with it a query of all columns.
    """
    types = pa.types
    if arrow in _PLAIN:
        return _PLAIN[arrow]
    if types.is_decimal(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    if types.is_binary(arrow) or types.is_fixed_size_binary(arrow):
        return "binary"
    if types.is_timestamp(arrow):
        return "timestamp"
    if types.is_time(arrow):
        return "" if types.is_time32(arrow) else "bigint"
    if types.is_list(arrow):
        item = athena_type_of(arrow.value_type)
        return item and f"array<{item}>"
    if types.is_map(arrow):
        item = athena_type_of(arrow.item_type)
        return item and f"map<{athena_type_of(arrow.key_type)},{item}>"
    if types.is_struct(arrow):
        members = [(field.name.lower(), athena_type_of(field.type)) for field in arrow]
        named = ",".join(f"{name}:{kind}" for name, kind in members if kind)
        return named and f"struct<{named}>"
    raise TypeError(f"no column of the lake or archive is {arrow}")
