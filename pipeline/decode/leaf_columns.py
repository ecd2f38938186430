"""Columns of values without others in them, of kinds that are not plain, as Arrow arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.decode import leaves
from pipeline.decode.arrow_types import arrow_type
from pipeline.decode.bounds import time_range, wire_factor
from pipeline.decode.columns import Array
from pipeline.decode.forms import Form, form_of
from pipeline.decode.leaves import Bad
from pipeline.events.avro_types import json_form
from pipeline.events.instants import BadTimestamp
from pipeline.events.limits import with_scale
from pipeline.events.model import TIME_KINDS, Field

NONE_BAD: Final = np.zeros(0, np.int64)
_LEAST, _MOST = -(2**63) + 1, 2**63 - 1


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


LeafReader = Callable[[list[Any], int], Read]


def leaf_reader(field: Field) -> LeafReader:
    """Return a function that reads values of the field; its `now` is in epoch milliseconds."""
    if field.kind in TIME_KINDS:
        form = form_of(field) if field.wire == "iso-8601" else None
        times = partial(_read_times, field, form)
        return partial(_texts, times) if form else times
    if field.kind == "decimal":
        read = partial(_read_decimals, field)
        return partial(_texts, read) if json_form(field) == "text" else read
    if field.kind == "bytes":
        return partial(_texts, partial(_read_bytes, field))
    read = partial(_read_plain, field)
    return partial(_texts, read) if field.kind == "string" else read


def _texts(read: LeafReader, given: list[Any], now: int) -> Read:
    """Read values that JSON has in quotation marks."""
    quotes: int | Array = 2
    if type(None) in set(map(type, given)):
        quotes = np.array([0 if value is None else 2 for value in given], np.int64)
    return read(given, now)._replace(quotes=quotes)


def _read_plain(field: Field, given: list[Any], now: int) -> Read:
    bad = NONE_BAD
    if field.kind == "float":  # numbers that 32 bits hold as 0 only
        numbers = np.array([0.0 if value is None else value for value in given])
        bad = np.flatnonzero((numbers.astype(np.float32) == 0) & (numbers != 0))
    return Read(pa.array(given, arrow_type(field)), 0, bad)


def _read_bytes(field: Field, given: list[Any], now: int) -> Read:
    made = [None if value is None else leaves.of_bytes(field, value) for value in given]
    return _without_bad(field, made)


def _read_decimals(field: Field, given: list[Any], now: int) -> Read:
    if json_form(field) == "text":
        of_decimal = leaves.of_decimal
        made = [None if value is None else of_decimal(field, value) for value in given]
        read = _without_bad(field, made)
    else:
        scaled, bad = with_scale(field), []
        made = [None if value is None else scaled(value) for value in given]
        if type(None) in set(map(type, made)):
            bad = [at for at, value in enumerate(made) if value is None and given[at] is not None]
        array = pa.array(made, arrow_type(field))
        read = Read(array, 0, np.array([*bad, *_beyond(field, array)], np.int64), made)
    if field.wire == "string":
        canonical = [None if value is None else f"{value:f}" for value in read.array.to_pylist()]
        return read._replace(canonical=canonical)
    return read


def _beyond(field: Field, array: pa.Array) -> list[int]:
    """Return the places of decimals beyond the field's limits."""
    beyond: list[int] = []
    for limit, is_beyond in ((field.minimum, pc.less), (field.maximum, pc.greater)):
        if limit is not None:
            found = is_beyond(array, pa.scalar(limit, array.type)).fill_null(False)
            beyond += np.flatnonzero(found.to_numpy(zero_copy_only=False)).tolist()
    return beyond


def _without_bad(field: Field, made: list[Any]) -> Read:
    bad = [at for at, value in enumerate(made) if isinstance(value, Bad)]
    for at in bad:
        made[at] = None
    canonical = made if field.kind == "decimal" else None
    return Read(pa.array(made, arrow_type(field)), 0, np.array(bad, np.int64), canonical)


def _read_times(field: Field, form: Form | None, given: list[Any], now: int) -> Read:
    counts, good, missing, canonical = read_counts(field, form, given)
    least, most = time_range(field, now)
    good &= (counts >= least) & (counts <= most)
    good[missing] = True
    counts[~good] = 0
    kind = arrow_type(field)
    mask = None
    if missing:
        mask = np.zeros(len(given), np.bool_)
        mask[missing] = True
    width = np.int32 if kind.bit_width == 32 else np.int64
    array = pa.array(counts.astype(width), mask=mask).view(kind)
    return Read(array, 0, np.flatnonzero(~good), canonical)


def read_counts(
    field: Field, form: Form | None, given: list[Any]
) -> tuple[Array, Array, list[int], list[Any] | None]:
    """Return what times count in the field's unit, which are good, and the places of None.

    The last is the values in their canonical form, None if all are in it.
    """
    missing: list[int] = []
    if type(None) in set(map(type, given)):
        missing = [at for at, value in enumerate(given) if value is None]
    if form is None:
        numbers = [0 if value is None else value for value in given] if missing else given
        counts: Array = np.array(numbers, np.int64) * wire_factor(field)
        return counts, np.ones(len(given), np.bool_), missing, None
    length, texts = form.length, given
    if missing or set(map(len, given)) != {length}:
        texts = [text if text and len(text) == length else form.blank for text in given]
    counts, good = form.parse(texts)
    again = np.flatnonzero(~good).tolist() if not good.all() else []
    return counts, good, missing, _read_again(field, given, counts, good, again)


def _read_again(
    field: Field, given: list[Any], counts: Array, good: Array, again: list[int]
) -> list[Any] | None:
    """Read the texts that are in no canonical form, one by one; return all in that form."""
    canonical, back = None, leaves.wire_of_time(field)
    for at in again:
        if given[at] is None:
            continue
        count = leaves.of_time(field, given[at])
        if isinstance(count, BadTimestamp) or not _LEAST <= count <= _MOST:
            continue
        counts[at], good[at] = count, True
        text = back(count)
        if text != given[at]:
            canonical = canonical or list(given)
            canonical[at] = text
    return canonical
