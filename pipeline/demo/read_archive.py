"""Reads the archive back: the raw bytes' digest of every record, by position."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.demo import content
from pipeline.demo.ledger import Ledger, Positions
from pipeline.demo.storage import Store, tables

_COLUMNS: Final = ["raw", "topic", "partition", "offset", "arrival_time"]
_PATH: Final = re.compile(r"arrival_date=(\d{4}-\d{2}-\d{2})/arrival_hour=(\d{2})/[^/]+")
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRecords:
    """Every archived record; `misplaced` says which lie under another hour than they arrived in."""

    positions: Positions
    digests: content.Hashes
    misplaced: NDArray[np.bool_]
    files: int


def read_archive(store: Store, ledger: Ledger) -> ArchiveRecords:
    """Reads all of it, some hundred objects at a time."""
    listing = store.listing()
    parts = [_empty()]
    for batch in tables(store, listing, _COLUMNS):
        parts += [_records(stored.path, table, ledger) for stored, table in batch]
    positions, digests, misplaced = (np.concatenate(column) for column in zip(*parts, strict=True))
    return ArchiveRecords(
        positions=positions, digests=digests, misplaced=misplaced, files=len(listing)
    )


Part = tuple[Positions, content.Hashes, NDArray[np.bool_]]


def _records(path: str, table: pa.Table, ledger: Ledger) -> Part:
    positions = ledger.position_numbers(
        table.column("topic"),
        np.asarray(table.column("partition")),
        np.asarray(table.column("offset")),
    )
    hours = content.millis(table.column("arrival_time")) // _HOUR_MS
    digests = content.digests(table.column("raw").to_pylist())
    return positions, digests, hours != _hour(path)


def _hour(path: str) -> int:
    """The hour since 1970 that a path names; -1 for an odd path."""
    match = _PATH.fullmatch(path)
    if match is None:
        return -1
    return int(np.datetime64(f"{match[1]}T{match[2]}", "h").astype(np.int64))


def _empty() -> Part:
    return np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.bool_)
