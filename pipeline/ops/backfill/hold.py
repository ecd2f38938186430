"""Keeps compaction away from partitions that a swap is at work in, and tells it what the swap did.

Compaction merges files into one that only the partition's record names. A swap that takes such a
file away takes it out of the record, with the small files that it was merged from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from connectors.errors import UserError
from pipeline.ops.compact.records import Records
from pipeline.ops.readers.lake import Record


@dataclass(frozen=True, slots=True)
class Hold:
    """What one swap does to the records of the live lake; each step may be repeated."""

    records: Records
    swap: str

    def take(self, partition: str, seen: Record) -> None:
        """Nobody else changes the partition from now on.

        Raises:
            UserError: compaction or a swap changed it since its record was read as `seen`.
        """

        def how(record: Record) -> Record:
            self._refuse_other(partition, record)
            if record.held != self.swap and record.generation != seen.generation:
                raise UserError(
                    f"{partition}: `streaming-etl compact` or a swap changed it meanwhile; nothing"
                    " was swapped. Give the same command again, with another --name."
                )
            return replace(record, held=self.swap)

        self.records.change(partition, how)

    def take_back(self, partition: str) -> None:
        """As `take`, to undo what this swap did, whatever was changed since.

        Raises:
            UserError: another swap is at work.
        """

        def how(record: Record) -> Record:
            self._refuse_other(partition, record)
            return replace(record, held=self.swap)

        self.records.change(partition, how)

    def without(self, partition: str, old: Iterable[str]) -> None:
        """The old files count no more."""
        gone = set(old)
        self.records.change(
            partition,
            lambda record: replace(
                record, files=tuple(each for each in record.files if each.path not in gone)
            ),
        )

    def with_again(self, partition: str, old: Iterable[str], seen: Record) -> None:
        """The old files count as they did when the record was read as `seen`."""
        back = set(old)

        def how(record: Record) -> Record:
            files = {each.path: each for each in seen.files if each.path in back}
            replaced = {each.path: each for each in seen.replaced if each.path in back}
            return replace(
                record,
                files=tuple(({each.path: each for each in record.files} | files).values()),
                replaced=tuple(({each.path: each for each in record.replaced} | replaced).values()),
            )

        self.records.change(partition, how)

    def release(self, partition: str) -> None:
        """The swap is done there; where it never was, nothing is changed."""
        self.records.change(
            partition,
            lambda record: replace(record, held="") if record.held == self.swap else record,
        )

    def _refuse_other(self, partition: str, record: Record) -> None:
        if record.held not in ("", self.swap):
            raise UserError(
                f"{partition}: the swap {record.held} is at work there; if it was broken off, end"
                " it with `streaming-etl backfill resume` or `undo`."
            )


def with_sources(files: Iterable[str], record: Record) -> list[str]:
    """The files to take away, with those that the merged ones among them were made of."""
    found = dict.fromkeys(files)
    return [*found, *(each.path for each in record.replaced if each.into in found)]
