"""Merge files of one partition and switch readers to the merged file.

1 write the merged file, 2 read it back and compare every value, 3 write the record. Readers see
only step 3. After an interruption before it, the merged file is an orphan that `clean` deletes
later.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from connectors.s3.store import Store
from pipeline.ops.compact import merge
from pipeline.ops.compact.merge import Batch
from pipeline.ops.lake.content import COMPACTED, Lake, Merged, Record, Replaced
from pipeline.ops.lake.records import Records


class Changed(Exception):
    """Another run or a swap changed the partition; nothing was done."""


class Mismatch(Exception):
    """A merged file does not hold the expected rows; it was deleted, nothing was switched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Switches partitions of a lake: reads go through `lake`, changes through `store`."""

    lake: Lake
    store: Store
    clock_ms: Callable[[], int]

    def __call__(self, partition: str, generation: int, batch: Batch, event_time: str) -> Merged:
        """Merge and switch; return the merged file. The record's generation is incremented.

        Raises:
            Changed: the record is no longer of that generation.
            Mismatch: the written file reads back differently.
        """
        records = Records(self.store)
        read = records.read(partition)
        if read.record.generation != generation:
            raise Changed
        merged = self._written(partition, generation + 1, batch.in_order(event_time))
        record = after(read.record, merged, batch.files, self.clock_ms())
        if not records.write(partition, read, record):
            self.store.delete(merged.path)
            raise Changed
        return merged

    def _written(self, partition: str, generation: int, rows: pa.Table) -> Merged:
        # The name is unique, so that two runs never overwrite each other's file.
        name = f"compacted-{generation:06d}-{secrets.token_hex(6)}.parquet"
        path = f"{COMPACTED}/{partition}/{name}"
        content = merge.encoded(rows)
        merged = Merged(path, rows.num_rows, len(content))
        self.store.write(path, content)
        del content
        problem = merge.problem(self.lake, path, rows)
        if problem:
            self.store.delete(path)
            raise Mismatch(problem)
        return merged


def after(record: Record, merged: Merged, files: dict[str, int], now_ms: int) -> Record:
    """Return the record with the merged file in place of the files (path -> rows)."""
    known = tuple(
        msgspec.structs.replace(each, into=merged.path) if each.into in files else each
        for each in record.replaced
    )
    new = tuple(Replaced(path, rows, merged.path, now_ms) for path, rows in files.items())
    return msgspec.structs.replace(
        record,
        files=(*(each for each in record.files if each.path not in files), merged),
        replaced=(*known, *new),
    )
