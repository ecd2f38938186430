"""Events of one type -> numpy columns; the shape in which they leave Python for Flink."""

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
    """How the column is kept: objects (None for null) for text and nullable values, else numbers.

    Timestamps are always datetime64[ms] (UTC), with NaT for null.
    """
    if column.nullable and column.kind != "timestamp":
        return np.dtype(object)
    return _DTYPES[column.kind]


def empty(column: Column, rows: int) -> Array:
    """The column without any event: zeros, or null where it can be null."""
    array = np.zeros(rows, dtype_of(column))
    if array.dtype.hasobject:
        array[:] = None
    elif column.nullable:
        array[:] = np.datetime64("NaT")
    return array


def values(events: Sequence[Struct], field: Field) -> list[Any]:
    """The field's value of each event; its default where the event leaves it out."""
    found = list(map(attrgetter(field.name), events))
    if not field.optional:
        return found
    # The set of types is the quickest way to ask: `UNSET in found` compares each value with it.
    kinds = set(map(type, found))
    if kinds == {UnsetType}:
        return [field.default] * len(found)
    if UnsetType not in kinds:
        return found
    return [field.default if each is UNSET else each for each in found]


def array(values: Sequence[Any], column: Column) -> Array:
    """The values as an array of the column's kind."""
    dtype = dtype_of(column)
    return objects(values) if dtype.hasobject else np.array(values, dtype)


def objects(values: Sequence[Any]) -> Array:
    """The values as an array of objects, whatever they are."""
    result = np.empty(len(values), object)
    result[:] = values
    return result
