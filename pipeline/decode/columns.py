"""Numpy columns of events of one type: the form in which Python returns them to Flink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Struct, UnsetType

from pipeline.events.model import Column, Field, Kind

Array = npt.NDArray[Any]

_DTYPES: Final[Mapping[Kind, np.dtype[Any]]] = {
    "int32": np.dtype(np.int32),
    "int64": np.dtype(np.int64),
    "double": np.dtype(np.float64),
    "boolean": np.dtype(np.bool_),
    "string": np.dtype(object),
    "timestamp": np.dtype("M8[ms]"),
}


def dtype_of(column: Column) -> np.dtype[Any]:
    """Return the column's dtype: object (None for null) for strings and nullables, else a number.

    Timestamps are always datetime64[ms] (UTC), with NaT for null.
    """
    if column.nullable and column.kind != "timestamp":
        return np.dtype(object)
    return _DTYPES[column.kind]


def empty(column: Column, rows: int) -> Array:
    """Return the column without any event: zeros, or null where it is nullable."""
    dtype = dtype_of(column)
    if dtype.hasobject:
        return np.empty(rows, dtype)  # of None
    array = np.zeros(rows, dtype)
    if column.nullable:
        array[:] = np.datetime64("NaT")
    return array


def values(events: Sequence[Struct], field: Field) -> list[Any]:
    """Return the field's value of each event, or its default where the event lacks it."""
    members = list(map(attrgetter(field.name), events))
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
    result = np.empty(len(values), object)
    result[:] = values
    return result
