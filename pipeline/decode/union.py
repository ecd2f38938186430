"""The union of all types' plain columns, as numpy arrays: what Python returns to Flink by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pipeline.decode.columns import Array, numpy_of
from pipeline.decode.outcome import Decoded
from pipeline.events.model import Column, EventTypes, Kind

_DTYPES: Final[Mapping[Kind, np.dtype[Any]]] = {
    "int32": np.dtype(np.int32),
    "int64": np.dtype(np.int64),
    "double": np.dtype(np.float64),
    "boolean": np.dtype(np.bool_),
    "string": np.dtype(object),
}


class Union:
    """Finds a column of the union in a batch."""

    def __init__(self, types: EventTypes) -> None:
        self._columns = {column.name: column for column in types.columns}
        self._sources = [
            (field.column, event_type.name, field.name)
            for event_type in types
            for field in event_type.fields
        ]

    def column(self, decoded: Decoded, name: str) -> Array:
        """Return a column: 0, None or NaT in rows that are no event of a type with it."""
        array = _empty(self._columns[name], len(decoded))
        for column, event_type, field in self._sources:
            if column == name and event_type in decoded.tables:
                table = decoded.tables[event_type]
                array[table.rows] = numpy_of(table.columns[field])
        return array


def _empty(column: Column, rows: int) -> Array:
    """Return the column without any event: zeros, or null where it is nullable."""
    if column.kind == "timestamp":
        array = np.zeros(rows, f"M8[{column.unit}]")
        if column.nullable:
            array[:] = np.datetime64("NaT")
        return array
    if column.nullable or column.kind == "string":
        return np.empty(rows, object)  # of None
    return np.zeros(rows, _DTYPES[column.kind])
