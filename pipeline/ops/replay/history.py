"""The front door of a replay's input: historical files or the archive as blocks in event order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
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
from pipeline.ops.replay.archive import Archive, within
from pipeline.ops.replay.files import data_set, is_parquet
from pipeline.ops.replay.lines import LineReader
from pipeline.ops.replay.order import Part, merged
from pipeline.ops.replay.rows import LOWEST, Rows, Times, joined
from pipeline.ops.replay.selection import Counts, LeaveOut, Selection
from pipeline.ops.replay.shift import Extent, Shift, Spans
from pipeline.ops.replay.tlc import TlcFile, open_tlc, refuse_same_ids

__all__ = ["Counts", "History", "LeaveOut", "Selection", "Spans"]

_READERS: Final = 8
_LEAST: Final = 1_000
_MOST: Final = 5_000


class History:
    """A data set in a local folder, a file or below an S3 prefix.

    Files are JSON lines, plain or packed (lz4, gzip, zstd, bzip2), and TLC's own Parquet, mixed as
    they come; with `Selection.archive` our own archive, of which `leave_out` is asked about every
    record selected. `types` are those of the schemas we ship unless others are given; they are
    needed for Parquet, and for `loop`.

    With `loop` the ids are read too, so that `round_spans` and `shifted` can make more rounds of
    the same data.

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
        loop: bool = False,
    ) -> None:
        if loop and selection.archive:
            raise UserError(
                "an archive can't be replayed in rounds: its records would come again with the"
                " positions they had; leave --loop or --archive out"
            )
        self.counts = Counts()
        self._selection = selection
        self._leave_out = leave_out
        self._given_types = types
        self._loop = loop
        self._spans: Spans | None = None
        self._lines = LineReader(selection)
        self._data = data_set(uri, environment)

    def blocks(self, skip: int = 0) -> Iterator[Block]:
        """One pass over the events in the order of their time, 1,000 to 5,000 a block.

        `skip` of them are passed over; with the same files and selection the order is the same.
        Memory holds a buffer of each file that is open. Whatever isn't given is counted.

        Raises:
            UserError: a file is Parquet of another kind, or the store fails.
        """
        extent = Extent(self.types) if self._loop else None
        lateness = _Lateness(self.counts)
        for rows in _packed(self._limited()):
            if extent:
                extent.add(rows.times, rows.raws.tolist())
            passed = min(skip, len(rows))
            lateness.add(rows.times, passed)
            skip -= passed
            self.counts.skipped += passed
            if passed < len(rows):
                self.counts.events += len(rows) - passed
                yield rows.part(passed).block()
        if extent:
            self._spans = extent.spans

    def fingerprint(self) -> str:
        """Another one when files have other names or sizes, or the selection is another."""
        files = [(one.path, one.size) for one in self._data.files]
        return hashlib.sha256(msgspec.json.encode([files, asdict(self._selection)])).hexdigest()

    def round_spans(self) -> Spans | None:
        """With `loop`, after a whole pass: what a round is moved by; None if nothing was given."""
        return self._spans

    def shifted(self, block: Block, spans: Spans, number: int) -> Block:
        """A block as that of round `number`, the first being 0; see `Shift.moved`."""
        return self._shift.moved(block, spans, number) if number else block

    @cached_property
    def types(self) -> EventTypes:
        """The event types."""
        return self._given_types or event_types.load(Path(schemas.__file__).parent)

    @cached_property
    def _shift(self) -> Shift:
        return Shift(self.types, self._selection, self.counts)

    def _limited(self) -> Iterator[Rows]:
        left = self._selection.limit
        if left is None:
            yield from self._ordered()
            return
        for rows in self._ordered() if left > 0 else ():
            yield rows.part(0, left)
            left -= len(rows)
            if left <= 0:
                return

    def _ordered(self) -> Iterator[Rows]:
        if self._selection.archive:
            files = self._data.files
            archive = Archive(
                self._data.store, files, self._selection, self.counts, self._leave_out
            )
            return archive.rows()
        return merged(self._parts(), self._selection.reorder)

    def _parts(self) -> list[Part]:
        """The files with their first times; those that begin after the end are left out."""
        with ThreadPoolExecutor(_READERS) as pool:
            found = list(pool.map(self._looked_at, self._data.files))
        refuse_same_ids([each for each, _ in found if isinstance(each, TlcFile)])
        end = self._selection.end_ms
        parts = [part for _, part in found if end is None or part.first_ms < end]
        self.counts.files_outside += len(found) - len(parts)
        return parts

    def _looked_at(self, one: Stored) -> tuple[TlcFile | None, Part]:
        store = self._data.store
        if not is_parquet(store, one):
            first = self._lines.first_ms(store, one.path) if one.size else LOWEST
            return None, Part(first, lambda: self._selected(self._read_lines(one.path)))
        try:
            tlc = open_tlc(store, one.path, self.types, self._selection)
        except (pa.ArrowException, OSError) as error:
            why = f"no readable Parquet: {error}"
            return None, Part(LOWEST, lambda: self._damaged(one.path, why))
        return tlc, Part(tlc.first_ms, lambda: self._selected(self._read_tlc(tlc)))

    def _read_lines(self, path: str) -> Iterator[Rows]:
        self.counts.files += 1
        yield from self._lines.read(self._data.store, path, self.counts)

    def _read_tlc(self, tlc: TlcFile) -> Iterator[Rows]:
        self.counts.files += 1
        yield from tlc.read(self._selection, self.counts)

    def _damaged(self, path: str, why: str) -> Iterator[Rows]:
        self.counts.files += 1
        self.counts.bad_file(path, why)
        yield from ()

    def _selected(self, found: Iterator[Rows]) -> Iterator[Rows]:
        """The rows within start and end; reading stops where only later ones can be expected."""
        selection, beyond = self._selection, 0
        for rows in found:
            inside = within(rows.times, selection)
            self.counts.outside += len(rows) - int(inside.sum())
            is_beyond = selection.end_ms is not None and (rows.times >= selection.end_ms).all()
            beyond = beyond + len(rows) if is_beyond else 0
            yield rows if inside.all() else rows.take(inside)
            if beyond > selection.reorder:
                return


class _Lateness:
    """Counts the events that come after one of a later time."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._reached = LOWEST

    def add(self, times: Times, passed: int) -> None:
        """Some more events, the first `passed` of which don't count."""
        latest = np.maximum(np.maximum.accumulate(times), self._reached)
        self._reached = int(latest[-1])
        late = (latest - times)[passed:]
        if late.any():
            self._counts.out_of_order += int(np.count_nonzero(late))
            largest = max(self._counts.largest_lateness_ms, int(late.max()))
            self._counts.largest_lateness_ms = largest


def _packed(found: Iterator[Rows]) -> Iterator[Rows]:
    """The same rows, at least 1,000 and at most 5,000 together."""
    held: list[Rows] = []
    count = 0
    for rows in found:
        held.append(rows)
        count += len(rows)
        if count >= _LEAST:
            yield from _cut(joined(held))
            held, count = [], 0
    if count:
        yield from _cut(joined(held))


def _cut(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), _MOST):
        yield rows.part(start, start + _MOST)
