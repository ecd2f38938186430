"""Merges files of one partition, and makes the merged file count in their place.

1 write the merged file, 2 read it back and compare every value, 3 write the record. Only 3 is seen
by readers. Broken off before, the merged file is an orphan that `clean` deletes later.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from connectors.s3.objects import Objects
from pipeline.ops.compact import merge
from pipeline.ops.compact.merge import Batch
from pipeline.ops.compact.records import Records
from pipeline.ops.readers.lake import COMPACTED, Lake, Merged, Record, Replaced


class Changed(Exception):
    """Another run, or a swap, changed the partition meanwhile: nothing was done."""


class Mismatch(Exception):
    """A merged file doesn't hold what it should: it was deleted, and nothing was switched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Switches partitions of the lake at `uri`."""

    uri: str
    lake: Lake
    objects: Objects
    clock_ms: Callable[[], int]

    def __call__(self, partition: str, generation: int, batch: Batch, event_time: str) -> Merged:
        """The merged file, which counts now; the record's generation is one more then.

        Raises:
            Changed: the record is no longer of that generation.
            Mismatch: what was written reads back otherwise.
        """
        records = Records(self.uri, self.objects)
        seen = records.read(partition)
        if seen.record.generation != generation:
            raise Changed
        merged = self._written(partition, generation + 1, batch.in_order(event_time))
        record = after(seen.record, merged, batch.files, self.clock_ms())
        if not records.write(partition, seen, record):
            self.objects.delete(f"{self.uri}/{merged.path}")
            raise Changed
        return merged

    def _written(self, partition: str, generation: int, rows: pa.Table) -> Merged:
        # The name is nobody else's, so that two runs never write over each other's file.
        name = f"compacted-{generation:06d}-{secrets.token_hex(6)}.parquet"
        path = f"{COMPACTED}/{partition}/{name}"
        content = merge.encoded(rows)
        merged = Merged(path, rows.num_rows, len(content))
        self.objects.write(f"{self.uri}/{path}", content)
        del content
        problem = merge.problem(self.lake, path, rows)
        if problem:
            self.objects.delete(f"{self.uri}/{path}")
            raise Mismatch(problem)
        return merged


def after(record: Record, merged: Merged, files: dict[str, int], now_ms: int) -> Record:
    """The record with that merged file in the place of those files (path to rows)."""
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
