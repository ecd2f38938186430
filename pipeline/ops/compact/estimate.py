"""Estimate what merging small files gives, without merging them.

Rows and schemas come from the footers of at most 64 files of a partition. How many bytes a merged
row takes is measured: up to 256 files of each event type's largest partition are merged in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from connectors.s3.parquet import footer
from connectors.s3.store import ReadableStore, Stored
from pipeline.collect.columns import local_columns
from pipeline.events.model import EventType, EventTypes
from pipeline.ops.compact import merge

_FOOTERS: Final = 64
_READERS: Final = 8
_SAMPLE_FILES: Final = 256
_SAMPLE_BYTES: Final = 16 * 1024 * 1024


class Density(NamedTuple):
    """Bytes of a merged file without rows, of each row in it, and of each row in memory."""

    fixed: int
    row: float
    decoded_row: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What merging the files of a partition gives: the replaced files, and those in their place."""

    replaced_files: int = 0
    replaced_bytes: int = 0
    merged_files: int = 0
    merged_rows: int = 0
    merged_bytes: int = 0

    def plus(self, files: Sequence[Stored], rows: float, density: Density | None) -> Expected:
        """Return the sum with one more merged file; without a density, merging saves no byte."""
        size = sum(stored.size for stored in files)
        merged_bytes = size if density is None else density.fixed + round(rows * density.row)
        return Expected(
            self.replaced_files + len(files),
            self.replaced_bytes + size,
            self.merged_files + 1,
            self.merged_rows + round(rows),
            self.merged_bytes + merged_bytes,
        )


def expected(
    lake: ReadableStore,
    files: Sequence[Stored],
    target_bytes: int,
    density: Density | None,
    local: Collection[str],
) -> Expected:
    """Return what merging the files of one partition gives; they are grouped as `merge.batches`.

    `local` names the columns of local timestamps.

    Raises:
        UserError: a file is not Parquet, or was deleted meanwhile (Gone).
    """
    looked_at = [
        files[at * len(files) // min(len(files), _FOOTERS)]
        for at in range(min(len(files), _FOOTERS))
    ]
    with ThreadPoolExecutor(_READERS) as pool:
        footers = list(pool.map(lambda stored: footer(lake, stored.path), looked_at))
    schemas = {
        stored.path: merge.in_utc(read.schema.to_arrow_schema(), local)
        for stored, read in zip(looked_at, footers, strict=True)
    }
    rows = sum(read.num_rows for read in footers) / len(footers)
    decoded = rows * density.decoded_row if density else 0.0
    total, batch, size, schema = Expected(), list[Stored](), 0, schemas[looked_at[0].path]
    for stored in files:
        own = schemas.get(stored.path, schema)
        has_room = size < target_bytes and len(batch) * decoded < merge.DECODED_BYTES
        if batch and not (has_room and own.equals(schema)):
            total, batch, size = _with(total, batch, rows, density), [], 0
        batch.append(stored)
        size, schema = size + stored.size, own
    return _with(total, batch, rows, density)


def _with(
    total: Expected, batch: Sequence[Stored], rows_a_file: float, density: Density | None
) -> Expected:
    """Return the sum; a file alone is not merged."""
    return total.plus(batch, len(batch) * rows_a_file, density) if len(batch) > 1 else total


def density(lake: ReadableStore, files: Sequence[Stored], event_type: EventType) -> Density | None:
    """Merge some of the files in memory, and return how large that is; None if none of them merge.

    Raises:
        UserError: as `merge.batches`.
    """
    chosen, size = list[Stored](), 0
    for stored in islice(files, _SAMPLE_FILES):
        if len(chosen) > 1 and size + stored.size > _SAMPLE_BYTES:
            break
        chosen.append(stored)
        size += stored.size
    read = merge.batches(lake, chosen, _SAMPLE_BYTES, local_columns(event_type))
    merged = [each.in_order(event_type.event_time) for each in read]
    if not merged or not (rows := sum(table.num_rows for table in merged)):
        return None
    fixed = len(merge.encoded(merged[0].slice(0, 0)))
    encoded = sum(len(merge.encoded(table)) - fixed for table in merged)
    return Density(fixed, encoded / rows, sum(table.nbytes for table in merged) / rows)


def densities(
    lake: ReadableStore, files: Mapping[str, Sequence[Stored]], types: EventTypes
) -> dict[str, Density | None]:
    """Return the density of each event type, of the largest of its partitions (name -> files)."""
    largest: dict[str, Sequence[Stored]] = {}
    for name, chosen in files.items():
        event_type = name.partition("/")[0]
        if event_type not in largest or _size(chosen) > _size(largest[event_type]):
            largest[event_type] = chosen
    return {
        event_type: density(lake, chosen, types[event_type])
        for event_type, chosen in largest.items()
    }


def _size(files: Sequence[Stored]) -> int:
    return sum(stored.size for stored in files)
