"""The raw records of our own archive in the order of their arrival, with the positions they had.

The archive is Parquet in a folder for each hour of arrival.  Hours are read one after the other,
the files of an hour merged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from connectors import checksums
from connectors.block import Headers
from connectors.errors import UserError
from connectors.positions import Position
from connectors.s3.store import ReadableStore, Stored
from pipeline.ops.replay.archived_rows import rows_of
from pipeline.ops.replay.files import opened, whole
from pipeline.ops.replay.order import Part, merged
from pipeline.ops.replay.rows import LOWEST, Rows, objects
from pipeline.ops.replay.selection import Counts, LeaveOut, Selection

_HOUR_MS: Final = 3_600_000
_FOLDER: Final = re.compile(r"(?:.*/)?arrival_date=(\d{4}-\d{2}-\d{2})/arrival_hour=(\d{2})")
_BATCH_ROWS: Final = 2_000
_WHOLE_BYTES: Final = 16 * 1024 * 1024
_READERS: Final = 8
_NEEDED: Final = ("raw", "arrival_time")


class Archived(NamedTuple):
    """One archived record; its headers say where it stood, as those of a replay do."""

    position: Position
    raw: bytes | None
    key: bytes | None
    headers: Headers
    arrival_ms: int


def archived(
    store: ReadableStore,
    start_ms: int | None = None,
    end_ms: int | None = None,
    leave_out: LeaveOut | None = None,
) -> Iterator[Archived]:
    """The records that arrived from `start_ms` on and before `end_ms`, in that order.

    Each once if the archive has it once. Raises UserError for a file that can't be read.
    """
    selection = Selection(archive=True, start_ms=start_ms, end_ms=end_ms)
    counts = Counts()
    for rows in Archive(store, store.listing(), selection, counts, leave_out).rows():
        if counts.bad_files or counts.bad_lines:
            break
        columns = (rows.positions, rows.raws, rows.keys, rows.headers, rows.times)
        yield from map(Archived._make, zip(*(one.tolist() for one in columns if one is not None)))  # noqa: B905
    if counts.bad_files or counts.bad_lines:
        raise UserError(f"the archive is damaged: {[*counts.bad_files, *counts.bad_examples][0]}")


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive's files, and which of its records are wanted."""

    store: ReadableStore
    files: Sequence[Stored]
    selection: Selection
    counts: Counts
    leave_out: LeaveOut | None = None

    def rows(self) -> Iterator[Rows]:
        """By arrival, then by topic, partition and offset, or stream, shard and sequence number.

        The order holds as far as `Selection.reorder` rows of each file go.
        """
        for folder, files in groupby(sorted(self.files, key=_place), key=_folder):
            if self._may_hold(folder):
                yield from merged(self._parts(list(files)), self.selection.reorder)

    def _may_hold(self, folder: str) -> bool:
        """Whether records of the selection can be there; an hour is spared for odd clocks."""
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
            Part(first, lambda one=one: self._read(one))  # type: ignore[misc]
            for first, one in zip(firsts, files, strict=True)
        ]

    def _first_ms(self, one: Stored) -> int:
        """The earliest arrival, as the footer tells it."""
        try:
            with opened(self.store, one.path) as file:
                return _earliest(pq.read_metadata(file))
        except (pa.ArrowException, OSError):
            return LOWEST

    def _read(self, one: Stored) -> Iterator[Rows]:
        self.counts.files += 1
        row = 0
        try:
            with self._opened(one) as file:
                parquet = pq.ParquetFile(file)
                _refuse_strange(one.path, parquet.schema_arrow.names)
                for batch in parquet.iter_batches(_BATCH_ROWS, use_threads=False):
                    yield self._wanted(pa.Table.from_batches([batch]), one.path, row)
                    row += len(batch)
        except (pa.ArrowException, OSError) as error:
            self.counts.bad_file(one.path, f"damaged from here on, after row {row}: {error}")

    def _opened(self, one: Stored) -> Any:
        # One request instead of three or four: archived objects are small and many.
        if one.size <= _WHOLE_BYTES:
            return pa.BufferReader(whole(self.store, one.path))
        return opened(self.store, one.path)

    def _wanted(self, table: pa.Table, path: str, row: int) -> Rows:
        self.counts.lines += table.num_rows
        times = checksums.millis(table.column("arrival_time"))
        for each in np.flatnonzero(times == LOWEST).tolist():
            self.counts.bad_line(f"{path}:{row + each + 1}", "arrival_time is null")
        inside = within(times, self.selection)
        self.counts.outside += int((~inside & (times != LOWEST)).sum())
        inside &= times != LOWEST
        rows = rows_of(table.filter(pa.array(inside)), times[inside])
        return self._without(rows) if self.leave_out else rows

    def _without(self, rows: Rows) -> Rows:
        assert self.leave_out and rows.positions is not None, "only archives have positions"
        keep = ~objects(map(self.leave_out, rows.positions), len(rows)).astype(np.bool_)
        self.counts.left_out += int((~keep).sum())
        return rows.take(keep)


def within(times: Any, selection: Selection) -> Any:
    """Which times are in the selection."""
    inside = np.ones(len(times), np.bool_)
    if selection.start_ms is not None:
        inside &= times >= selection.start_ms
    if selection.end_ms is not None:
        inside &= times < selection.end_ms
    return inside


def _place(one: Stored) -> tuple[str, str]:
    return _folder(one), one.path


def _folder(one: Stored) -> str:
    return one.path.rpartition("/")[0]


def _hour_ms(folder: str) -> int | None:
    """When the folder's hour begins; None for another folder, such as that of unknown times."""
    match = _FOLDER.fullmatch(folder)
    if match is None:
        return None
    try:
        return int(np.datetime64(f"{match[1]}T{match[2]}", "ms").astype(np.int64))
    except ValueError:
        return None


def _earliest(footer: Any) -> int:
    names = [footer.schema.column(each).path for each in range(footer.num_columns)]
    if "arrival_time" not in names or not footer.num_row_groups:
        return LOWEST
    place = names.index("arrival_time")
    groups = (footer.row_group(each).column(place) for each in range(footer.num_row_groups))
    # Raw, for Python has no date for a producer's time beyond the year 9999.
    found = [one.statistics.min_raw if one.is_stats_set else None for one in groups]
    if None in found:
        return LOWEST
    kind = footer.schema.to_arrow_schema().field("arrival_time").type
    return int(checksums.millis(pa.chunked_array([pa.array(found, pa.int64()).view(kind)])).min())


def _refuse_strange(path: str, names: list[str]) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise UserError(
            f"{path}: isn't of our archive, it has no column {' or '.join(missing)} but"
            f" {', '.join(names)}; leave --archive out for other files"
        )
