"""Reads the archive, wherever it is: every record's position, digest and folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors import checksums as content
from connectors import positions
from connectors.checksums import Hashes
from connectors.kinesis import reader as kinesis_stream
from connectors.positions import Positions
from connectors.s3.storage import pages
from pipeline.config.model import Archive
from pipeline.ops.readers.arrival_hours import NO_HOUR, hour_of_path
from pipeline.ops.reconcile.bounds import Bounds
from pipeline.ops.reconcile.carriers import Page, Tail, envelope_pages, message_pages
from pipeline.ops.reconcile.places import Flags, Places
from pipeline.ops.reconcile.seen import ArchiveRows, joined
from pipeline.ops.reconcile.source import HEAD, REDRIVE_STEP, Records, copies
from pipeline.ops.systems import Systems

_COLUMNS: Final = ["raw", *positions.COLUMNS, "arrival_time"]
_HEADERS: Final = ["header_names", "header_values"]
_AT_A_TIME: Final = 10_000


@dataclass(frozen=True, slots=True)
class Archived:
    """A page of the archive: its records, their digests, and the hour of the folder they lie in."""

    records: Records
    digests: Hashes
    hours: NDArray[np.int32]


class ArchiveReader:
    """The archive of a configuration. `read` once, then `again` for what became visible since."""

    def __init__(self, systems: Systems, settings: Archive, places: Places, bounds: Bounds) -> None:
        self._systems = systems
        self._settings = settings
        self._places = places
        self._bounds = bounds
        self._paths: set[str] = set()
        cluster = systems.config.cluster(settings.kafka_cluster) if settings.kafka_topic else None
        self._tail = Tail(cluster, settings.kafka_topic) if cluster else None

    @property
    def exactly_once(self) -> bool:
        """Whether a second copy is a fault."""
        return not self._settings.kinesis_stream

    @property
    def files(self) -> int | None:
        """How many files were read; None where the archive has none."""
        return len(self._paths) if self._settings.path else None

    def read(self, each: Callable[[Archived], None]) -> ArchiveRows:
        """All records within the bounds; `each` is called with every page."""
        found = []
        for page in self._pages():
            each(page)
            found.append((page.records.numbers, page.digests, page.hours))
        return self._rows(found)

    def again(self, seen: ArchiveRows, wanted: Positions) -> ArchiveRows:
        """What was seen, and of what is new the records at the wanted positions."""
        found = [(seen.positions, seen.digests, _hours(seen))]
        for page in self._pages():
            mine = np.isin(page.records.numbers, wanted)
            found.append((page.records.numbers[mine], page.digests[mine], page.hours[mine]))
        return self._rows(found)

    def fetch(self, wanted: Positions) -> Iterator[Records]:
        """The records at these positions; reads all of the archive."""
        other = ArchiveReader(self._systems, self._settings, self._places, self._bounds)
        for page in other._pages():
            yield page.records.only(np.isin(page.records.numbers, wanted))

    def _rows(self, found: list[tuple[Positions, Hashes, NDArray[np.int32]]]) -> ArchiveRows:
        parts = [(np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.int32)), *found]
        found.clear()
        columns = [list(column) for column in zip(*parts, strict=True)]
        del parts
        numbers, digests, hours = (joined(column) for column in columns)
        kept = hours if self._settings.path else None
        return ArchiveRows(positions=numbers, digests=digests, hours=kept)

    def _pages(self) -> Iterator[Archived]:
        if self._settings.path:
            return self._of_files()
        return self._of_carried(self._carried())

    def _of_files(self) -> Iterator[Archived]:
        store = self._systems.store(self._settings.path)
        new = [stored for stored in store.listing() if stored.path not in self._paths]
        self._paths.update(stored.path for stored in new)
        for page in pages(store, new, _COLUMNS + _HEADERS):
            for stored, table in page:
                hour = hour_of_path(stored.path)
                for start in range(0, len(table), _AT_A_TIME):
                    records = self._records(table.slice(start, _AT_A_TIME))
                    hours = np.full(len(records), hour, np.int32)
                    yield Archived(records, content.digests(records.raws), hours)

    def _records(self, table: pa.Table) -> Records:
        numbers = self._places.numbers(table)
        arrival = content.millis(table.column("arrival_time"))
        keep = self._bounds.within(numbers, arrival)
        if not keep.all():
            table, numbers, arrival = table.filter(pa.array(keep)), numbers[keep], arrival[keep]
        raws = table.column("raw").to_pylist()
        return Records(numbers, raws, arrival, _copies(table))

    def _carried(self) -> Iterator[Page]:
        if self._settings.kinesis_stream:
            records = kinesis_stream.records(*self._systems.stream(self._settings.kinesis_stream))
            return envelope_pages(records)
        assert self._tail, "an archive is a path, a stream or a topic"
        return message_pages(self._tail.pages(), "source.")

    def _of_carried(self, found: Iterator[Page]) -> Iterator[Archived]:
        for page in found:
            numbers, arrival = self._places.numbers(page.table), page.arrival()
            keep = self._bounds.within(numbers, arrival)
            own = copies(one.get(f"header.{REDRIVE_STEP}") for one in page.said)
            own[page.large()] |= HEAD
            digests = page.digests(self._systems.store)
            records = Records(numbers, page.raws, arrival, own).only(keep)
            yield Archived(records, digests[keep], np.full(len(records), NO_HOUR, np.int32))


def _hours(rows: ArchiveRows) -> NDArray[np.int32]:
    return np.zeros(len(rows.positions), np.int32) if rows.hours is None else rows.hours


def _copies(table: pa.Table) -> NDArray[np.uint8]:
    """Flags of redriven records; few records have headers at all."""
    flags = np.zeros(len(table), np.uint8)
    if not set(_HEADERS) <= set(table.column_names):
        return flags
    names = table.column("header_names")
    has: Flags = np.asarray(names.is_valid())
    if has.any():
        values = table.column("header_values").filter(pa.array(has)).to_pylist()
        pairs = zip(names.filter(pa.array(has)).to_pylist(), values, strict=True)
        own = [dict(zip(n or (), v or (), strict=False)).get(REDRIVE_STEP) for n, v in pairs]
        flags[has] = copies(own)
    return flags
