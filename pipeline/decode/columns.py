"""Numpy columns of events of one type: the form in which Python returns them to Flink."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import astuple

from pipeline.events.model import Column, Field, Kind

Array = npt.NDArray[Any]

_DTYPES: Final[Mapping[Kind, np.dtype[Any]]] = {
    "int32": np.dtype(np.int32),
    "int64": np.dtype(np.int64),
    "double": np.dtype(np.float64),
    "boolean": np.dtype(np.bool_),
    "string": np.dtype(object),
}


def dtype_of(column: Column) -> np.dtype[Any]:
    """Return the column's dtype: object (None for null) for strings and nullables, else a number.

    Timestamps are always datetime64 of their unit (UTC), with NaT for null.
    """
    if column.kind == "timestamp":
        return np.dtype(f"M8[{column.unit}]")
    return np.dtype(object) if column.nullable else _DTYPES[column.kind]


def empty(column: Column, rows: int) -> Array:
    """Return the column without any event: zeros, or null where it is nullable."""
    dtype = dtype_of(column)
    if dtype.hasobject:
        return np.empty(rows, dtype)  # of None
    array = np.zeros(rows, dtype)
    if column.nullable:
        array[:] = np.datetime64("NaT")
    return array


def members(events: Iterable[Struct]) -> Iterator[tuple[Any, ...]]:
    """Yield the members of events of one type, field by field; `UNSET` where one is absent."""
    return zip(*map(astuple, events), strict=False)  # They all have the same length.


def values(members: list[Any], field: Field) -> list[Any]:
    """Return a field's members, with its default where an event lacks it."""
    if not field.optional:
        return members
    # A set of types is the fastest check: `UNSET in members` compares every value.
    kinds = set(map(type, members))
    if kinds == {UnsetType}:
        return [field.default] * len(members)
    if UnsetType not in kinds:
        return members
    return [field.default if value is UNSET else value for value in members]


def array(values: Sequence[Any], column: Column) -> Array:
    """Return the values as an array of the column's dtype."""
    dtype = dtype_of(column)
    return objects(values) if dtype.hasobject else np.array(values, dtype)


def objects(values: Sequence[Any]) -> Array:
    """Return the values as an array of objects."""
    return np.fromiter(values, object, len(values))
