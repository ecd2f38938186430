"""Read TLC's own monthly Parquet files as JSON events: the columns that our schemas name.

`trip_id` is a number of fifteen digits that no other row of TLC's has: the kind of the file (1
yellow, 2 green, 3 for-hire, 4 high-volume for-hire), the month as YYYYMM, and the row, from 1, in
eight digits. The month is that in the file's name, else that of its first pickup.

TLC writes local times without a zone: they are taken as UTC. Null is written as null, or left out
of a field that is null by default. Where TLC has integers as doubles or decimals, an integral one
becomes an integer; any other number stays as it is, a decimal with all its digits. A row is a bad
line if JSON cannot hold one of its values, or if two columns of one field differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET, Raw

from connectors import checksums
from connectors.arrow import open_parquet
from connectors.errors import UserError
from connectors.s3.store import Stored
from pipeline.events.event_types import EventType, EventTypes, Field
from pipeline.events.model import EXACT_IN_DOUBLE
from pipeline.ops.replay.files import DataSet
from pipeline.ops.replay.order import LOWEST, Objects, Rows, Times, objects, values
from pipeline.ops.replay.selection import Counts, Selection

_BATCH_ROWS: Final = 5_000
_PEEK_ROWS: Final = 1_000
_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_ROWS_A_FILE: Final = 10**8
_MONTHS: Final = 10**6
_BARE: Final = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
"""Types that JSON writes without quotes."""
_BINARY: Final = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
_encode: Final = msgspec.json.Encoder().encode
_GENERATED: Final = ("trip_id", "type")
"""Fields that TLC's files do not have."""


Bad = dict[int, str]
"""Why a row of a batch is a bad line."""


class NotReadable(Exception):
    """Why a whole file is skipped: its columns are not those of events."""


class _Kind(NamedTuple):
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
_WITH_COORDINATES: Final = (
    frozenset({"trip_pickup_datetime", "start_lon"}),
    frozenset({"pickup_datetime", "pickup_longitude"}),
)
"""Columns of TLC's files of 2009 and of 2010."""


@dataclass(frozen=True, slots=True)
class TlcFile:
    """One of TLC's files; `columns` are the names of its columns by our fields' names."""

    data: DataSet
    file: Stored
    event_type: EventType
    columns: Mapping[str, tuple[str, ...]]
    first_id: int
    first_ms: int
    left_out: frozenset[str]

    def read(self, selection: Selection, counts: Counts) -> Iterator[Rows]:
        """Yield the rows in the order of the file."""
        counts.columns_left_out.setdefault(self.event_type.name, set()).update(self.left_out)
        convert = partial(self._rows, selection, counts)
        columns = sorted({name for names in self.columns.values() for name in names})
        return self.data.read_parquet(
            self.file, convert, counts, batch_rows=_BATCH_ROWS, columns=columns
        )

    def _rows(self, selection: Selection, counts: Counts, batch: pa.RecordBatch, row: int) -> Rows:
        counts.lines += len(batch)
        columns = {name: _arrays(batch, theirs) for name, theirs in self.columns.items()}
        times = _times(columns[selection.timestamp_field])
        null = f"{selection.timestamp_field} is null"
        bad: Bad = dict.fromkeys(np.flatnonzero(times == LOWEST).tolist(), null)
        raws, keys = self._json(columns, self.first_id + row, selection.key_field, bad)
        for index, why in sorted(bad.items()):
            counts.bad_line(f"{self.file.path}:{row + index + 1}", why)
        good = np.ones(len(batch), np.bool_)
        good[list(bad)] = False
        rows = Rows(times, raws, keys)
        return rows.take(good) if bad else rows

    def _json(
        self, columns: Mapping[str, list[pa.Array]], first_id: int, key_field: str, bad: Bad
    ) -> tuple[Objects, Objects]:
        """Return each row as a JSON object, and its key; add the rows that cannot be one."""
        count = len(next(iter(columns.values()))[0])
        members: dict[str, list[Any]] = {
            "trip_id": list(range(first_id, first_id + count)),
            "type": [self.event_type.name] * count,
        }
        for name, arrays in columns.items():
            members[name] = _members(arrays, self.event_type.field(name), bad)
        struct = msgspec.defstruct("Event", [(name, Any) for name in members], gc=False)
        raws = (_encode(struct(*row)) for row in zip(*members.values(), strict=True))
        keys = map(_key, members.get(key_field, [UNSET] * count))
        return objects(raws, count), objects(keys, count)


def open_tlc(data: DataSet, file: Stored, types: EventTypes, selection: Selection) -> TlcFile:
    """Determine by its columns which of TLC's files this is; read only its footer and first rows.

    Raises:
        NotReadable: it is no known kind of TLC's files, or lacks the selected time.
        pyarrow.ArrowException, OSError: it is damaged.
    """
    path = file.path
    with data.open(path) as content:
        parquet = open_parquet(content)
        names = parquet.schema_arrow.names
        kind = _kind(names)
        event_type = types.get(kind.event_type)
        if event_type is None:
            raise NotReadable(f"holds {kind.name} trips, but no schema is {kind.event_type}")
        if parquet.metadata.num_rows >= _ROWS_A_FILE:
            raise NotReadable(f"has {parquet.metadata.num_rows:,} rows; 99,999,999 at most")
        month = _month(path, _first_times(parquet, event_type, event_type.event_time))
        times = _first_times(parquet, event_type, selection.timestamp_field)
    columns = _columns(event_type, names)
    left_out = frozenset(names).difference(*columns.values())
    first_id = (kind.digit * _MONTHS + month) * _ROWS_A_FILE + 1
    first_ms = int(times.min()) if len(times) else LOWEST
    return TlcFile(data, file, event_type, columns, first_id, first_ms, left_out)


def refuse_same_ids(files: list[TlcFile]) -> None:
    """Raise UserError where two files would give their rows the same ids."""
    paths: dict[int, str] = {}
    for file in files:
        other = paths.setdefault(file.first_id, file.file.path)
        if other != file.file.path:
            raise UserError(
                f"{other} and {file.file.path} hold {file.event_type.name} events of one month, and"
                " their rows would get the same ids: name each file by its own month, such as"
                " yellow_tripdata_2018-01.parquet, or make one file of them"
            )


def _kind(names: list[str]) -> _Kind:
    lower = {name.lower() for name in names}
    for kind in _KINDS:
        if kind.marks <= lower:
            return kind
    if any(marks <= lower for marks in _WITH_COORDINATES):
        raise NotReadable(
            "is of TLC's files of 2009 and 2010, which have coordinates instead of taxi zones; no"
            " event type has these"
        )
    known = "; ".join(f"{kind.name}: {', '.join(sorted(kind.marks))}" for kind in _KINDS)
    raise NotReadable(
        f"is Parquet, but none of TLC's that we know; its columns are {', '.join(names)}."
        f" Known by their columns are {known}. Our own archive needs --archive."
    )


def _columns(event_type: EventType, names: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the file's columns of each of our fields, in the order of the schema.

    There may be several: `airport_fee` beside `Airport_fee`, or one name twice.
    """
    columns: dict[str, tuple[str, ...]] = {}
    for field in event_type.fields:
        aliases = {alias.lower() for alias in (*field.aliases, field.name)}
        theirs = tuple(dict.fromkeys(name for name in names if name.lower() in aliases))
        if theirs and field.name not in _GENERATED:
            columns[field.name] = theirs
    return columns


def _first_times(parquet: Any, event_type: EventType, name: str) -> Times:
    """Return the times of the first rows that have one; NotReadable without such a column."""
    schema = parquet.schema_arrow
    columns = _columns(event_type, schema.names)
    times = [f.name for f in event_type.fields if f.kind == "timestamp" and f.name in columns]
    if name not in times:
        raise NotReadable(
            f"has no time {name!r}; {event_type.name} events have"
            f" {' and '.join(times) or 'none here'}"
        )
    for column in columns[name]:
        for index in schema.get_all_field_indices(column):
            kind = schema.field(index).type
            if pa.types.is_null(kind):
                raise NotReadable(f"the column {column} is null in the whole file")
            if not pa.types.is_timestamp(kind):
                raise NotReadable(f"the column {column} is {kind}, not a timestamp")
    for rows in parquet.iter_batches(_PEEK_ROWS, columns=list(columns[name]), use_threads=False):
        first: Times = _times(_arrays(rows, columns[name]))
        return np.extract(first != LOWEST, first)
    return np.zeros(0, np.int64)


def _month(path: str, pickups: Times) -> int:
    named = _MONTH.search(path.rpartition("/")[2])
    if named:
        return int(named[1] + named[2])
    months = (str(pickup.astype("M8[ms]").astype("M8[M]")) for pickup in pickups)
    return next((int(m.replace("-", "")) for m in months if _MONTH.fullmatch(m)), 0)


def _epoch_ms(column: pa.Array) -> Times:
    """Convert timestamps to epoch milliseconds, truncated; a null becomes `LOWEST`."""
    return checksums.millis(column.cast(pa.timestamp("ms", column.type.tz), safe=False))


def _times(arrays: list[pa.Array]) -> Times:
    """Return the times of a field's columns; the first column that has one counts."""
    times, *others = map(_epoch_ms, arrays)
    for other in others:
        times = np.where(times == LOWEST, other, times)
    return times


def _arrays(batch: pa.RecordBatch, names: tuple[str, ...]) -> list[pa.Array]:
    indices = (index for name in names for index in batch.schema.get_all_field_indices(name))
    return [_plain(batch.column(index)) for index in indices]


def _plain(column: pa.Array) -> pa.Array:
    """Return a column of a type that the conversions know."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_float16(column.type):  # pyarrow 11 has no functions for it.
        return pa.array([None if v is None else float(v) for v in column.to_pylist()], pa.float32())
    return column


def _members(arrays: list[pa.Array], field: Field, bad: Bad) -> list[Any]:
    """Return a field's values as JSON has them, UNSET for null where null is the default."""
    members, *others = (_json_values(array, field, bad) for array in arrays)
    for other in others:
        for row, (one, another) in enumerate(zip(members, other, strict=True)):
            if one is None:
                members[row] = another
            elif another is not None and one != another:
                bad.setdefault(row, f"{field.name}: two columns have different values")
    if field.optional and field.default is None:
        return [UNSET if value is None else value for value in members]
    return members


def _json_values(column: pa.Array, field: Field, bad: Bad) -> list[Any]:
    """Return the values as JSON has them, None for null."""
    is_integer = field.kind in ("int32", "int64")
    if pa.types.is_timestamp(column.type):
        return values(_instants(column))
    if pa.types.is_floating(column.type):
        infinite = np.asarray(pc.fill_null(pc.invert(pc.is_finite(column)), False))
        for row in np.flatnonzero(infinite).tolist():
            bad.setdefault(row, f"{field.name}: the number isn't finite")
        return list(map(_integer, values(column))) if is_integer else values(column)
    if pa.types.is_decimal(column.type):
        texts = values(column.cast(pa.string()))
        return [None if text is None else _number(text, is_integer) for text in texts]
    if any(is_type(column.type) for is_type in _BARE):
        return values(column)
    return _texts(column, field, bad)


def _texts(column: pa.Array, field: Field, bad: Bad) -> list[Any]:
    """Return texts; the rows of those that are not UTF-8 are bad, or all of a nested type."""
    try:
        return values(column.cast(pa.string()))
    except pa.ArrowNotImplementedError:
        for row in np.flatnonzero(np.asarray(column.is_valid())).tolist():
            bad.setdefault(row, f"{field.name}: the column is {column.type}, not of plain values")
        return [None] * len(column)
    except (UnicodeDecodeError, pa.ArrowException):
        return _texts_singly(column, field, bad)


def _texts_singly(column: pa.Array, field: Field, bad: Bad) -> list[Any]:
    texts: list[Any] = []
    for row, value in enumerate(column.cast(_BINARY.get(column.type, column.type)).to_pylist()):
        try:
            texts.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            bad.setdefault(row, f"{field.name}: not UTF-8")
            texts.append(None)
    return texts


def _integer(value: Any) -> Any:
    is_whole = value is not None and value.is_integer() and abs(value) < EXACT_IN_DOUBLE
    return int(value) if is_whole else value


def _number(text: str, is_integer: bool) -> Any:
    """Return a decimal as a JSON number of the same digits."""
    number = Decimal(text)
    if is_integer and number == number.to_integral_value():
        return int(number)
    return Raw(text.encode())


def _key(value: Any) -> bytes | None:
    if value is None or value is UNSET:
        return None
    return value.encode() if isinstance(value, str) else _encode(value)


def _instants(column: pa.Array) -> pa.Array:
    """Return ISO-8601 to the millisecond; if one value is finer, to the column's unit."""
    naive = column.cast(pa.int64()).cast(pa.timestamp(column.type.unit))
    with suppress(pa.ArrowInvalid):
        naive = naive.cast(pa.timestamp("ms"))
    dated = pc.replace_substring(naive.cast(pa.string()), " ", "T")
    return pc.binary_join_element_wise(dated, "Z", "")
