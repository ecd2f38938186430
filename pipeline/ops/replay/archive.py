"""Read the raw records of our own archive in the order of their arrival, with their positions.

The archive is Parquet in a folder for each hour of arrival. Hours are read one after the other, the
files of an hour merged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, repeat
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from connectors import checksums, positions
from connectors.block import Headers
from connectors.errors import UserError
from connectors.positions import Position
from connectors.s3.store import Stored
from pipeline.ops.replay.files import DataSet
from pipeline.ops.replay.order import LOWEST, Part, Rows, Times, merged, objects
from pipeline.ops.replay.selection import Counts, LeaveOut, Selection

_HOUR_MS: Final = 3_600_000
_FOLDER: Final = re.compile(r"(?:.*/)?arrival_date=(\d{4}-\d{2}-\d{2})/arrival_hour=(\d{2})")
_BATCH_ROWS: Final = 2_000
_READERS: Final = 8
_NEEDED: Final = ("raw", "arrival_time")
_PREFIX: Final = "source."
_OURS: Final = frozenset(_PREFIX + name for name in (*positions.COLUMNS, "arrival_time"))
_WIDTHS: Final = {"partition": 10, "offset": 19, "sequence_number": 128}
"""Digits of a column's largest number, so that texts sort as the numbers do."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive's files, and which of its records are wanted."""

    data: DataSet
    selection: Selection
    counts: Counts
    leave_out: LeaveOut | None = None

    def rows(self) -> Iterator[Rows]:
        """Yield by arrival, then by topic, partition, offset or stream, shard, sequence number.

        The order holds as far as `Selection.reorder` rows of each file go.
        """
        files = sorted(self.data.files, key=lambda file: (_folder(file), file.path))
        for folder, of_folder in groupby(files, key=_folder):
            if self._may_hold(folder):
                yield from merged(self._parts(list(of_folder)), self.selection.reorder)

    def _may_hold(self, folder: str) -> bool:
        """Tell whether selected records can be there; clocks may be off by an hour."""
        hour = _hour_ms(folder)
        if hour is None:
            return True
        start, end = self.selection.start_ms, self.selection.end_ms
        return (start is None or hour + 2 * _HOUR_MS > start) and (
            end is None or hour - _HOUR_MS < end
        )

    def _parts(self, files: list[Stored]) -> list[Part]:
        with ThreadPoolExecutor(_READERS) as pool:
            firsts = list(pool.map(self._first_ms, files))
        return [
            Part(first, lambda file=file: self._read(file))  # type: ignore[misc]
            for first, file in zip(firsts, files, strict=True)
        ]

    def _first_ms(self, file: Stored) -> int:
        """Return the earliest arrival by the file's footer."""
        try:
            with self.data.open(file.path) as raw:
                return _earliest(pq.read_metadata(raw))
        except (pa.ArrowException, OSError):
            return LOWEST

    def _read(self, file: Stored) -> Iterator[Rows]:
        self.counts.files += 1
        row = 0
        try:
            with self.data.open_archived(file) as content:
                parquet = pq.ParquetFile(content)
                _refuse_other(file.path, parquet.schema_arrow.names)
                for batch in parquet.iter_batches(_BATCH_ROWS, use_threads=False):
                    yield self._selected(pa.Table.from_batches([batch]), file.path, row)
                    row += len(batch)
        except (pa.ArrowException, OSError) as error:
            self.counts.bad_file(file.path, f"damaged from here on, after row {row}: {error}")

    def _selected(self, table: pa.Table, path: str, row: int) -> Rows:
        self.counts.lines += table.num_rows
        times = checksums.millis(table.column("arrival_time"))
        known = times != LOWEST
        for index in np.flatnonzero(~known).tolist():
            self.counts.bad_line(f"{path}:{row + index + 1}", "arrival_time is null")
        inside = self.selection.includes(times)
        self.counts.outside += int((~inside & known).sum())
        inside &= known
        rows = _rows(table.filter(pa.array(inside)), times[inside])
        return self._without(rows) if self.leave_out else rows

    def _without(self, rows: Rows) -> Rows:
        assert self.leave_out and rows.positions is not None, "only archives have positions"
        keep = ~objects(map(self.leave_out, rows.positions), len(rows)).astype(np.bool_)
        self.counts.left_out += int((~keep).sum())
        return rows.take(keep)


def _folder(file: Stored) -> str:
    return file.path.rpartition("/")[0]


def _hour_ms(folder: str) -> int | None:
    """Return when the folder's hour begins; None for another one, as that of unknown times."""
    match = _FOLDER.fullmatch(folder)
    if match is None:
        return None
    try:
        return int(np.datetime64(f"{match[1]}T{match[2]}", "ms").astype(np.int64))
    except ValueError:
        return None


def _earliest(footer: Any) -> int:
    names = [footer.schema.column(index).path for index in range(footer.num_columns)]
    if "arrival_time" not in names or not footer.num_row_groups:
        return LOWEST
    column = names.index("arrival_time")
    groups = (footer.row_group(index).column(column) for index in range(footer.num_row_groups))
    # Raw, because Python has no date for a producer's time beyond the year 9999.
    least = [group.statistics.min_raw if group.is_stats_set else None for group in groups]
    if None in least:
        return LOWEST
    kind = footer.schema.to_arrow_schema().field("arrival_time").type
    times = pa.chunked_array([pa.array(least, pa.int64()).view(kind)])
    return int(checksums.millis(times).min())


def _refuse_other(path: str, names: list[str]) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise UserError(
            f"{path}: isn't of our archive, it has no column {' or '.join(missing)} but"
            f" {', '.join(names)}; leave --archive out for other files"
        )


# A table of archived records as rows.


def _rows(table: pa.Table, times: Times) -> Rows:
    where = positions.columns_of(table)
    columns = [_values(where.column(name)) for name in positions.COLUMNS]
    count = table.num_rows
    keys = _values(table.column("key")) if "key" in table.column_names else [None] * count
    return Rows(
        times,
        objects(_values(table.column("raw")), count),
        objects(keys, count),
        objects(_headers(table, _position_headers(where, times)), count),
        objects(map(Position._make, zip(*columns, strict=True)), count),
        _ties(where),
    )


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Convert to Python values, None for null; several times as fast as `to_pylist`."""
    if column.null_count == len(column):
        return [None] * len(column)
    if column.null_count and pa.types.is_integer(column.type):
        values: list[Any] = column.to_pylist()
        return values
    return list(column.to_numpy().tolist())


def _position_headers(where: pa.Table, times: Times) -> list[Headers]:
    """Return the headers of each record's position and arrival."""
    stamps = np.char.add(np.datetime_as_string(times.astype("M8[ms]")), "Z").astype("S").tolist()
    columns: list[Iterable[tuple[str, bytes | None]]] = []
    for name in _present(where):
        texts = where.column(name).cast(pa.string()).cast(pa.binary())
        columns.append(zip(repeat(_PREFIX + name), _values(texts), strict=False))
    columns.append(zip(repeat(f"{_PREFIX}arrival_time"), stamps, strict=False))
    headers: list[Headers] = list(zip(*columns, strict=True))
    if any(where.column(name).null_count for name in _present(where)):
        return [tuple(pair for pair in pairs if pair[1] is not None) for pairs in headers]
    return headers


def _present(where: pa.Table) -> list[str]:
    """Return the columns of a position that some record has."""
    return [name for name in positions.COLUMNS if where.column(name).null_count < len(where)]


def _headers(table: pa.Table, ours: list[Headers]) -> list[Headers]:
    """Return the archived headers, without those that a replay had added, and then ours."""
    if "header_names" not in table.column_names:
        return ours
    names = table.column("header_names")
    if names.null_count == len(names):
        return ours
    values = table.column("header_values").to_pylist()
    return [
        _archived(*pair) + more for *pair, more in zip(names.to_pylist(), values, ours, strict=True)
    ]


def _archived(names: list[str] | None, values: list[bytes | None] | None) -> Headers:
    pairs = zip(names or (), values or (), strict=True)
    return tuple((name, value) for name, value in pairs if name not in _OURS)


def _ties(where: pa.Table) -> NDArray[np.bytes_]:
    """Return texts that sort by topic, partition, offset or stream, shard, sequence number."""
    parts: list[Any] = []
    for name in _present(where):
        text = where.column(name).cast(pa.string())
        width = _WIDTHS.get(name)
        parts.append(pc.utf8_lpad(text, width, "0") if width else text)
    if not parts:
        return np.full(len(where), b"", dtype="S1")
    whole = pc.binary_join_element_wise(*parts, "/", null_handling="skip")
    return np.array(_values(whole.cast(pa.binary())), dtype="S")
