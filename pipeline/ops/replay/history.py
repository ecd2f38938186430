"""Read the input of a replay: historical files or the archive, as blocks in event order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from sys import maxsize
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa

import schemas
from connectors.block import Block
from connectors.errors import UserError
from connectors.s3.store import Stored
from pipeline.events import event_types
from pipeline.events.event_types import EventTypes
from pipeline.ops.replay.archive import Archive
from pipeline.ops.replay.files import data_set
from pipeline.ops.replay.lines import LineReader
from pipeline.ops.replay.order import LOWEST, Part, Rows, Times, joined, merged, never_falling
from pipeline.ops.replay.selection import Counts, LeaveOut, Selection, printable
from pipeline.ops.replay.tlc import NotReadable, TlcFile, open_tlc, refuse_same_ids

Observe = Callable[[Times, Sequence[bytes | None]], None]

_READERS: Final = 8
_LEAST: Final = 1_000
_MOST: Final = 5_000


class History:
    """A data set in a local folder, a file or below an S3 prefix.

    Files are JSON lines, plain or compressed (lz4, gzip, zstd, bzip2), and TLC's own Parquet, in
    any mixture; with `Selection.archive` our own archive, and `leave_out` is called for every
    selected record. `types`, by default those of the shipped schemas, are needed for Parquet and
    for several rounds.

    Raises:
        UserError: there is nothing at that address, or the selection contradicts itself.
    """

    def __init__(
        self,
        uri: str,
        selection: Selection,
        environment: Mapping[str, str],
        *,
        leave_out: LeaveOut | None = None,
        types: EventTypes | None = None,
    ) -> None:
        self.counts = Counts()
        self.selection = selection
        self._leave_out = leave_out
        self.types = types or event_types.load(Path(schemas.__file__).parent)
        self._lines = LineReader(selection)
        self._data = data_set(uri, environment)

    def blocks(self, skip: int = 0, observe: Observe | None = None) -> Iterator[Block]:
        """Make one pass over the events in the order of their time, 1,000 to 5,000 a block.

        Skip the first `skip`; with the same files and selection the order is the same. Call
        `observe` with times and bytes of all events, also of skipped ones. Memory holds a buffer of
        each open file. Events that are not yielded are counted.

        Raises:
            UserError: every file is Parquet of another kind, or the store fails. If only some are,
            they are skipped and counted as bad files.
        """
        reached = None
        for rows in _packed(self._limited()):
            if observe:
                observe(rows.times, rows.raws.tolist())
            passed = min(skip, len(rows))
            reached = self._count_late(rows.times, reached, passed)
            skip -= passed
            self.counts.skipped += passed
            if passed < len(rows):
                self.counts.events += len(rows) - passed
                yield rows.part(passed).block()

    def _count_late(self, times: Times, reached: int | None, passed: int) -> int:
        """Count the events that follow one of a later time, except the first `passed`."""
        latest = never_falling(times, reached)
        late = (latest - times)[passed:]
        counts = self.counts
        counts.out_of_order += int(np.count_nonzero(late))
        counts.largest_lateness_ms = max(counts.largest_lateness_ms, int(late.max(initial=0)))
        return int(latest[-1])

    def fingerprint(self) -> str:
        """Return a digest of the files' names and sizes and of the selection."""
        files = [(printable(file.path), file.size) for file in self._data.files]
        return hashlib.sha256(msgspec.json.encode([files, asdict(self.selection)])).hexdigest()

    def _limited(self) -> Iterator[Rows]:
        left = maxsize if self.selection.limit is None else self.selection.limit
        for rows in self._ordered():
            yield rows.part(0, left)
            left -= len(rows)
            if left <= 0:
                return

    def _ordered(self) -> Iterator[Rows]:
        if self.selection.archive:
            return Archive(self._data, self.selection, self.counts, self._leave_out).rows()
        return merged(self._parts(), self.selection.reorder)

    def _parts(self) -> list[Part]:
        """Return the files with their first times, except those that begin after the end."""
        with ThreadPoolExecutor(_READERS) as pool:
            looked_at = list(pool.map(self._looked_at, self._data.files))
        if looked_at and all(isinstance(file, str) for file in looked_at):
            raise UserError(f"{self._data.files[0].path}: {looked_at[0]}")
        for stored, file in zip(self._data.files, looked_at, strict=True):
            if isinstance(file, str):
                self.counts.bad_file(stored.path, f"skipped: {file}")
        files = [file for file in looked_at if not isinstance(file, str)]
        refuse_same_ids([tlc for tlc, _ in files if tlc])
        end = self.selection.end_ms
        parts = [part for _, part in files if end is None or part.first_ms < end]
        self.counts.files_outside += len(files) - len(parts)
        return parts

    def _looked_at(self, file: Stored) -> tuple[TlcFile | None, Part] | str:
        """Return how to read a file, or why it is skipped."""
        tlc, first_ms = None, LOWEST
        if not self._data.is_parquet(file):
            first_ms = self._lines.first_ms(self._data, file.path) if file.size else LOWEST
            read = partial(self._lines.read, self._data, file.path, self.counts)
        else:
            try:
                tlc = open_tlc(self._data, file, self.types, self.selection)
                first_ms, read = tlc.first_ms, partial(tlc.read, self.selection, self.counts)
            except NotReadable as error:
                return str(error)
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                read = partial(self._damaged, file.path, f"no readable Parquet: {error}")
        return tlc, Part(first_ms, lambda: self._selected(read()))

    def _damaged(self, path: str, why: str) -> Iterator[Rows]:
        self.counts.bad_file(path, why)
        yield from ()

    def _selected(self, batches: Iterator[Rows]) -> Iterator[Rows]:
        """Yield the rows within start and end; stop where all further rows are later."""
        self.counts.files += 1
        selection, beyond = self.selection, 0
        for rows in batches:
            inside = selection.includes(rows.times)
            self.counts.outside += len(rows) - int(inside.sum())
            is_beyond = selection.end_ms is not None and (rows.times >= selection.end_ms).all()
            beyond = beyond + len(rows) if is_beyond else 0
            yield rows if inside.all() else rows.take(inside)
            if beyond > selection.reorder:
                return


def _packed(batches: Iterator[Rows]) -> Iterator[Rows]:
    """Yield the same rows in blocks of 1,000 to 5,000."""
    parts: list[Rows] = []
    count = 0
    for rows in batches:
        parts.append(rows)
        count += len(rows)
        if count >= _LEAST:
            yield from _cut(joined(parts))
            parts, count = [], 0
    if parts:
        yield from _cut(joined(parts))


def _cut(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), _MOST):
        yield rows.part(start, start + _MOST)
