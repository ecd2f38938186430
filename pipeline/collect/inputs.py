"""Raw records as decode gets them, a batch as numpy arrays, and their columns in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from connectors.kafka.headers import unpack
from pipeline.collect.columns import arrow_schema
from pipeline.config.model import Source
from pipeline.decode.columns import Array
from pipeline.decode.records import ARRIVAL_TIME, HEADERS, NO_NUMBER, position

NO_TIME: Final = np.iinfo(np.int64).min
"""The arrival time of a record that has none; numpy's NaT."""

# What Flink's TO_TIMESTAMP_LTZ takes: the years 0 to 9999. Many readers have no later ones either.
_EARLIEST_MS: Final = -62_167_219_200_000
_LATEST_MS: Final = 253_402_300_799_999


class Inputs(NamedTuple):
    """The records of a batch, one row each, in order.

    `raw` and `key` are bytes or None, `own_headers` the packed list of a record's headers or None;
    see `connectors.kafka.headers`. `arrival_ms` is int64, `NO_TIME` where there is none. `position`
    has the columns of `records.position` without the arrival time: texts or None, and numbers,
    `NO_NUMBER` where there is none.
    """

    raw: Any  # an array of objects, which mypy does not take for a sequence
    arrival_ms: Array
    key: Array
    position: Mapping[str, Array]
    own_headers: Array

    def __len__(self) -> int:  # of records, not of columns
        return len(self.raw)


def position_names(source: Source) -> tuple[str, ...]:
    """Return the names of a position's columns, without the arrival time."""
    return tuple(name for name in position(source) if name not in ARRIVAL_TIME)


def inputs(source: Source, arguments: Sequence[Array]) -> Inputs:
    """Return arguments by name; see `query.arguments` for their order."""
    raw, arrival_ms, key, *others = arguments
    names = position_names(source)
    own_headers = others[len(names)] if source.kafka_topics else np.full(len(raw), None, object)
    positions = dict(zip(names, others, strict=False))
    return Inputs(raw, _whole(arrival_ms), key, positions, own_headers)


def _whole(arrival_ms: Array) -> Array:
    """Return int64; pandas makes doubles of integers beside nulls."""
    if arrival_ms.dtype.kind == "i":
        return arrival_ms.astype(np.int64, copy=False)
    known = ~np.isnan(arrival_ms.astype(np.float64))
    whole = np.full(len(arrival_ms), NO_TIME)
    whole[known] = arrival_ms[known]
    return whole


def instants(arrival_ms: Array) -> pa.Array:
    """Return arrival times as timestamps in UTC."""
    return pa.array(arrival_ms.view("M8[ms]"), pa.timestamp("ms", tz="UTC"))


def readable(arrival_ms: Array) -> Array:
    """Return arrival times without those that no SQL can read: a producer's may be absurd."""
    absurd = (arrival_ms < _EARLIEST_MS) | (arrival_ms > _LATEST_MS)
    return np.where(absurd, NO_TIME, arrival_ms) if absurd.any() else arrival_ms


def arrow(values: Array, kind: pa.DataType) -> pa.Array:
    """Return a column of numbers, texts or bytes; None and `NO_NUMBER` become null."""
    if kind == pa.binary():
        return binary(values)
    missing = values == NO_NUMBER if values.dtype.kind == "i" else None
    if missing is None or not missing.any():
        return pa.array(values, kind)
    return pa.array(values, kind, mask=missing)


def binary(values: Array) -> pa.Array:
    """Return a column of bytes, in a third of the time of `pa.array` if none is None."""
    try:
        lengths = np.fromiter(map(len, values), np.int32, len(values))
        data = b"".join(values)
    except TypeError:
        return pa.array(values, pa.binary())
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)


def header_lists(own_headers: Array) -> dict[str, pa.Array]:
    """Return the columns `HEADERS` from packed lists; null for a record without headers."""
    rows = np.flatnonzero(own_headers)
    lists: dict[str, Any] = {name: [None] * len(own_headers) for name in HEADERS}
    for row in rows:
        pairs = unpack(own_headers[row])
        for at, name in enumerate(HEADERS):
            lists[name][row] = [pair[at] for pair in pairs]
    kinds = arrow_schema(HEADERS)
    if not len(rows):
        return {field.name: pa.nulls(len(own_headers), field.type) for field in kinds}
    return {field.name: pa.array(lists[field.name], field.type) for field in kinds}
