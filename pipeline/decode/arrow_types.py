"""The Arrow types of an event's fields, which are those of the lake's Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from pipeline.events.model import Field, Kind

_SIMPLE: Final[Mapping[Kind, pa.DataType]] = {
    "boolean": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "date": pa.date32(),
}


def arrow_type(field: Field) -> pa.DataType:
    """Return the type of the field's column.

    A union is a struct with a field for each branch, of which one is not null.
    """
    if field.kind in _SIMPLE:
        return _SIMPLE[field.kind]
    match field.kind:
        case "decimal":
            return pa.decimal128(field.precision, field.scale)
        case "bytes":
            return pa.binary(field.size or -1)
        case "time":
            return pa.time32("ms") if field.unit == "ms" else pa.time64(field.unit)
        case "timestamp":
            return pa.timestamp(field.unit, tz="UTC")
        case "local_timestamp":
            return pa.timestamp(field.unit)
        case "array":
            return pa.list_(pa.field("element", arrow_type(field.children[0])))
        case "map":
            return pa.map_(pa.string(), arrow_type(field.children[0]))
    return pa.struct([(child.name, arrow_type(child)) for child in field.children])
