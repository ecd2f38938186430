"""Columns of events of one type: of members, as numpy arrays, and as Python objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import astuple

from pipeline.events.model import Field

Array = npt.NDArray[Any]

_NOT_A_TIME: Final = np.iinfo(np.int64).min


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


def numpy_of(column: pa.Array) -> Array:
    """Return a column of a plain kind as a numpy array, which may not be writable.

    Timestamps are datetime64 with NaT for null. Other columns with a null are objects with None.
    """
    if pa.types.is_timestamp(column.type):  # pyarrow 11 makes nanoseconds of each in UTC
        counts = column.view(pa.int64())
        if counts.null_count:
            counts = counts.fill_null(_NOT_A_TIME)
        times: Array = counts.to_numpy().view(f"M8[{column.type.unit}]")
        return times
    if column.null_count:
        return objects(column.to_pylist())
    found: Array = column.to_numpy(zero_copy_only=False)
    return found


def objects(values: Sequence[Any]) -> Array:
    """Return the values as an array of objects."""
    return np.fromiter(values, object, len(values))
