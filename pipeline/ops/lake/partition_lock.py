"""Locks partitions against compaction while a swap replaces their files.

Compaction merges files into one that only the partition's record names. A swap that replaces such a
file removes it from the record, together with the small files it was merged from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from connectors.errors import UserError
from pipeline.ops.lake.content import Record
from pipeline.ops.lake.records import Records


@dataclass(frozen=True, slots=True)
class PartitionLock:
    """Locks partitions of the live lake for one swap; every step may be repeated."""

    records: Records
    swap: str

    def acquire(self, partition: str, compared: Record | None) -> None:
        """Lock the partition; to undo the swap (`compared` is None), whatever changed since.

        Raises:
            UserError: another swap holds the lock, or compaction or a swap changed the partition
                since its record was `compared`.
        """

        def locked(record: Record) -> Record:
            if record.held not in ("", self.swap):
                raise UserError(
                    f"{partition}: the swap {record.held} is at work there; if it was interrupted,"
                    " end it with `streaming-etl backfill resume` or `undo`."
                )
            changed = compared is not None and record.generation != compared.generation
            if changed and record.held != self.swap:
                raise UserError(
                    f"{partition}: `streaming-etl compact` or a swap changed it meanwhile; nothing"
                    " was swapped. Give the same command again, with another --name."
                )
            return replace(record, held=self.swap)

        self.records.change(partition, locked)

    def remove_files(self, partition: str, old: Iterable[str]) -> None:
        """Remove the old files from the record."""
        removed = set(old)
        self.records.change(
            partition,
            lambda record: replace(
                record, files=tuple(each for each in record.files if each.path not in removed)
            ),
        )

    def restore_files(self, partition: str, old: Iterable[str], before: Record) -> None:
        """Put the old files back into the record as they were `before` the swap."""
        restored = set(old)

        def with_files(record: Record) -> Record:
            files = {each.path: each for each in before.files if each.path in restored}
            replaced = {each.path: each for each in before.replaced if each.path in restored}
            return replace(
                record,
                files=tuple(({each.path: each for each in record.files} | files).values()),
                replaced=tuple(({each.path: each for each in record.replaced} | replaced).values()),
            )

        self.records.change(partition, with_files)

    def release(self, partition: str) -> None:
        """Unlock the partition; where this swap holds no lock, do nothing."""
        self.records.change(
            partition,
            lambda record: replace(record, held="") if record.held == self.swap else record,
        )


def with_sources(files: Iterable[str], record: Record) -> list[str]:
    """Return the files, and those that the merged ones among them were made of."""
    paths = dict.fromkeys(files)
    return [*paths, *(each.path for each in record.replaced if each.into in paths)]
