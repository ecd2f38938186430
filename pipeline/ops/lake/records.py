"""Read and change the records of a lake's partitions; each change is one conditional write."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from connectors.s3.objects import Objects, Tagged
from pipeline.ops.lake.content import Record, decoded, record_path


class Versioned(NamedTuple):
    """A record, and the object version that it was read from."""

    record: Record
    version: Tagged | None


class Records:
    """The records of one lake."""

    def __init__(self, lake: str, objects: Objects) -> None:
        self._lake = lake
        self._objects = objects

    def read(self, partition: str) -> Versioned:
        """Return a partition's record; an empty one where there is none."""
        path = record_path(partition)
        found = self._objects.tagged(f"{self._lake}/{path}")
        return Versioned(decoded(found.content, path) if found else Record(), found)

    def write(self, partition: str, read: Versioned, record: Record) -> bool:
        """Replace the record that was read; return False if it has changed since."""
        content = msgspec.json.encode(
            msgspec.structs.replace(record, generation=read.record.generation + 1)
        )
        uri = f"{self._lake}/{record_path(partition)}"
        return self._objects.write_over(uri, content, read.version)

    def change(self, partition: str, how: Callable[[Record], Record]) -> None:
        """Change a record; `how` is called again if another writer was first."""
        while True:
            read = self.read(partition)
            changed = how(read.record)
            if changed == read.record or self.write(partition, read, changed):
                return
