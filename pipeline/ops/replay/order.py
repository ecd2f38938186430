"""Sort the events of several files by time, in bounded memory.

Each file's rows go through a buffer that restores the order within it, and the buffers' output is
merged. A file is opened when the merge reaches its first time, so consecutive files are read one
at a time. A row too late for its buffer is emitted at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors.block import Block

Times = NDArray[np.int64]
Objects = NDArray[np.object_]
Horizon = tuple[int, bytes, int]

LOWEST: Final = int(np.iinfo(np.int64).min)
"""Earlier than every time."""

MOST_OPEN: Final = 128
"""Files merged at a time, which bounds memory; if more overlap, some rows are out of order."""

_SIDES: Final = ("left", "right")


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of events: times (epoch ms), bytes and keys; more for archived records.

    `ties` are sortable texts that order rows of the same time; without them the order of files and
    lines holds. A column that is None is None in the whole data set.
    """

    times: Times
    raws: Objects
    keys: Objects
    headers: Objects | None = None
    positions: Objects | None = None
    ties: NDArray[np.bytes_] | None = None

    def __len__(self) -> int:
        return len(self.times)

    def part(self, start: int, stop: int | None = None) -> Rows:
        """Slice the rows without a copy."""
        return Rows(*(None if c is None else c[start:stop] for c in self.columns()))  # type: ignore[arg-type]

    def take(self, which: NDArray[Any]) -> Rows:
        """Pick rows by index, or by a mask."""
        return Rows(*(None if c is None else c[which] for c in self.columns()))  # type: ignore[arg-type]

    def block(self) -> Block:
        """Convert to a block for producers."""
        headers = None if self.headers is None else self.headers.tolist()
        return Block(self.times, self.raws.tolist(), self.keys.tolist(), headers)

    def columns(self) -> tuple[NDArray[Any] | None, ...]:
        """Return the columns in the order of their definition."""
        return (self.times, self.raws, self.keys, self.headers, self.positions, self.ties)


def joined(parts: Sequence[Rows]) -> Rows:
    """Concatenate; there must be at least one part."""
    if len(parts) == 1:
        return parts[0]
    columns: Iterable[Any] = zip(*(rows.columns() for rows in parts), strict=True)
    return Rows(*(None if c[0] is None else np.concatenate(c) for c in columns))  # type: ignore[arg-type]


def objects(values: Iterable[Any], count: int) -> Objects:
    """Make an array of Python objects."""
    return np.fromiter(values, dtype=object, count=count)


def values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Convert to Python values, None for null; several times as fast as `to_pylist`."""
    if column.null_count == len(column):
        return [None] * len(column)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    is_null = np.asarray(column.is_null())
    if pa.types.is_integer(column.type):
        column = column.fill_null(0)  # numpy has no integers beside nulls.
    array = column.to_numpy(zero_copy_only=False)
    if is_null.any():
        array = array.astype(object)
        array[is_null] = None
    return list(array.tolist())


@dataclass(frozen=True, slots=True)
class Part:
    """A file: its first time (`LOWEST` if unknown) and how to read it."""

    first_ms: int
    read: Callable[[], Iterator[Rows]]


def never_falling(times: Times, reached: int | None) -> Times:
    """Return the latest time so far at each row; `reached` is the latest before the first row."""
    latest: Times = np.maximum.accumulate(times)
    return latest if reached is None else np.maximum(latest, reached)


def merged(parts: Sequence[Part], reorder: int) -> Iterator[Rows]:
    """Yield all rows by time, then by tie, then in the order of files and lines.

    Each file has a buffer of at least `reorder` rows. Deterministic.
    """
    waiting = deque(sorted(enumerate(parts), key=lambda numbered: numbered[1].first_ms))
    runs: list[_Run] = []
    while True:
        runs = [run for run in runs if run.filled()]
        horizon = min((run.last() for run in runs), default=None)
        if waiting and (not runs or len(runs) < MOST_OPEN):
            if horizon is None or waiting[0][1].first_ms <= horizon[0]:
                number, part = waiting.popleft()
                runs.append(_Run(number, part.read(), reorder))
                runs.sort(key=lambda run: run.number)
                continue
        if horizon is None:
            return
        yield _drawn(runs, horizon)


def _drawn(runs: Sequence[_Run], horizon: Horizon) -> Rows:
    """Take all rows up to the horizon, before which no open file has any further row."""
    drawn = [pair for pair in (run.draw(horizon) for run in runs) if len(pair[0])]
    rows = joined([rows for rows, _ in drawn])
    if len(drawn) == 1:
        return rows
    return rows.take(_by_time(np.concatenate([times for _, times in drawn]), rows.ties))


def _by_time(times: Times, ties: NDArray[np.bytes_] | None) -> NDArray[np.intp]:
    if ties is None:
        return times.argsort(kind="stable")
    order: NDArray[np.intp] = np.lexsort((ties, times))
    return order


class _Run:
    """An open file: a buffer of unordered rows, and the ordered rows that have left it.

    `_times` never decrease: for a row that is too late it has the time at which it is emitted.
    """

    def __init__(self, number: int, rows: Iterator[Rows], reorder: int) -> None:
        self.number = number
        self._unread = rows
        self._reorder = reorder
        self._buffer: Rows | None = None
        self._ready: Rows | None = None
        self._times: Times = np.zeros(0, np.int64)
        self._reached: int | None = None

    def filled(self) -> bool:
        """Read until a row is ready; return False at the end of the file."""
        if self._ready is not None and len(self._ready):
            return True
        rows, is_last = self._read()
        if rows is None or not len(rows):
            return False
        rows = _ordered(rows)
        ready = len(rows) if is_last else len(rows) - self._reorder
        self._ready, self._buffer = rows.part(0, ready), None if is_last else rows.part(ready)
        self._times = never_falling(self._ready.times, self._reached)
        self._reached = int(self._times[-1])
        return True

    def _read(self) -> tuple[Rows | None, bool]:
        """Return the buffer, filled to 1.5 times its size, and whether the file ends here."""
        parts = [] if self._buffer is None else [self._buffer]
        missing = self._reorder + max(1, self._reorder // 2) - sum(map(len, parts))
        for rows in self._unread:
            parts.append(rows)
            missing -= len(rows)
            if missing <= 0:
                return joined(parts), False
        return (joined(parts) if parts else None), True

    def last(self) -> Horizon:
        """Return time, tie and file number of the last row that is ready."""
        assert self._ready is not None, "call filled() first"
        ties = self._ready.ties
        return int(self._times[-1]), b"" if ties is None else bytes(ties[-1]), self.number

    def draw(self, horizon: Horizon) -> tuple[Rows, Times]:
        """Take the ready rows up to the horizon, with the times at which they are emitted."""
        assert self._ready is not None, "call filled() first"
        cut = len(self._ready) if horizon == self.last() else self._cut(self._ready.ties, horizon)
        drawn = self._ready.part(0, cut), self._times[:cut]
        self._ready, self._times = self._ready.part(cut), self._times[cut:]
        return drawn

    def _cut(self, ties: NDArray[np.bytes_] | None, horizon: Horizon) -> int:
        time, tie, number = horizon
        start, stop = (int(np.searchsorted(self._times, time, side)) for side in _SIDES)
        if ties is not None:
            same = ties[start:stop]
            start, stop = (start + int(np.searchsorted(same, tie, side)) for side in _SIDES)
        return stop if self.number < number else start


def _ordered(rows: Rows) -> Rows:
    if rows.ties is None and bool((rows.times[1:] >= rows.times[:-1]).all()):
        return rows
    return rows.take(_by_time(rows.times, rows.ties))
