"""Read TLC's own monthly Parquet files as JSON events: the columns that our schemas name.

`trip_id` is a number of fifteen digits that no other row of TLC's has: the kind of the file (1
yellow, 2 green, 3 for-hire, 4 high-volume for-hire), the month as YYYYMM, and the row, from 1, in
eight digits. The month is that in the file's name, else that of its first pickup.

TLC writes local times without a zone: they are taken as UTC. Null leaves the member out. TLC has
some integers as doubles: an integral one becomes an integer, any other number stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET
from numpy.typing import NDArray

from connectors import checksums
from connectors.arrow import open_parquet
from connectors.errors import UserError
from connectors.s3.store import Stored
from pipeline.events.event_types import EventType, EventTypes, Kind
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
_encode: Final = msgspec.json.Encoder().encode
_GENERATED: Final = ("trip_id", "type")
"""Fields that TLC's files do not have."""


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


@dataclass(frozen=True, slots=True)
class TlcFile:
    """One of TLC's files; `columns` are its columns' names by our fields' names."""

    data: DataSet
    file: Stored
    event_type: EventType
    columns: Mapping[str, str]
    first_id: int
    first_ms: int
    left_out: frozenset[str]

    def read(self, selection: Selection, counts: Counts) -> Iterator[Rows]:
        """Yield the rows in the order of the file."""
        counts.columns_left_out.setdefault(self.event_type.name, set()).update(self.left_out)
        convert = partial(self._rows, selection, counts)
        columns = list(self.columns.values())
        return self.data.read_parquet(
            self.file, convert, counts, batch_rows=_BATCH_ROWS, columns=columns
        )

    def _rows(self, selection: Selection, counts: Counts, batch: pa.RecordBatch, row: int) -> Rows:
        counts.lines += len(batch)
        columns = {name: _plain(batch.column(theirs)) for name, theirs in self.columns.items()}
        times = _epoch_ms(columns[selection.timestamp_field])
        absent, infinite = times == LOWEST, _has_infinite(columns.values(), len(batch))
        bad = absent | infinite
        for index in np.flatnonzero(bad).tolist():
            null = f"{selection.timestamp_field} is null"
            why = null if absent[index] else "a number isn't finite"
            counts.bad_line(f"{self.file.path}:{row + index + 1}", why)
        rows = Rows(times, *self._json(columns, self.first_id + row, selection.key_field))
        return rows.take(~bad) if bad.any() else rows

    def _json(
        self, columns: Mapping[str, pa.Array], first_id: int, key_field: str
    ) -> tuple[Objects, Objects]:
        """Return each row as a JSON object, and its key."""
        count = len(next(iter(columns.values())))
        members: dict[str, list[Any]] = {
            "trip_id": list(range(first_id, first_id + count)),
            "type": [self.event_type.name] * count,
        }
        for name, column in columns.items():
            members[name] = _json_values(column, self.event_type.field(name).kind)
        struct = msgspec.defstruct("Event", [(name, Any) for name in members], gc=False)
        raws = (_encode(struct(*row)) for row in zip(*members.values(), strict=True))
        keys = map(_key, members.get(key_field, [UNSET] * count))
        return objects(raws, count), objects(keys, count)


def open_tlc(data: DataSet, file: Stored, types: EventTypes, selection: Selection) -> TlcFile:
    """Determine by its columns which of TLC's files this is; read only its footer and first rows.

    Raises:
        UserError: it is no known kind of TLC's files, or lacks the selected time.
        pyarrow.ArrowException, OSError: it is damaged.
    """
    path = file.path
    with data.open(path) as content:
        parquet = open_parquet(content)
        names = parquet.schema_arrow.names
        kind = _kind(path, names)
        event_type = types.get(kind.event_type)
        if event_type is None:
            raise UserError(f"{path}: holds {kind.name} trips, but no schema is {kind.event_type}")
        if parquet.metadata.num_rows >= _ROWS_A_FILE:
            raise UserError(f"{path}: has {parquet.metadata.num_rows:,} rows; 99,999,999 at most")
        month = _month(path, _first_times(parquet, path, event_type, event_type.event_time))
        times = _first_times(parquet, path, event_type, selection.timestamp_field)
    columns = _columns(event_type, names)
    left_out = frozenset(names) - set(columns.values())
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


def _first_times(parquet: Any, path: str, event_type: EventType, name: str) -> Times:
    """Return the times of the first rows that have one; UserError if the file has no such time."""
    columns = _columns(event_type, parquet.schema_arrow.names)
    times = [f.name for f in event_type.fields if f.kind == "timestamp" and f.name in columns]
    if name not in times:
        raise UserError(
            f"{path}: has no time {name!r}; {event_type.name} events have"
            f" {' and '.join(times) or 'none here'}"
        )
    kind = parquet.schema_arrow.field(columns[name]).type
    if not pa.types.is_timestamp(kind):
        raise UserError(f"{path}: the column {columns[name]} is {kind}, not a timestamp")
    for rows in parquet.iter_batches(_PEEK_ROWS, columns=[columns[name]], use_threads=False):
        return _epoch_ms(rows.column(0).drop_null())
    return np.zeros(0, np.int64)


def _month(path: str, pickups: Times) -> int:
    named = _MONTH.search(path.rpartition("/")[2])
    if named:
        return int(named[1] + named[2])
    if not len(pickups):
        return 0
    return int(str(pickups[0].astype("M8[ms]").astype("M8[M]")).replace("-", ""))


def _epoch_ms(column: pa.Array) -> Times:
    """Convert timestamps to epoch milliseconds, truncated; a null becomes `LOWEST`."""
    return checksums.millis(column.cast(pa.timestamp("ms", column.type.tz), safe=False))


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _has_infinite(columns: Iterable[pa.Array], rows: int) -> NDArray[np.bool_]:
    """Return which rows have a number that JSON cannot represent."""
    infinite = np.zeros(rows, np.bool_)
    for column in columns:
        if pa.types.is_floating(column.type):
            infinite |= np.asarray(pc.fill_null(pc.invert(pc.is_finite(column)), False))
    return infinite


def _json_values(column: pa.Array, kind: Kind) -> list[Any]:
    """Return the values as JSON has them, UNSET for null, which leaves the member out."""
    if pa.types.is_timestamp(column.type):
        column = _instants(column)
    elif not any(is_type(column.type) for is_type in _BARE):
        column = column.cast(pa.string())
    members = [UNSET if value is None else value for value in values(column)]
    if pa.types.is_floating(column.type) and kind in ("int32", "int64"):
        return list(map(_integer, members))
    return members


def _integer(value: Any) -> Any:
    is_whole = value is not UNSET and value.is_integer() and abs(value) < EXACT_IN_DOUBLE
    return int(value) if is_whole else value


def _key(value: Any) -> bytes | None:
    if value is UNSET:
        return None
    return value.encode() if isinstance(value, str) else _encode(value)


def _instants(column: pa.Array) -> pa.Array:
    """Return ISO-8601 to the millisecond; if one value is finer, to the column's unit."""
    naive = column.cast(pa.int64()).cast(pa.timestamp(column.type.unit))
    with suppress(pa.ArrowInvalid):
        naive = naive.cast(pa.timestamp("ms"))
    dated = pc.replace_substring(naive.cast(pa.string()), " ", "T")
    return pc.binary_join_element_wise(dated, "Z", "")
