"""Puts the events of several files into the order of their time, in bounded memory.

Each file's rows go through a buffer that mends local disorder, and what comes out of the buffers
is merged.  A file is opened when the merge has come to its first time, so files that follow one
another are read one at a time.  A row later than what its buffer could mend goes out at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.replay.rows import LOWEST, Rows, Times, joined

MOST_OPEN: Final = 128
"""Files merged at a time, which bounds memory; of more that overlap, some come out of order."""

Horizon = tuple[int, bytes, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A file: its first time (`LOWEST` where it isn't known) and a way to read it."""

    first_ms: int
    read: Callable[[], Iterator[Rows]]


def merged(parts: Sequence[Part], reorder: int) -> Iterator[Rows]:
    """All rows by time, then by tie, then in the order of files and lines.

    Each file has a buffer of at least `reorder` rows. Deterministic.
    """
    waiting = deque(sorted(enumerate(parts), key=lambda one: (one[1].first_ms, one[0])))
    runs: list[_Run] = []
    while True:
        runs = [run for run in runs if run.filled()]
        horizon = min((run.last() for run in runs), default=None)
        if waiting and (not runs or len(runs) < MOST_OPEN):
            if horizon is None or waiting[0][1].first_ms <= horizon[0]:
                place, part = waiting.popleft()
                runs.append(_Run(place, part.read(), reorder))
                runs.sort(key=lambda run: run.place)
                continue
        if horizon is None:
            return
        yield _drawn(runs, horizon)


def _drawn(runs: Sequence[_Run], horizon: Horizon) -> Rows:
    """All rows up to the horizon: none of a file that isn't read that far can come before them."""
    drawn = [run.draw(horizon) for run in runs]
    found = [one for one in drawn if len(one[0])]
    rows = joined([rows for rows, _ in found])
    if len(found) == 1:
        return rows
    times = np.concatenate([times for _, times in found])
    return rows.take(_by_time(times, rows.ties))


def _by_time(times: Times, ties: NDArray[np.bytes_] | None) -> NDArray[np.intp]:
    if ties is not None:
        order: NDArray[np.intp] = np.lexsort((ties, times))
        return order
    return times.argsort(kind="stable")


class _Run:
    """An open file: a buffer of unordered rows, and the ordered ones that have left it.

    `_times` never fall: a row that comes too late has there the time it goes out at.
    """

    def __init__(self, place: int, rows: Iterator[Rows], reorder: int) -> None:
        self.place = place
        self._unread = rows
        self._reorder = reorder
        self._buffer: Rows | None = None
        self._ready: Rows | None = None
        self._times: Times = np.zeros(0, np.int64)
        self._reached = LOWEST

    def filled(self) -> bool:
        """Reads on until a row is ready; whether there is one."""
        if self._ready is not None and len(self._ready):
            return True
        rows, is_last = self._read()
        if rows is None or not len(rows):
            return False
        rows = _ordered(rows)
        ready = len(rows) if is_last else len(rows) - self._reorder
        self._ready, self._buffer = rows.part(0, ready), None if is_last else rows.part(ready)
        self._times = np.maximum(np.maximum.accumulate(self._ready.times), self._reached)
        self._reached = int(self._times[-1])
        return True

    def _read(self) -> tuple[Rows | None, bool]:
        """The buffer, overfilled by a half of it, and whether the file ends here."""
        found = [] if self._buffer is None else [self._buffer]
        wanted = self._reorder + max(1, self._reorder // 2) - sum(map(len, found))
        for rows in self._unread:
            found.append(rows)
            wanted -= len(rows)
            if wanted <= 0:
                return joined(found), False
        return (joined(found) if found else None), True

    def last(self) -> Horizon:
        """Time, tie and file of the last row that is ready."""
        assert self._ready is not None, "ask after `filled`"
        ties = self._ready.ties
        return int(self._times[-1]), b"" if ties is None else bytes(ties[-1]), self.place

    def draw(self, horizon: Horizon) -> tuple[Rows, Times]:
        """Takes the ready rows up to the horizon, with the times they go out at."""
        assert self._ready is not None, "ask after `filled`"
        cut = len(self._ready) if horizon == self.last() else self._cut(horizon)
        found = self._ready.part(0, cut), self._times[:cut]
        self._ready, self._times = self._ready.part(cut), self._times[cut:]
        return found

    def _cut(self, horizon: Horizon) -> int:
        assert self._ready is not None, "ask after `filled`"
        time, tie, place = horizon
        start, stop = (int(np.searchsorted(self._times, time, side)) for side in _SIDES)
        if self._ready.ties is not None:
            same = self._ready.ties[start:stop]
            start, stop = (start + int(np.searchsorted(same, tie, side)) for side in _SIDES)
        return stop if self.place < place else start


_SIDES: Final = ("left", "right")


def _ordered(rows: Rows) -> Rows:
    if rows.ties is None and bool((rows.times[1:] >= rows.times[:-1]).all()):
        return rows
    return rows.take(_by_time(rows.times, rows.ties))
