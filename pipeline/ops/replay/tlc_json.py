"""Rows of Parquet columns as JSON events: nothing is coerced, null leaves a member out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.events.event_types import EventType, Field
from pipeline.ops.replay.rows import Objects

_EXACT: Final = 2.0**53
_FINER: Final = {"s": 1, "ms": 1, "us": 1_000, "ns": 1_000_000}
_AT_T: Final = len("2018-01-01")


@dataclass(frozen=True, slots=True)
class Texts:
    """The values of so many rows as texts without their quotes, and as members of an object.

    `unspeakable` says which rows hold a number that JSON has no text for.
    """

    values: Mapping[str, pa.Array]
    members: list[pa.Array]
    unspeakable: NDArray[np.bool_]

    def raws(self) -> Objects:
        """Each row as a JSON object."""
        inner = pc.binary_join_element_wise(*self.members, ",", null_handling="skip")
        return _bytes(pc.binary_join_element_wise("{", inner, "}", ""))

    def keys(self, field: str) -> Objects:
        """The field's text of each row; None where it is null or no such field is there."""
        if field in self.values:
            return _bytes(self.values[field])
        return np.full(len(self.unspeakable), None, object)


def texts_of(event_type: EventType, columns: Mapping[str, pa.Array], first_id: int) -> Texts:
    """The rows of these columns, named as our fields, with ids from `first_id` on."""
    rows = len(next(iter(columns.values())))
    ids = pa.array(np.arange(first_id, first_id + rows)).cast(pa.string())
    kind = pa.array([event_type.name] * rows)
    values = {"trip_id": ids, "type": kind}
    members = [_member("trip_id", ids), _member("type", _quoted(kind))]
    unspeakable = np.zeros(rows, np.bool_)
    for field in event_type.fields:
        if field.name not in columns:
            continue
        column = _plain(columns[field.name])
        unspeakable |= _unspeakable(column)
        text = _text(column, field)
        values[field.name] = text
        members.append(_member(field.name, _in_json(text, column.type)))
    return Texts(values, members, unspeakable)


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _text(column: pa.Array, field: Field) -> pa.Array:
    """The values' texts."""
    if pa.types.is_timestamp(column.type):
        return _instants(column)
    if pa.types.is_floating(column.type) and field.kind in ("int32", "int64"):
        return _integral(column)
    return column.cast(pa.string())


def _in_json(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """The texts of values of this type as JSON has them."""
    if pa.types.is_timestamp(kind):
        return pc.binary_join_element_wise('"', texts, '"', "")
    bare = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
    return texts if any(is_one(kind) for is_one in bare) else _quoted(texts)


def _integral(column: pa.Array) -> pa.Array:
    """Doubles, those that are integral as integers."""
    whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), _EXACT))
    integers = pc.if_else(whole, column, 0.0).cast(pa.int64()).cast(pa.string())
    if pc.all(whole).as_py() is not False:
        return integers
    return pc.if_else(whole, integers, column.cast(pa.string()))


def _instants(column: pa.Array) -> pa.Array:
    """ISO-8601, to the millisecond; where one of the column is finer, to its own unit."""
    unit = column.type.unit
    numbers = column.cast(pa.int64())
    plain = numbers.cast(pa.timestamp(unit))
    if not np.any(np.asarray(pc.fill_null(numbers, 0)) % _FINER[unit]):
        plain = plain.cast(pa.timestamp("ms"))
    dated = pc.utf8_replace_slice(plain.cast(pa.string()), _AT_T, _AT_T + 1, "T")
    return pc.binary_join_element_wise(dated, "Z", "")


def _unspeakable(column: pa.Array) -> Any:
    if not pa.types.is_floating(column.type):
        return False
    return np.asarray(pc.fill_null(pc.invert(pc.is_finite(column)), False))


def _quoted(texts: pa.Array) -> pa.Array:
    """The texts as JSON has them; each that occurs is looked at once."""
    encoded = texts.dictionary_encode()
    quoted = [msgspec.json.encode(one).decode() for one in encoded.dictionary.to_pylist()]
    return pa.array(quoted, pa.string()).take(encoded.indices)


def _member(name: str, value: pa.Array) -> pa.Array:
    prefix = pa.scalar(f"{msgspec.json.encode(name).decode()}:")
    return pc.binary_join_element_wise(prefix, value.cast(pa.string()), "")


def _bytes(texts: pa.Array) -> Objects:
    found: Objects = texts.cast(pa.binary()).to_numpy(zero_copy_only=False)
    return found
