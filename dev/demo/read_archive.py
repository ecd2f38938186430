"""Reads the archive back: the raw bytes' digest of every record, by position."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors import checksums as content
from connectors import positions
from connectors.positions import Positions
from connectors.s3.storage import Store, tables
from dev.demo.ledger import Ledger
from pipeline.ops.readers import carried
from pipeline.ops.readers.arrival_hours import hour_of_path, hours_of
from pipeline.ops.readers.carried import Carried, OpenFolder

_COLUMNS: Final = ["raw", *positions.COLUMNS, "arrival_time"]
_PAGE: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRecords:
    """Every archived record; `misplaced` says which lie under another hour than they arrived in.

    `files` is None where the archive isn't made of files.
    """

    positions: Positions
    digests: content.Hashes
    misplaced: NDArray[np.bool_]
    files: int | None


def read_archive(store: Store, ledger: Ledger) -> ArchiveRecords:
    """Reads all of a Parquet archive, some hundred objects at a time."""
    listing = store.listing()
    parts = [_empty()]
    for batch in tables(store, listing, _COLUMNS):
        parts += [_records(stored.path, table, ledger) for stored, table in batch]
    places, digests, misplaced = (np.concatenate(column) for column in zip(*parts, strict=True))
    return ArchiveRecords(
        positions=places, digests=digests, misplaced=misplaced, files=len(listing)
    )


def read_carried(
    found: Iterable[Carried], ledger: Ledger, open_folder: OpenFolder
) -> ArchiveRecords:
    """The archive of a Kafka topic or Kinesis stream; memory holds some thousand at a time."""
    remaining = iter(found)
    parts = [_empty()]
    while page := list(islice(remaining, _PAGE)):
        places = ledger.position_numbers(positions.table_of(one.position for one in page))
        digests = np.array(carried.digests(page, open_folder), dtype=np.uint64)
        parts.append((places, digests, np.zeros(len(page), np.bool_)))
    places, digests, misplaced = (np.concatenate(column) for column in zip(*parts, strict=True))
    return ArchiveRecords(positions=places, digests=digests, misplaced=misplaced, files=None)


Part = tuple[Positions, content.Hashes, NDArray[np.bool_]]


def _records(path: str, table: pa.Table, ledger: Ledger) -> Part:
    hours = hours_of(content.millis(table.column("arrival_time")))
    digests = content.digests(table.column("raw").to_pylist())
    return ledger.position_numbers(table), digests, hours != hour_of_path(path)


def _empty() -> Part:
    return np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.bool_)
