"""Read, change and lock the records of a lake's partitions; each change is one conditional write.

Compaction merges files into one that only the partition's record names. A swap that replaces such a
file removes it from the record, together with the small files it was merged from, and locks the
partition against compaction meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from connectors.errors import UserError
from connectors.s3.store import Store, Version
from pipeline.ops.lake.content import Record, decoded, record_path


class Versioned(NamedTuple):
    """A record, and the object version that it was read from."""

    record: Record
    version: Version | None


class Records:
    """The records of one lake."""

    def __init__(self, lake: Store) -> None:
        self._lake = lake

    def read(self, partition: str) -> Versioned:
        """Return a partition's record; an empty one where there is none."""
        path = record_path(partition)
        version = self._lake.version(path)
        return Versioned(decoded(version.content, path) if version else Record(), version)

    def write(self, partition: str, read: Versioned, record: Record) -> bool:
        """Replace the record that was read; return False if it has changed since."""
        content = msgspec.json.encode(replace(record, generation=read.record.generation + 1))
        return self._lake.replace(record_path(partition), content, read.version)

    def change(self, partition: str, how: Callable[[Record], Record]) -> None:
        """Change a record; if another writer was first, call `how` again on its version."""
        while True:
            read = self.read(partition)
            changed = how(read.record)
            if changed == read.record or self.write(partition, read, changed):
                return


@dataclass(frozen=True, slots=True)
class PartitionLock:
    """Locks partitions of the live lake for one swap; every step may be repeated."""

    records: Records
    swap: str

    def acquire(self, partition: str, compared: Record | None = None) -> None:
        """Lock the partition.

        Raises:
            UserError: another swap holds the lock; or compaction or a swap changed the partition
                since its record was `compared`.
        """

        def locked(record: Record) -> Record:
            if record.held not in ("", self.swap):
                raise UserError(
                    f"{partition}: the swap {record.held} is at work there; if it was interrupted,"
                    " end it with `streaming-etl backfill resume` or `undo`."
                )
            if compared and not record.held and record.generation != compared.generation:
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
                record, files=tuple(file for file in record.files if file.path not in removed)
            ),
        )

    def restore_files(self, partition: str, old: Iterable[str], before: Record) -> None:
        """Restore the old files' entries as they were in the record `before` the swap."""
        restored = set(old)

        def with_files(record: Record) -> Record:
            files = {file.path: file for file in record.files}
            files |= {file.path: file for file in before.files if file.path in restored}
            replaced = {file.path: file for file in record.replaced}
            replaced |= {file.path: file for file in before.replaced if file.path in restored}
            return replace(record, files=(*files.values(),), replaced=(*replaced.values(),))

        self.records.change(partition, with_files)

    def release(self, partition: str) -> None:
        """Unlock the partition; where this swap holds no lock, do nothing."""
        self.records.change(
            partition,
            lambda record: replace(record, held="") if record.held == self.swap else record,
        )


def with_sources(files: Iterable[str], record: Record) -> list[str]:
    """Return the files, and the small files that the merged ones among them replaced."""
    paths = dict.fromkeys(files)
    return [*paths, *(file.path for file in record.replaced if file.into in paths)]
