"""TLC's own monthly Parquet files as events: columns by the names of our schemas and no others.

`trip_id` is a number of fifteen digits that no other row of TLC's has: the kind of the file (1
yellow, 2 green, 3 for-hire, 4 high-volume for-hire), the month as YYYYMM, and the row, from 1, in
eight digits.  The month is that of the file's name, else of its first pickup.

TLC writes local times without a zone: they are taken as UTC.  Null leaves the member out.  TLC has
some integers as doubles: one that is integral becomes an integer, any other number stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.errors import UserError
from connectors.s3.store import ReadableStore
from pipeline.events.event_types import EventType, EventTypes
from pipeline.ops.replay.files import opened
from pipeline.ops.replay.rows import LOWEST, Rows
from pipeline.ops.replay.selection import Counts, Selection
from pipeline.ops.replay.tlc_json import Texts, texts_of

_BATCH_ROWS: Final = 5_000
_PEEK_ROWS: Final = 1_000
_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_ROWS_A_FILE: Final = 10**8
_MONTHS: Final = 10**6
_MADE: Final = ("trip_id", "type")
"""Not in TLC's files: we make them."""


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    digit: int
    event_type: str
    marks: frozenset[str]


_KINDS: Final = (
    _Kind("yellow", 1, "trip", frozenset({"tpep_pickup_datetime", "tpep_dropoff_datetime"})),
    _Kind("green", 2, "green_trip", frozenset({"lpep_pickup_datetime", "lpep_dropoff_datetime"})),
    _Kind(
        "high-volume for-hire",
        4,
        "fhv_trip",
        frozenset({"hvfhs_license_num", "dispatching_base_num", "pulocationid"}),
    ),
    _Kind("for-hire", 3, "fhv_trip", frozenset({"dispatching_base_num", "pulocationid"})),
)


@dataclass(frozen=True, slots=True)
class TlcFile:
    """One of TLC's files: what it holds, its columns by our fields' names, and its first id."""

    store: ReadableStore
    path: str
    event_type: EventType
    columns: Mapping[str, str]
    first_id: int
    first_ms: int
    left_out: frozenset[str]

    def read(self, selection: Selection, counts: Counts) -> Iterator[Rows]:
        """The rows in the order of the file; memory holds a row group as it is stored."""
        counts.columns_left_out.setdefault(self.event_type.name, set()).update(self.left_out)
        row = 0
        try:
            with opened(self.store, self.path) as file:
                for batch in pq.ParquetFile(file).iter_batches(
                    _BATCH_ROWS, columns=list(self.columns.values()), use_threads=False
                ):
                    yield self._rows(batch, row, selection, counts)
                    row += len(batch)
        except (pa.ArrowException, OSError) as error:
            counts.bad_file(self.path, f"damaged from here on, after row {row}: {error}")

    def _rows(self, batch: pa.RecordBatch, row: int, selection: Selection, counts: Counts) -> Rows:
        counts.lines += len(batch)
        columns = {name: batch.column(theirs) for name, theirs in self.columns.items()}
        texts = texts_of(self.event_type, columns, self.first_id + row)
        times = epoch_ms(columns[selection.timestamp_field])
        rows = Rows(times, texts.raws(), texts.keys(selection.key_field))
        bad = self._bad(texts, columns, selection, row, counts)
        return rows if not bad.any() else rows.take(~bad)

    def _bad(
        self,
        texts: Texts,
        columns: Mapping[str, pa.Array],
        selection: Selection,
        row: int,
        counts: Counts,
    ) -> Any:
        """Rows that can't be said in JSON, or of which it isn't known when they happened."""
        absent = np.asarray(columns[selection.timestamp_field].is_null())
        bad = absent | texts.unspeakable
        for each in np.flatnonzero(bad).tolist():
            why = (
                f"{selection.timestamp_field} is null" if absent[each] else "a number isn't finite"
            )
            counts.bad_line(f"{self.path}:{row + each + 1}", why)
        return bad


def open_tlc(store: ReadableStore, path: str, types: EventTypes, selection: Selection) -> TlcFile:
    """What TLC file this is, by its columns; only its footer and first rows are read.

    Raises:
        UserError: it is none of TLC's that we know, or hasn't the time asked for.
        pyarrow.ArrowException, OSError: it can't be read.
    """
    with opened(store, path) as file:
        parquet = pq.ParquetFile(file)
        names = parquet.schema_arrow.names
        kind = _kind(path, names)
        event_type = types.get(kind.event_type)
        if event_type is None:
            raise UserError(f"{path}: holds {kind.name} trips, but no schema is {kind.event_type}")
        columns = _columns(event_type, names)
        _refuse_times(path, event_type, columns, selection)
        if parquet.metadata.num_rows >= _ROWS_A_FILE:
            raise UserError(f"{path}: has {parquet.metadata.num_rows:,} rows; 99,999,999 at most")
        used = [columns[event_type.event_time], columns[selection.timestamp_field]]
        peeked = _peeked(parquet, path, list(dict.fromkeys(used)))
    first = _least(peeked, columns[selection.timestamp_field])
    month = _month(path, _least(peeked, columns[event_type.event_time], first_only=True))
    left_out = {one for one in names if one not in columns.values()}
    first_id = (kind.digit * _MONTHS + month) * _ROWS_A_FILE + 1
    return TlcFile(store, path, event_type, columns, first_id, first, frozenset(left_out))


def refuse_same_ids(files: list[TlcFile]) -> None:
    """UserError where two files would give their rows the same ids."""
    seen: dict[int, str] = {}
    for one in files:
        other = seen.setdefault(one.first_id, one.path)
        if other != one.path:
            raise UserError(
                f"{other} and {one.path} hold {one.event_type.name} events of one month, and their"
                " rows would get the same ids: name each file by its own month, such as"
                " yellow_tripdata_2018-01.parquet, or make one file of them"
            )


def epoch_ms(column: pa.Array) -> Any:
    """A timestamp column as epoch milliseconds, cut off; a null becomes the smallest number."""
    per_ms = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
    factor, divisor = per_ms[column.type.unit]
    numbers = np.asarray(pc.fill_null(column.cast(pa.int64()), 0)) * factor // divisor
    return np.where(np.asarray(column.is_null()), LOWEST, numbers)


def _kind(path: str, names: list[str]) -> _Kind:
    seen = {name.lower() for name in names}
    for kind in _KINDS:
        if kind.marks <= seen:
            return kind
    known = "; ".join(f"{kind.name}: {', '.join(sorted(kind.marks))}" for kind in _KINDS)
    raise UserError(
        f"{path}: is Parquet, but none of TLC's that we know; its columns are {', '.join(names)}."
        f" Known by their columns are {known}. Our own archive needs --archive."
    )


def _columns(event_type: EventType, names: list[str]) -> dict[str, str]:
    """Their column of each of our fields, in the order of the schema."""
    theirs = {name.lower(): name for name in reversed(names)}
    found = {
        field.name: next(
            (theirs[one.lower()] for one in (*field.aliases, field.name) if one.lower() in theirs),
            None,
        )
        for field in event_type.fields
        if field.name not in _MADE
    }
    return {name: column for name, column in found.items() if column is not None}


def _refuse_times(
    path: str, event_type: EventType, columns: Mapping[str, str], selection: Selection
) -> None:
    times = [one.name for one in event_type.fields if one.kind == "timestamp"]
    for wanted in (event_type.event_time, selection.timestamp_field):
        if wanted not in times or wanted not in columns:
            raise UserError(
                f"{path}: has no time {wanted!r}; {event_type.name} events have"
                f" {' and '.join(one for one in times if one in columns) or 'none here'}"
            )


def _peeked(parquet: Any, path: str, columns: list[str]) -> pa.Table | None:
    for name in columns:
        kind = parquet.schema_arrow.field(name).type
        if not pa.types.is_timestamp(kind):
            raise UserError(f"{path}: the column {name} is {kind}, not a timestamp")
    batches = parquet.iter_batches(_PEEK_ROWS, columns=columns, use_threads=False)
    batch = next(batches, None)
    return None if batch is None else pa.Table.from_batches([batch])


def _least(peeked: pa.Table | None, column: str, *, first_only: bool = False) -> int:
    if peeked is None:
        return LOWEST
    found = peeked.column(column).combine_chunks().drop_null()
    found = found[:1] if first_only else found
    return int(epoch_ms(found).min()) if len(found) else LOWEST


def _month(path: str, first_ms: int) -> int:
    named = _MONTH.search(path.rpartition("/")[2])
    if named:
        return int(named[1] + named[2])
    if first_ms == LOWEST:
        return 0
    return int(str(np.datetime64(first_ms, "ms").astype("M8[M]")).replace("-", ""))
