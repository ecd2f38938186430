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
    """Return the type of a Glue table's column.

    Athena's timestamp has milliseconds: it reads those, and it should round microseconds and
    nanoseconds, which was not tried. It has no instants: it shows them in UTC.
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
        # Hive, and so Glue, has no time of day. This is how Parquet stores it. Athena's reader may
        # refuse an integer that is marked as a time (not tried): then only a query of this column.
        return "int" if types.is_time32(arrow) else "bigint"
    if types.is_list(arrow):
        return f"array<{athena_type_of(arrow.value_type)}>"
    if types.is_map(arrow):
        return f"map<{athena_type_of(arrow.key_type)},{athena_type_of(arrow.item_type)}>"
    if types.is_struct(arrow):
        members = ",".join(f"{field.name.lower()}:{athena_type_of(field.type)}" for field in arrow)
        return f"struct<{members}>"
    raise TypeError(f"no column of the lake or archive is {arrow}")
