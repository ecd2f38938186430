"""Replace live partitions by rebuilt ones; keep the old files until the swap is confirmed.

S3 cannot rename: a reader may briefly see a partition's rows twice, but never miss one, because the
rebuilt files are copied in before the old ones are deleted. Every step may be repeated; a journal
beside the old files lets an interrupted swap continue.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import msgspec
import numpy as np

from connectors import positions
from connectors.errors import UserError
from connectors.positions import Positions
from connectors.s3.parquet import pages
from pipeline.ops.lake.content import Lake, Record
from pipeline.ops.lake.records import PartitionLock, Records, with_sources
from pipeline.ops.systems import Systems

REPLACED: Final = "_replaced"
_PREFIX: Final = "source_"
_NAMED: Final = 5
State = Literal["switching", "switched", "undoing", "undone", "confirmed"]


@dataclass(frozen=True)
class Rows:
    """The files of one partition by path, each with the source positions of its rows."""

    files: dict[str, Positions]

    @cached_property
    def positions(self) -> Positions:
        """The positions of all rows."""
        return np.concatenate([np.zeros(0, np.int64), *self.files.values()])

    @cached_property
    def doubled(self) -> int:
        """How many rows repeat a position."""
        return len(self.positions) - len(np.unique(self.positions))


@dataclass(frozen=True)
class Compared:
    """A partition as it is and as it was rebuilt.

    A live file without any rebuilt row is newer than the rebuild, and stays.
    """

    partition: str
    live: Rows
    rebuilt: Rows

    @cached_property
    def replaced(self) -> Rows:
        """The live files with rebuilt rows."""
        present = self.rebuilt.positions
        files = self.live.files.items()
        return Rows({path: rows for path, rows in files if np.isin(rows, present).any()})

    def counts(self) -> dict[str, int]:
        """Count what a swap would change."""
        return {
            "live_files": len(self.live.files),
            "live_rows": len(self.live.positions),
            "live_doubled": self.live.doubled,
            "replaced_files": len(self.replaced.files),
            "rebuilt_files": len(self.rebuilt.files),
            "rebuilt_rows": len(self.rebuilt.positions),
            "added_rows": len(np.setdiff1d(self.rebuilt.positions, self.live.positions)),
        }

    def problems(self, topics: list[str]) -> list[str]:
        """Return why a swap would lose or double rows; empty if it would not."""
        problems = []
        lost = np.setdiff1d(self.replaced.positions, self.rebuilt.positions)
        if len(lost):
            named = ", ".join(described(position, topics) for position in lost[:_NAMED].tolist())
            problems.append(
                f"{self.partition}: {len(lost):,} rows of files to be replaced were not rebuilt:"
                f" {named}{', ...' if len(lost) > _NAMED else ''}. They were not archived, were not"
                " in the time rebuilt, or are no longer valid events; rebuild with more."
            )
        if self.rebuilt.doubled:
            problems.append(f"{self.partition}: {self.rebuilt.doubled:,} rebuilt rows are doubled.")
        if not self.rebuilt.files:
            problems.append(
                f"{self.partition}: nothing was rebuilt, so there is nothing to put in."
            )
        return problems


class Moved(msgspec.Struct, frozen=True):
    """The files of one partition: the old ones, and the new name of each rebuilt one.

    `record` is the partition's record before the swap.
    """

    old: list[str]
    new: dict[str, str]
    record: Record = Record()


class Journal(msgspec.Struct, frozen=True):
    """A swap's journal; paths are relative to the live lake, or to `rebuilt`."""

    rebuilt: str
    partitions: dict[str, Moved]
    state: State

    def old(self) -> list[str]:
        """Return the old files of all partitions."""
        return [path for moved in self.partitions.values() for path in moved.old]


class Swap:
    """One named swap in the live lake of a configuration.

    `old_files` is where the old files are kept; readers skip names that begin with an underscore.
    `topics` are the topics that a position may name.
    """

    def __init__(self, systems: Systems, name: str) -> None:
        self.name = name
        self.topics = sorted(systems.config.source.kafka_topics)
        self._systems = systems
        self._path = systems.lake_path
        self._folder = f"{REPLACED}/{name}"
        self.old_files = f"{self._path}/{self._folder}"
        self._live = systems.store(self._path)
        self._records = Records(self._live)
        self._lock = PartitionLock(self._records, name)

    def compare(self, rebuilt: str, partition: str) -> Compared:
        """Read a partition of the live lake and its rebuilt counterpart."""
        live, beside = (
            rows(self._systems.lake(path), partition, self.topics) for path in (self._path, rebuilt)
        )
        return Compared(partition, live, beside)

    def plan(self, compared: Iterable[Compared]) -> list[str]:
        """Describe what `switch` will do, one sentence for each step."""
        partitions = list(compared)
        old = sum(len(partition.replaced.files) for partition in partitions)
        new = sum(len(partition.rebuilt.files) for partition in partitions)
        return [
            f"keep {old:,} live files of {len(partitions)} partitions in {self.old_files}",
            f"copy {new:,} rebuilt files into {self._path}; for a moment readers see both",
            f"delete those {old:,} live files, and read the partitions again",
        ]

    def plan_undo(self) -> list[str]:
        """Describe what `undo` will do."""
        journal = self._begun("switching", "switched", "undoing")
        new = sum(len(moved.new) for moved in journal.partitions.values())
        return [
            f"put {len(journal.old()):,} old files back into {self._path}",
            f"delete {new:,} rebuilt ones",
        ]

    def plan_confirm(self) -> list[str]:
        """Describe what `confirm` will do."""
        old = self._begun("switched", "confirmed").old()
        return [f"delete {len(old):,} old files from {self.old_files}, for good"]

    def switch(self, rebuilt: str, compared: Iterable[Compared]) -> list[str]:
        """Swap the partitions and check them; return the problems found."""
        partitions = {comparison.partition: self._moved(comparison) for comparison in compared}
        if self.journal():
            raise UserError(f"there was a swap {self.name} before; give another --name.")
        journal = Journal(rebuilt, partitions, "switching")
        self._note(journal)
        try:
            self._acquire(journal)
        except UserError:
            self._end(journal, "undone")
            raise
        return self.go_on()

    def go_on(self) -> list[str]:
        """Run the journal from its beginning: every step may be repeated."""
        journal = self._begun("switching", "switched")
        if journal.state == "switching":
            self._acquire(journal)
            for partition, moved in journal.partitions.items():
                self._move(journal.rebuilt, partition, moved)
        problems = self._check(journal)
        self._end(journal, "switched")
        return problems

    def undo(self) -> None:
        """Put the old files back and remove the rebuilt ones."""
        journal = self._begun("switching", "switched", "undoing")
        for partition, moved in journal.partitions.items():
            self._lock.acquire(partition)
            if journal.state == "switched":
                self._refuse_merged(journal, partition, moved)
        self._note(msgspec.structs.replace(journal, state="undoing"))
        for partition, moved in journal.partitions.items():
            saved = [path for path in moved.old if self._live.stat(f"{self._folder}/{path}")]
            for path in saved:
                self._live.copy(f"{self._folder}/{path}", path)
            self._lock.restore_files(partition, saved, moved.record)
            for name in moved.new.values():
                self._live.delete(name)
        self._end(journal, "undone")

    def confirm(self) -> int:
        """Delete the old files for good; return how many."""
        journal = self._begun("switched", "confirmed")
        for path in journal.old():
            self._live.delete(f"{self._folder}/{path}")
        self._note(msgspec.structs.replace(journal, state="confirmed"))
        return len(journal.old())

    def journal(self) -> Journal | None:
        """Return this swap's journal; None if there is no swap of that name."""
        journal = self._live.version(f"{self._folder}/swap.json")
        return msgspec.json.decode(journal.content, type=Journal) if journal else None

    def _begun(self, *allowed: State) -> Journal:
        journal = self.journal()
        if journal is None:
            raise UserError(f"there is no swap {self.name} in {self._path}/{REPLACED}.")
        if journal.state not in allowed:
            raise UserError(f"the swap {self.name} is {journal.state} already.")
        return journal

    def _moved(self, compared: Compared) -> Moved:
        """Return the files to move; refuse a partition that compaction changed meanwhile."""
        partition, old = compared.partition, list(compared.replaced.files)
        record = self._records.read(partition).record
        if {entry.path for entry in record.replaced} & set(old):
            raise UserError(
                f"{partition}: `streaming-etl compact` changed it meanwhile; nothing was swapped."
                " Give the same command again."
            )
        new = {
            path: f"{partition}/{self.name}-{path.rpartition('/')[2]}"
            for path in compared.rebuilt.files
        }
        return Moved(with_sources(old, record), new, record)

    def _refuse_merged(self, journal: Journal, partition: str, moved: Moved) -> None:
        """Refuse an undo after compaction merged the new files with others."""
        live = self._systems.lake(self._path).partitions(partition)
        gone = set(moved.new.values()) - {file.path for listed in live for file in listed.current()}
        if gone:
            self._end(journal, "switched")
            raise UserError(
                f"{partition}: `streaming-etl compact` merged {len(gone):,} files that the swap"
                f" {self.name} put in, so they can't be taken out again. Rebuild the partition and"
                " swap once more."
            )

    def _acquire(self, journal: Journal) -> None:
        """Lock all partitions before anything is done in the first."""
        for partition, moved in journal.partitions.items():
            self._lock.acquire(partition, moved.record)

    def _end(self, journal: Journal, state: State) -> None:
        self._note(msgspec.structs.replace(journal, state=state))
        for partition in journal.partitions:
            self._lock.release(partition)

    def _move(self, rebuilt: str, partition: str, moved: Moved) -> None:
        for path in moved.old:
            # On a repetition, a file that is already deleted has been copied before.
            if self._live.stat(path):
                self._live.copy(path, f"{self._folder}/{path}")
        source = self._systems.store(rebuilt)
        for path, name in moved.new.items():
            source.copy(path, name, into=self._live)
        self._lock.remove_files(partition, moved.old)
        for path in moved.old:
            self._live.delete(path)

    def _check(self, journal: Journal) -> list[str]:
        problems: list[str] = []
        for partition in journal.partitions:
            counts = self.compare(journal.rebuilt, partition).counts()
            if counts["live_doubled"]:
                problems.append(f"{partition}: {counts['live_doubled']:,} rows are doubled now.")
            if counts["added_rows"]:
                problems.append(f"{partition}: {counts['added_rows']:,} rebuilt rows are missing.")
        return problems

    def _note(self, journal: Journal) -> None:
        self._live.write(f"{self._folder}/swap.json", msgspec.json.encode(journal))


def rows(lake: Lake, partition: str, topics: list[str]) -> Rows:
    """Read the positions of a partition; a missing one has no files."""
    files = [stored for listed in lake.partitions(partition) for stored in listed.current()]
    columns = [_PREFIX + name for name in positions.COLUMNS]
    parts: dict[str, list[Positions]] = {stored.path: [] for stored in files}
    for page in pages(lake, files, columns):
        for stored, table in page:
            parts[stored.path].append(positions.numbers(table, topics, _PREFIX))
    empty = np.zeros(0, np.int64)
    return Rows({path: np.concatenate([empty, *numbers]) for path, numbers in parts.items()})


def described(position: int, topics: list[str]) -> str:
    """Describe a position for people; for a Kinesis record only a hash is known."""
    if position < 0:
        return f"a Kinesis record (hash {-position})"
    code, partition, offset = positions.unpacked(position)
    return f"{topics[code]}/{partition}@{offset}"
