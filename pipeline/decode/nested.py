"""Columns of fields whose kinds are not plain: values that msgspec parsed become Arrow arrays.

A record's members, an array's items and a map's entries become columns of their own, one below the
other, so that each value is looked at once, with those of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from msgspec import UNSET, Struct

from pipeline.decode import leaves
from pipeline.decode.arrow_types import arrow_type
from pipeline.decode.bounds import time_range
from pipeline.decode.columns import Array, members, values
from pipeline.decode.leaves import Bad
from pipeline.decode.structs import attribute
from pipeline.events.avro_types import json_form
from pipeline.events.instants import BadTimestamp
from pipeline.events.model import Field

_TIMES: Final = ("date", "time", "timestamp", "local_timestamp")
_FORMS: Final = {bool: "boolean", int: "number", float: "number", str: "text", list: "array"}
_LARGEST_FLOAT: Final = 3.4028234663852886e38
_NONE: Final = np.zeros(0, np.int64)


class Read(NamedTuple):
    """Values as an Arrow array, with null for None.

    `quotes` is how many quotation marks the JSON of each has, `bad` the places of values for the
    reference decoder, in which the array has any value. `canonical` are the values in the form of
    documents, None where all are in it already; of records, arrays and maps they changed in place.
    """

    array: pa.Array
    quotes: int | Array
    bad: Array
    canonical: list[Any] | None = None


class Reader(Protocol):
    """Reads the values of a field; `now` is in epoch milliseconds."""

    def read(self, given: list[Any], now: int) -> Read:
        """Return the values as an array. They must not be `UNSET`."""
        ...


def reader(field: Field) -> Reader:
    """Return the reader of a field's values."""
    match field.kind:
        case "record":
            return _Records(field)
        case "array":
            return _Arrays(field)
        case "map":
            return _Maps(field)
        case "union":
            return _Unions(field)
    return _Leaves(field)


class _Leaves:
    """Values without others in them."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._type = arrow_type(field)
        self._form = json_form(field)
        self._convert, self._back = _converting(field)
        self._is_time = field.kind in _TIMES

    def read(self, given: list[Any], now: int) -> Read:
        quotes: int | Array = 0
        if self._form == "text":
            quotes = 2
            if self._field.nullable and None in given:
                quotes = np.array([0 if value is None else 2 for value in given], np.int64)
        if self._convert is None:
            bad = self._beyond(given) if self._field.kind == "float" else _NONE
            return Read(pa.array(given, self._type), quotes, bad)
        made, bad = self._converted(given, now)
        canonical = None
        if self._back:
            back = [None if value is None else self._back(value) for value in made]
            canonical = back if back != given or self._field.kind == "decimal" else None
        return Read(self._array(made), quotes, bad, canonical)

    def _converted(self, given: list[Any], now: int) -> tuple[list[Any], Array]:
        """Return the values, None for those that are bad, and the places of these."""
        assert self._convert
        least, most = time_range(self._field, now) if self._is_time else (0, 0)
        made, bad = [], []
        for at, value in enumerate(given):
            converted = None if value is None else self._convert(self._field, value)
            is_bad = isinstance(converted, Bad | BadTimestamp)
            if not is_bad and self._is_time and converted is not None:
                is_bad = not least <= converted <= most
            if is_bad:
                bad.append(at)
            made.append(None if is_bad else converted)
        return made, np.array(bad, np.int64) if bad else _NONE

    def _beyond(self, given: list[Any]) -> Array:
        """Return the places of numbers that 32 bits hold as 0 only."""
        numbers = np.array([0.0 if value is None else value for value in given])
        return np.flatnonzero((numbers.astype(np.float32) == 0) & (numbers != 0))

    def _array(self, made: list[Any]) -> pa.Array:
        if not self._is_time:
            return pa.array(made, self._type)
        width = pa.int32() if self._type.bit_width == 32 else pa.int64()
        return pa.array(made, width).view(self._type)


Convert = Callable[[Field, Any], Any]


def _converting(field: Field) -> tuple[Convert | None, Callable[[Any], Any] | None]:
    """Return the functions from the wire and back to its canonical form, where there are any."""
    if field.kind in _TIMES:
        back = leaves.wire_of_time(field) if field.wire == "iso-8601" else None
        return leaves.of_time, back
    if field.kind == "decimal":
        return leaves.of_decimal, leaves.wire_of_decimal(field)
    return (leaves.of_bytes, None) if field.kind == "bytes" else (None, None)


class _Records:
    """Structs, whose members become columns."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._type = arrow_type(field)
        self._readers = [(child, reader(child)) for child in field.children]
        self._keys = 2 * sum(not child.optional for child in field.children)

    def read(self, given: list[Any], now: int) -> Read:
        valid, present = _present(given)
        quotes: int | Array = self._keys
        arrays, bad = [], []
        columns = list(members(present)) if present else [()] * len(self._readers)
        for (child, below), column in zip(self._readers, columns, strict=True):
            found = list(column)
            read = below.read(values(found, child), now)
            if read.canonical:
                _set(present, child, found, read.canonical)
            own = read.quotes
            if child.optional:
                _drop_defaults(present, child)
                absent = np.array([value is UNSET for value in found], np.bool_)
                own = np.where(absent, 0, own + 2)
            quotes = quotes + own
            arrays.append(read.array)
            bad.append(read.bad)
        array, quotes = _spread(self._type, arrays, valid, quotes)
        return Read(array, quotes, _places(valid, np.concatenate(bad)))


class _Arrays:
    """Lists, whose items become one column."""

    def __init__(self, field: Field) -> None:
        self._type = arrow_type(field)
        self._item = reader(field.children[0])

    def read(self, given: list[Any], now: int) -> Read:
        lengths = np.array([0 if value is None else len(value) for value in given], np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        items = list(chain.from_iterable(value for value in given if value))
        read = self._item.read(items, now)
        if read.canonical:
            for value, start in zip(given, offsets.tolist(), strict=False):
                if value:
                    value[:] = read.canonical[start : start + len(value)]
        children = [read.array]
        array = _with_offsets(self._type, given, offsets, children)
        return Read(array, _sums(read.quotes, offsets), _owners(read.bad, offsets))


class _Maps:
    """Dictionaries, whose keys and values become columns."""

    def __init__(self, field: Field) -> None:
        self._type = arrow_type(field)
        self._value = reader(field.children[0])

    def read(self, given: list[Any], now: int) -> Read:
        lengths = np.array([0 if value is None else len(value) for value in given], np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        present = [value for value in given if value]
        keys = list(chain.from_iterable(present))
        read = self._value.read(list(chain.from_iterable(map(dict.values, present))), now)
        if read.canonical:
            changed = iter(read.canonical)
            for value in present:
                value.update(zip(list(value), changed, strict=False))
        entries = pa.StructArray.from_arrays(
            [pa.array(keys, pa.string()), read.array],
            fields=[self._type.key_field, self._type.item_field],
        )
        array = _with_offsets(self._type, given, offsets, [entries])
        return Read(array, _sums(read.quotes + 2, offsets), _owners(read.bad, offsets))


class _Unions:
    """Values of several types, each of which becomes a column."""

    def __init__(self, field: Field) -> None:
        self._type = arrow_type(field)
        self._branches = [(json_form(child), reader(child)) for child in field.children]

    def read(self, given: list[Any], now: int) -> Read:
        forms = [_FORMS.get(type(value), "object" if value is not None else "") for value in given]
        quotes = np.zeros(len(given), np.int64)
        arrays, bad, canonical = [], [], list(given)
        for form, below in self._branches:
            places = np.array([at for at, each in enumerate(forms) if each == form], np.int64)
            read = below.read([given[at] for at in places], now)
            if read.canonical:
                for at, value in zip(places.tolist(), read.canonical, strict=True):
                    canonical[at] = value
            quotes[places] = read.quotes
            arrays.append(_at(read.array, places, len(given)))
            bad.append(places[read.bad])
        valid = np.array([bool(form) for form in forms], np.bool_)
        array = _struct(self._type, arrays, None if valid.all() else valid)
        changed = any(one is not other for one, other in zip(canonical, given, strict=True))
        return Read(array, quotes, np.concatenate(bad), canonical if changed else None)


def _present(given: list[Any]) -> tuple[Array | None, list[Struct]]:
    """Return which values are not None, None for all, and these values."""
    if type(None) not in set(map(type, given)):
        return None, given
    present = [value for value in given if value is not None]
    return np.array([value is not None for value in given], np.bool_), present


def _set(events: Sequence[Struct], field: Field, found: list[Any], canonical: list[Any]) -> None:
    name = attribute(field.name)
    for event, before, value in zip(events, found, canonical, strict=True):
        if before is not UNSET:
            setattr(event, name, value)


def _drop_defaults(events: Sequence[Struct], field: Field) -> None:
    """Leave out members that equal their default: equal events have equal documents."""
    name = attribute(field.name)
    for event in events:
        if is_default(getattr(event, name), field):
            setattr(event, name, UNSET)


def is_default(value: Any, field: Field) -> bool:
    """Return whether a member has the value that it would have if it were left out."""
    if field.default == ():
        return value in ([], {})
    return bool(value == field.default)


def _spread(
    kind: pa.DataType, arrays: list[pa.Array], valid: Array | None, quotes: int | Array
) -> tuple[pa.Array, int | Array]:
    """Return structs with null where `valid` is false, and their quotation marks."""
    if valid is None:
        return _struct(kind, arrays, None), quotes
    places = np.flatnonzero(valid)
    spread = [_at(array, places, len(valid)) for array in arrays]
    every = np.zeros(len(valid), np.int64)
    every[places] = quotes
    return _struct(kind, spread, valid), every


def _at(array: pa.Array, places: Array, rows: int) -> pa.Array:
    """Return the values at these places of so many rows, null in others."""
    if len(places) == rows:
        return array
    taken = np.zeros(rows, np.int64)
    taken[places] = np.arange(len(places))
    missing = np.ones(rows, np.bool_)
    missing[places] = False
    return array.take(pa.array(taken, mask=missing))


def _struct(kind: pa.DataType, arrays: list[pa.Array], valid: Array | None) -> pa.Array:
    rows = len(arrays[0])
    bitmap = None if valid is None else _bitmap(valid)
    return pa.Array.from_buffers(kind, rows, [bitmap], children=arrays)


def _with_offsets(
    kind: pa.DataType, given: list[Any], offsets: Array, children: list[pa.Array]
) -> pa.Array:
    valid = np.array([value is not None for value in given], np.bool_)
    bitmap = None if valid.all() else _bitmap(valid)
    buffers = [bitmap, pa.py_buffer(offsets.astype(np.int32))]
    return pa.Array.from_buffers(kind, len(given), buffers, children=children)


def _bitmap(valid: Array) -> pa.Buffer:
    return pa.py_buffer(np.packbits(valid, bitorder="little"))


def _sums(quotes: int | Array, offsets: Array) -> Array:
    """Return the sums of what belongs to each value."""
    if isinstance(quotes, int):
        return np.diff(offsets) * quotes
    total = np.concatenate([[0], np.cumsum(quotes)])
    return np.diff(total[offsets])


def _owners(bad: Array, offsets: Array) -> Array:
    """Return the places of the values that have a bad one in them."""
    return np.unique(np.searchsorted(offsets, bad, "right") - 1) if len(bad) else _NONE


def _places(valid: Array | None, bad: Array) -> Array:
    places = bad if valid is None else np.flatnonzero(valid)[bad]
    return np.unique(places)
