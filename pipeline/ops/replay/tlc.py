"""Read TLC's own monthly Parquet files as JSON events: the columns that our schemas name.

`trip_id` is a number of fifteen digits that no other row of TLC's has: the kind of the file (1
yellow, 2 green, 3 for-hire, 4 high-volume for-hire), the month as YYYYMM, and the row, from 1, in
eight digits. The month is that of the file's name, else of its first pickup.

TLC writes local times without a zone: they are taken as UTC. Null leaves the member out. TLC has
some integers as doubles: an integral one becomes an integer, any other number stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from connectors.errors import UserError
from pipeline.events.event_types import EventType, EventTypes, Kind
from pipeline.events.model import EXACT_IN_DOUBLE
from pipeline.ops.replay.files import DataSet
from pipeline.ops.replay.order import LOWEST, Objects, Rows, Times
from pipeline.ops.replay.selection import Counts, Selection

_BATCH_ROWS: Final = 5_000
_PEEK_ROWS: Final = 1_000
_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_ROWS_A_FILE: Final = 10**8
_MONTHS: Final = 10**6
_GENERATED: Final = ("trip_id", "type")
"""Fields that TLC's files do not have."""
_FINER: Final = {"s": 1, "ms": 1, "us": 1_000, "ns": 1_000_000}
"""Units in a millisecond."""
_AT_T: Final = len("2018-01-01")


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
    """One of TLC's files; `columns` are its columns' names by our fields' names."""

    data: DataSet
    path: str
    event_type: EventType
    columns: Mapping[str, str]
    first_id: int
    first_ms: int
    left_out: frozenset[str]

    def read(self, selection: Selection, counts: Counts) -> Iterator[Rows]:
        """Yield the rows in the order of the file; memory holds a row group as it is stored."""
        counts.columns_left_out.setdefault(self.event_type.name, set()).update(self.left_out)
        row = 0
        try:
            with self.data.open(self.path) as file:
                for batch in pq.ParquetFile(file).iter_batches(
                    _BATCH_ROWS, columns=list(self.columns.values()), use_threads=False
                ):
                    yield self._rows(batch, row, selection, counts)
                    row += len(batch)
        except (pa.ArrowException, OSError) as error:
            counts.bad_file(self.path, f"damaged from here on, after row {row}: {error}")

    def _rows(self, batch: pa.RecordBatch, row: int, selection: Selection, counts: Counts) -> Rows:
        counts.lines += len(batch)
        columns = {name: _plain(batch.column(theirs)) for name, theirs in self.columns.items()}
        raws, keys = self._json(columns, self.first_id + row, selection.key_field)
        times = _epoch_ms(columns[selection.timestamp_field])
        absent, infinite = times == LOWEST, _has_infinite(columns.values(), len(batch))
        bad = absent | infinite
        for index in np.flatnonzero(bad).tolist():
            null = f"{selection.timestamp_field} is null"
            why = null if absent[index] else "a number isn't finite"
            counts.bad_line(f"{self.path}:{row + index + 1}", why)
        rows = Rows(times, raws, keys)
        return rows.take(~bad) if bad.any() else rows

    def _json(
        self, columns: Mapping[str, pa.Array], first_id: int, key_field: str
    ) -> tuple[Objects, Objects]:
        """Return each row as a JSON object, and the text of its key field.

        The text is built by the column: three times as fast as encoding objects.
        """
        count = len(next(iter(columns.values())))
        ids = pa.array(np.arange(first_id, first_id + count)).cast(pa.string())
        kind = pa.array([self.event_type.name] * count)
        texts = {"trip_id": ids, "type": kind}
        members = [_member("trip_id", ids), _member("type", _quoted(kind))]
        for name, column in columns.items():
            texts[name], value = _text(column, self.event_type.field(name).kind)
            members.append(_member(name, value))
        inner = pc.binary_join_element_wise(*members, ",", null_handling="skip")
        keys = texts.get(key_field)
        return (
            _bytes(pc.binary_join_element_wise("{", inner, "}", "")),
            np.full(count, None, object) if keys is None else _bytes(keys),
        )


def open_tlc(data: DataSet, path: str, types: EventTypes, selection: Selection) -> TlcFile:
    """Find out which of TLC's files this is, by its columns; read its footer and first rows only.

    Raises:
        UserError: it is none of TLC's that we know, or lacks the selected time.
        pyarrow.ArrowException, OSError: it is damaged.
    """
    with data.open(path) as file:
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
        event_time, time = columns[event_type.event_time], columns[selection.timestamp_field]
        first_rows = _first_rows(parquet, path, list(dict.fromkeys([event_time, time])))
    times = _times(first_rows, time)
    month = _month(path, _times(first_rows, event_time))
    left_out = frozenset(names) - set(columns.values())
    first_id = (kind.digit * _MONTHS + month) * _ROWS_A_FILE + 1
    first_ms = int(times.min()) if len(times) else LOWEST
    return TlcFile(data, path, event_type, columns, first_id, first_ms, left_out)


def refuse_same_ids(files: list[TlcFile]) -> None:
    """Raise UserError where two files would give their rows the same ids."""
    paths: dict[int, str] = {}
    for file in files:
        other = paths.setdefault(file.first_id, file.path)
        if other != file.path:
            raise UserError(
                f"{other} and {file.path} hold {file.event_type.name} events of one month, and"
                " their rows would get the same ids: name each file by its own month, such as"
                " yellow_tripdata_2018-01.parquet, or make one file of them"
            )


def _kind(path: str, names: list[str]) -> _Kind:
    lower = {name.lower() for name in names}
    for kind in _KINDS:
        if kind.marks <= lower:
            return kind
    known = "; ".join(f"{kind.name}: {', '.join(sorted(kind.marks))}" for kind in _KINDS)
    raise UserError(
        f"{path}: is Parquet, but none of TLC's that we know; its columns are {', '.join(names)}."
        f" Known by their columns are {known}. Our own archive needs --archive."
    )


def _columns(event_type: EventType, names: list[str]) -> dict[str, str]:
    """Return the file's column of each of our fields, in the order of the schema."""
    lower = {name.lower(): name for name in reversed(names)}
    columns: dict[str, str] = {}
    for field in event_type.fields:
        aliases = [alias.lower() for alias in (*field.aliases, field.name)]
        column = next((lower[alias] for alias in aliases if alias in lower), None)
        if column is not None and field.name not in _GENERATED:
            columns[field.name] = column
    return columns


def _refuse_times(
    path: str, event_type: EventType, columns: Mapping[str, str], selection: Selection
) -> None:
    times = [field.name for field in event_type.fields if field.kind == "timestamp"]
    for wanted in (event_type.event_time, selection.timestamp_field):
        if wanted not in times or wanted not in columns:
            raise UserError(
                f"{path}: has no time {wanted!r}; {event_type.name} events have"
                f" {' and '.join(name for name in times if name in columns) or 'none here'}"
            )


def _first_rows(parquet: Any, path: str, columns: list[str]) -> pa.RecordBatch | None:
    for name in columns:
        kind = parquet.schema_arrow.field(name).type
        if not pa.types.is_timestamp(kind):
            raise UserError(f"{path}: the column {name} is {kind}, not a timestamp")
    return next(parquet.iter_batches(_PEEK_ROWS, columns=columns, use_threads=False), None)


def _times(rows: pa.RecordBatch | None, column: str) -> Times:
    if rows is None:
        return np.zeros(0, np.int64)
    return _epoch_ms(rows.column(rows.schema.get_field_index(column)).drop_null())


def _month(path: str, pickups: Times) -> int:
    named = _MONTH.search(path.rpartition("/")[2])
    if named:
        return int(named[1] + named[2])
    if not len(pickups):
        return 0
    return int(str(pickups[0].astype("M8[ms]").astype("M8[M]")).replace("-", ""))


def _epoch_ms(column: pa.Array) -> Times:
    """Convert timestamps to epoch milliseconds, cut off; a null becomes `LOWEST`."""
    millis = column.cast(pa.timestamp("ms", column.type.tz), safe=False).cast(pa.int64())
    return np.asarray(pc.fill_null(millis, LOWEST), np.int64)


# Columns as JSON texts.


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _has_infinite(columns: Iterable[pa.Array], rows: int) -> NDArray[np.bool_]:
    """Tell which rows hold a number that JSON has no text for."""
    infinite = np.zeros(rows, np.bool_)
    for column in columns:
        if pa.types.is_floating(column.type):
            infinite |= np.asarray(pc.fill_null(pc.invert(pc.is_finite(column)), False))
    return infinite


def _text(column: pa.Array, kind: Kind) -> tuple[pa.Array, pa.Array]:
    """Return the values' texts, and the same as JSON has them."""
    if pa.types.is_timestamp(column.type):
        text = _instants(column)
        return text, pc.binary_join_element_wise('"', text, '"', "")
    if pa.types.is_floating(column.type) and kind in ("int32", "int64"):
        text = _integers(column)
    else:
        text = column.cast(pa.string())
    bare = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
    return text, text if any(is_type(column.type) for is_type in bare) else _quoted(text)


def _integers(column: pa.Array) -> pa.Array:
    """Return the texts of doubles, those that are integral as integers."""
    whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), EXACT_IN_DOUBLE))
    integers = pc.if_else(whole, column, 0.0).cast(pa.int64()).cast(pa.string())
    if pc.all(whole).as_py() is not False:
        return integers
    return pc.if_else(whole, integers, column.cast(pa.string()))


def _instants(column: pa.Array) -> pa.Array:
    """Return ISO-8601 to the millisecond; if one value is finer, to the column's unit."""
    unit = column.type.unit
    numbers = column.cast(pa.int64())
    naive = numbers.cast(pa.timestamp(unit))
    if not np.any(np.asarray(pc.fill_null(numbers, 0)) % _FINER[unit]):
        naive = naive.cast(pa.timestamp("ms"))
    dated = pc.utf8_replace_slice(naive.cast(pa.string()), _AT_T, _AT_T + 1, "T")
    return pc.binary_join_element_wise(dated, "Z", "")


def _quoted(texts: pa.Array) -> pa.Array:
    """Return the texts as JSON strings; each distinct one is encoded once."""
    encoded = texts.dictionary_encode()
    quoted = [msgspec.json.encode(text).decode() for text in encoded.dictionary.to_pylist()]
    return pa.array(quoted, pa.string()).take(encoded.indices)


def _member(name: str, value: pa.Array) -> pa.Array:
    prefix = pa.scalar(f"{msgspec.json.encode(name).decode()}:")
    return pc.binary_join_element_wise(prefix, value.cast(pa.string()), "")


def _bytes(texts: pa.Array) -> Objects:
    values: Objects = texts.cast(pa.binary()).to_numpy(zero_copy_only=False)
    return values
