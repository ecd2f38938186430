"""Read and change the records of a lake's partitions; each change is one conditional write."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

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
        found = self._lake.version(path)
        return Versioned(decoded(found.content, path) if found else Record(), found)

    def write(self, partition: str, read: Versioned, record: Record) -> bool:
        """Replace the record that was read; return False if it has changed since."""
        content = msgspec.json.encode(
            msgspec.structs.replace(record, generation=read.record.generation + 1)
        )
        return self._lake.replace(record_path(partition), content, read.version)

    def change(self, partition: str, how: Callable[[Record], Record]) -> None:
        """Change a record; `how` is called again if another writer was first."""
        while True:
            read = self.read(partition)
            changed = how(read.record)
            if changed == read.record or self.write(partition, read, changed):
                return
