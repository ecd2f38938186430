"""A table of archived records as rows: as they were kept, and headers that say where they stood."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from connectors import positions
from connectors.block import Headers
from connectors.positions import Position
from pipeline.ops.replay.rows import Rows, Times, objects

_PREFIX: Final = "source."
_TOLD: Final = (*positions.COLUMNS, "arrival_time")
_OURS: Final = frozenset(_PREFIX + name for name in _TOLD)
_WIDTHS: Final = {"partition": 10, "offset": 19, "sequence_number": 128}
"""Digits that the largest number of a column has, so that texts sort as the numbers do."""


def rows_of(table: pa.Table, times: Times) -> Rows:
    """The records with what is needed to order them, leave them out and send them again."""
    found = positions.columns_of(table)
    lists = [_values(found.column(name)) for name in positions.COLUMNS]
    count = table.num_rows
    return Rows(
        times,
        objects(_values(table.column("raw")), count),
        objects(_keys(table), count),
        objects(_headers(table, _told(found, times)), count),
        objects(map(Position._make, zip(*lists, strict=True)), count),
        _ties(found),
    )


def _values(column: pa.ChunkedArray) -> list[Any]:
    """As Python's own, None for null; several times quicker than pyarrow's `to_pylist`."""
    if column.null_count == len(column):
        return [None] * len(column)
    if column.null_count and pa.types.is_integer(column.type):
        values: list[Any] = column.to_pylist()
        return values
    return list(column.to_numpy().tolist())


def _keys(table: pa.Table) -> list[bytes | None]:
    return _values(table.column("key")) if "key" in table.column_names else [None] * len(table)


def _told(found: pa.Table, times: Times) -> list[Headers]:
    """The headers of each record's position and arrival."""
    stamps = np.char.add(np.datetime_as_string(times.astype("M8[ms]")), "Z").astype("S").tolist()
    columns: list[Iterable[tuple[str, bytes | None]]] = []
    for name in positions.COLUMNS:
        column = found.column(name)
        if column.null_count < len(column):
            texts = column.cast(pa.string()).cast(pa.binary())
            columns.append(zip(repeat(_PREFIX + name), _values(texts), strict=False))
    columns.append(zip(repeat(f"{_PREFIX}arrival_time"), stamps, strict=False))
    told: list[Headers] = list(zip(*columns, strict=True))
    if _is_of_one_kind(found):
        return told
    return [tuple(pair for pair in each if pair[1] is not None) for each in told]


def _is_of_one_kind(found: pa.Table) -> bool:
    """Whether every record has the same parts of a position."""
    return all(found.column(name).null_count in (0, len(found)) for name in positions.COLUMNS)


def _headers(table: pa.Table, told: list[Headers]) -> list[Headers]:
    """The kept headers, without any that a replay had added, and then ours."""
    if "header_names" not in table.column_names:
        return told
    names = table.column("header_names")
    if names.null_count == len(names):
        return told
    values = table.column("header_values").to_pylist()
    return [
        _kept(*each) + ours for *each, ours in zip(names.to_pylist(), values, told, strict=True)
    ]


def _kept(names: list[str] | None, values: list[bytes | None] | None) -> Headers:
    pairs = zip(names or (), values or (), strict=True)
    return tuple((name, value) for name, value in pairs if name not in _OURS)


def _ties(found: pa.Table) -> NDArray[np.bytes_]:
    """Texts that sort by topic, partition and offset, or stream, shard and sequence number."""
    parts: list[Any] = []
    for name in positions.COLUMNS:
        column = found.column(name)
        if column.null_count == len(column):
            continue
        text = column.cast(pa.string())
        width = _WIDTHS.get(name)
        parts.append(pc.utf8_lpad(text, width, "0") if width else text)
    if not parts:
        return np.full(len(found), b"", dtype="S1")
    whole = pc.binary_join_element_wise(*parts, "/", null_handling="skip")
    return np.array(_values(whole.cast(pa.binary())), dtype="S")
