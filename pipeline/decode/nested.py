"""Columns of fields whose kinds are not plain: values that msgspec parsed become Arrow arrays.

A record's members, an array's items and a map's entries become columns of their own, one below the
other, so that each value is looked at once, with those of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
from msgspec import UNSET, Struct

from pipeline.decode.arrow_types import arrow_type
from pipeline.decode.columns import Array, members, values
from pipeline.decode.leaf_columns import NONE_BAD, LeafReader, Read, leaf_reader
from pipeline.decode.structs import attribute
from pipeline.events.avro_types import json_form
from pipeline.events.model import Field

_FORMS: Final = {bool: "boolean", int: "number", float: "number", str: "text", list: "array"}


class Column(Protocol):
    """Values of a field, which are added a few at a time, while they are in the CPU cache."""

    def add(self, given: list[Any]) -> None:
        """Add values, none of which is `UNSET`."""
        ...

    def read(self, now: int) -> Read:
        """Return all values as an array; `now` is in epoch milliseconds."""
        ...


NewColumn = Callable[[bool], Column]
"""Makes an empty column; true if the values are brought to the form that documents have."""


def column_of(field: Field) -> NewColumn:
    """Return a function for empty columns of the field."""
    kind = arrow_type(field)
    match field.kind:
        case "record":
            children = [(child, column_of(child)) for child in field.children]
            return partial(_Records, kind, children)
        case "array":
            return partial(_Arrays, kind, column_of(field.children[0]))
        case "map":
            return partial(_Maps, kind, column_of(field.children[0]))
        case "union":
            branches = [(json_form(child), column_of(child)) for child in field.children]
            return partial(_Unions, kind, branches)
    return partial(_Leaves, leaf_reader(field))


class _Leaves:
    """Values without others in them."""

    def __init__(self, reader: LeafReader, documents: bool) -> None:
        self._reader = reader
        self._documents = documents
        self._given: list[Any] = []

    def add(self, given: list[Any]) -> None:
        self._given += given

    def read(self, now: int) -> Read:
        read = self._reader(self._given, now)
        return read if self._documents else read._replace(canonical=None)


class _Records:
    """Structs, whose members become columns."""

    def __init__(
        self, kind: pa.DataType, children: Sequence[tuple[Field, NewColumn]], documents: bool
    ) -> None:
        self._type = kind
        self._documents = documents
        self._children = [(child, make(documents), list[bool]()) for child, make in children]
        self._present: list[Struct] = []
        self._missing: list[int] = []
        self._rows = 0

    def add(self, given: list[Any]) -> None:
        present, missing = _present(given)
        self._missing += [self._rows + at for at in missing]
        self._rows += len(given)
        self._present += present
        found = list(members(present)) if present else [()] * len(self._children)
        for (child, column, absent), each in zip(self._children, found, strict=True):
            if child.optional:
                absent += [value is UNSET for value in each]
                if self._documents:
                    drop_defaults(present, child, each)
            column.add(values(list(each), child))

    def read(self, now: int) -> Read:
        quotes: int | Array = 0
        arrays, bad = [], []
        for child, column, absent in self._children:
            read = column.read(now)
            if read.canonical:
                put_back(self._present, child, read.canonical)
            own = read.quotes + 2
            if child.optional:
                own = np.where(np.array(absent, np.bool_), 0, own)
            quotes = quotes + own
            arrays.append(read.array)
            bad.append(read.bad)
        valid = _valid(self._rows, self._missing)
        array, quotes = _spread(self._type, arrays, valid, quotes)
        return Read(array, quotes, _places(valid, np.concatenate(bad)))


class _Many:
    """What arrays and maps share: values with a number of others in each."""

    def __init__(self, kind: pa.DataType, below: NewColumn, documents: bool) -> None:
        self._type = kind
        self._below = below(documents)
        self._given: list[Any] = []
        self._missing: list[int] = []
        self._lengths: list[int] = []

    def add(self, given: list[Any]) -> None:
        present, missing = _present(given)
        self._missing += [len(self._given) + at for at in missing]
        self._given += given
        self._lengths += [0 if value is None else len(value) for value in given]
        self._add_below([value for value in present if value])

    def _add_below(self, filled: list[Any]) -> None:
        raise NotImplementedError

    def _with_offsets(self, children: list[pa.Array]) -> tuple[pa.Array, Array]:
        offsets = np.zeros(len(self._lengths) + 1, np.int64)
        np.cumsum(self._lengths, out=offsets[1:])
        valid = _valid(len(self._given), self._missing)
        bitmap = None if valid is None else _bitmap(valid)
        buffers = [bitmap, pa.py_buffer(offsets.astype(np.int32))]
        array = pa.Array.from_buffers(self._type, len(self._given), buffers, children=children)
        return array, offsets


class _Arrays(_Many):
    """Lists, whose items become one column."""

    def _add_below(self, filled: list[Any]) -> None:
        self._below.add(list(chain.from_iterable(filled)))

    def read(self, now: int) -> Read:
        read = self._below.read(now)
        array, offsets = self._with_offsets([read.array])
        if read.canonical:
            for value, start in zip(self._given, offsets.tolist(), strict=False):
                if value:
                    value[:] = read.canonical[start : start + len(value)]
        return Read(array, _sums(read.quotes, offsets), _owners(read.bad, offsets))


class _Maps(_Many):
    """Dictionaries, whose keys and values become columns."""

    def __init__(self, kind: pa.DataType, below: NewColumn, documents: bool) -> None:
        super().__init__(kind, below, documents)
        self._keys: list[str] = []

    def _add_below(self, filled: list[Any]) -> None:
        self._keys += chain.from_iterable(filled)
        self._below.add(list(chain.from_iterable(map(dict.values, filled))))

    def read(self, now: int) -> Read:
        read = self._below.read(now)
        if read.canonical:
            changed = iter(read.canonical)
            for value in self._given:
                if value:
                    value.update(zip(list(value), changed, strict=False))
        entries = pa.StructArray.from_arrays(
            [pa.array(self._keys, pa.string()), read.array],
            fields=[self._type.key_field, self._type.item_field],
        )
        array, offsets = self._with_offsets([entries])
        return Read(array, _sums(read.quotes + 2, offsets), _owners(read.bad, offsets))


class _Unions:
    """Values of several types, each of which becomes a column."""

    def __init__(
        self, kind: pa.DataType, branches: Sequence[tuple[str, NewColumn]], documents: bool
    ) -> None:
        self._type = kind
        self._branches = [(form, make(documents)) for form, make in branches]
        self._given: list[Any] = []
        self._forms: list[str] = []

    def add(self, given: list[Any]) -> None:
        forms = [_FORMS.get(type(value), "object" if value is not None else "") for value in given]
        self._given += given
        self._forms += forms
        for form, column in self._branches:
            column.add([value for value, each in zip(given, forms, strict=True) if each == form])

    def read(self, now: int) -> Read:
        quotes = np.zeros(len(self._given), np.int64)
        arrays, bad, canonical = [], [], None
        for form, column in self._branches:
            at = [place for place, each in enumerate(self._forms) if each == form]
            places, read = np.array(at, np.int64), column.read(now)
            if read.canonical:
                canonical = canonical or list(self._given)
                for place, value in zip(at, read.canonical, strict=True):
                    canonical[place] = value
            quotes[places] = read.quotes
            arrays.append(_at(read.array, places, len(self._given)))
            bad.append(places[read.bad])
        valid = _valid(len(self._given), [at for at, form in enumerate(self._forms) if not form])
        return Read(_struct(self._type, arrays, valid), quotes, np.concatenate(bad), canonical)


def _present(given: list[Any]) -> tuple[list[Any], list[int]]:
    """Return the values that are not None, and the places of those that are."""
    if type(None) not in set(map(type, given)):
        return given, []
    missing = [at for at, value in enumerate(given) if value is None]
    return [value for value in given if value is not None], missing


def _valid(rows: int, missing: Sequence[int]) -> Array | None:
    """Return which of so many values are not null; None for all."""
    if not missing:
        return None
    valid = np.ones(rows, np.bool_)
    valid[missing] = False
    return valid


def put_back(events: Sequence[Struct], field: Field, canonical: list[Any]) -> None:
    """Put values in the form of documents into events; members that were left out stay so."""
    name = attribute(field.name)
    for event, value in zip(events, canonical, strict=True):
        if getattr(event, name) is not UNSET:
            setattr(event, name, value)


def drop_defaults(events: Sequence[Struct], field: Field, given: Sequence[Any]) -> None:
    """Leave out members that equal their default: equal events have equal documents."""
    name = attribute(field.name)
    for event, value in zip(events, given, strict=True):
        if value is not UNSET and is_default(value, field):
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
    return np.unique(np.searchsorted(offsets, bad, "right") - 1) if len(bad) else NONE_BAD


def _places(valid: Array | None, bad: Array) -> Array:
    places = bad if valid is None else np.flatnonzero(valid)[bad]
    return np.unique(places)
