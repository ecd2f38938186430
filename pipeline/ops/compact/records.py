"""Reads and changes the records of a lake's partitions: each change is one conditional write."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from connectors.s3.objects import Objects, Tagged
from pipeline.ops.readers.lake import Record, decoded, record_path


class Seen(NamedTuple):
    """A record, and the version of the object that it was read of."""

    record: Record
    version: Tagged | None


class Records:
    """The records of one lake."""

    def __init__(self, lake: str, objects: Objects) -> None:
        self._lake = lake
        self._objects = objects

    def read(self, partition: str) -> Seen:
        """The record of a partition; an empty one where nothing was ever done."""
        path = record_path(partition)
        found = self._objects.tagged(f"{self._lake}/{path}")
        return Seen(decoded(found.content, path) if found else Record(), found)

    def write(self, partition: str, seen: Seen, record: Record) -> bool:
        """The switch: puts a record in the place of the one seen; False where that has changed."""
        content = msgspec.json.encode(
            msgspec.structs.replace(record, generation=seen.record.generation + 1)
        )
        uri = f"{self._lake}/{record_path(partition)}"
        return self._objects.write_over(uri, content, seen.version)

    def change(self, partition: str, how: Callable[[Record], Record]) -> None:
        """Changes a record, whoever else does; `how` may be asked again, of a newer one."""
        while True:
            seen = self.read(partition)
            wanted = how(seen.record)
            if wanted == seen.record or self.write(partition, seen, wanted):
                return
