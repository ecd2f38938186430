"""Replace live partitions by rebuilt ones; keep the old files until the swap is confirmed.

S3 cannot rename: a reader may briefly see a partition's rows twice, but never miss one, because the
rebuilt files are copied in before the old ones are deleted. Every step may be repeated; a journal
beside the old files lets an interrupted swap go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from connectors.errors import UserError
from connectors.s3.store import Store
from pipeline.ops.backfill.partition import Compared, rows
from pipeline.ops.lake.content import Record
from pipeline.ops.lake.records import PartitionLock, Records, with_sources
from pipeline.ops.systems import Systems

REPLACED: Final = "_replaced"
State = Literal["switching", "switched", "undoing", "undone", "confirmed"]


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


@dataclass(frozen=True, slots=True)
class Swap:
    """One named swap in the live lake of a configuration."""

    systems: Systems
    name: str

    @property
    def lake(self) -> str:
        """The live lake."""
        assert self.systems.config.lake, "derive.refuse asks for one"
        return self.systems.config.lake.path.rstrip("/")

    @property
    def kept(self) -> str:
        """Where the old files are kept; readers skip names that begin with an underscore."""
        return f"{self.lake}/{self._folder}"

    @property
    def _folder(self) -> str:
        return f"{REPLACED}/{self.name}"

    @property
    def topics(self) -> list[str]:
        """The topics that a position may name."""
        return sorted(self.systems.config.source.kafka_topics)

    def compare(self, rebuilt: str, partition: str) -> Compared:
        """Read a partition in both places."""
        live = rows(self.systems.lake(self.lake), partition, self.topics)
        return Compared(partition, live, rows(self.systems.lake(rebuilt), partition, self.topics))

    def plan(self, compared: Iterable[Compared]) -> list[str]:
        """Describe what `switch` will do, one sentence for each step."""
        partitions = list(compared)
        old = sum(len(each.replaced.files) for each in partitions)
        new = sum(len(each.rebuilt.files) for each in partitions)
        return [
            f"keep {old:,} live files of {len(partitions)} partitions in {self.kept}",
            f"copy {new:,} rebuilt files into {self.lake}; for a moment readers see both",
            f"delete those {old:,} live files, and read the partitions again",
        ]

    def plan_undo(self) -> list[str]:
        """Describe what `undo` will do."""
        partitions = self._begun("switching", "switched", "undoing").partitions.values()
        old, new = (sum(map(len, each)) for each in _files(partitions))
        return [f"put {old:,} old files back into {self.lake}", f"delete {new:,} rebuilt ones"]

    def plan_confirm(self) -> list[str]:
        """Describe what `confirm` will do."""
        partitions = self._begun("switched", "confirmed").partitions.values()
        old = sum(map(len, _files(partitions)[0]))
        return [f"delete {old:,} old files from {self.kept}, for good"]

    def switch(self, rebuilt: str, compared: Iterable[Compared]) -> list[str]:
        """Swap the partitions and check them; return the problems found."""
        partitions = {each.partition: self._moved(each) for each in compared}
        if self.journal():
            raise UserError(f"there was a swap {self.name} before; give another --name.")
        journal = Journal(rebuilt, partitions, "switching")
        self._note(journal)
        try:
            self._take(journal)
        except UserError:
            self._end(journal, "undone")
            raise
        return self.go_on()

    def go_on(self) -> list[str]:
        """Run the journal from its beginning: every step may be repeated."""
        journal = self._begun("switching", "switched")
        if journal.state == "switching":
            self._take(journal)
            self._move(journal)
        problems = self._check(journal)
        self._end(journal, "switched")
        return problems

    def _move(self, journal: Journal) -> None:
        live, rebuilt = self._live, self.systems.store(journal.rebuilt)
        for partition, moved in journal.partitions.items():
            self._keep(live, moved)
            for source, name in moved.new.items():
                rebuilt.copy(source, name, into=live)
            self._lock.remove_files(partition, moved.old)
            for path in moved.old:
                live.delete(path)

    def undo(self) -> None:
        """Put the old files back and remove the rebuilt ones."""
        journal = self._begun("switching", "switched", "undoing")
        live = self._live
        for partition, moved in journal.partitions.items():
            self._lock.acquire(partition)
            if journal.state == "switched":
                self._refuse_merged(journal, partition, moved)
        self._note(msgspec.structs.replace(journal, state="undoing"))
        for partition, moved in journal.partitions.items():
            kept = [path for path in moved.old if live.stat(f"{self._folder}/{path}")]
            for path in kept:
                live.copy(f"{self._folder}/{path}", path)
            self._lock.restore_files(partition, kept, moved.record)
            for name in moved.new.values():
                live.delete(name)
        self._end(journal, "undone")

    def confirm(self) -> int:
        """Delete the old files for good; return how many."""
        journal = self._begun("switched", "confirmed")
        live = self._live
        old = [path for moved in journal.partitions.values() for path in moved.old]
        for path in old:
            live.delete(f"{self._folder}/{path}")
        self._note(msgspec.structs.replace(journal, state="confirmed"))
        return len(old)

    def journal(self) -> Journal | None:
        """Return this swap's journal; None if there is no swap of that name."""
        found = self._live.version(f"{self._folder}/swap.json")
        return msgspec.json.decode(found.content, type=Journal) if found else None

    def _begun(self, *allowed: State) -> Journal:
        journal = self.journal()
        if journal is None:
            raise UserError(f"there is no swap {self.name} in {self.lake}/{REPLACED}.")
        if journal.state not in allowed:
            raise UserError(f"the swap {self.name} is {journal.state} already.")
        return journal

    def _moved(self, compared: Compared) -> Moved:
        """Return the files to move; refuse a partition that compaction changed meanwhile."""
        partition, old = compared.partition, list(compared.replaced.files)
        record = self._records.read(partition).record
        if {each.path for each in record.replaced} & set(old):
            raise UserError(
                f"{partition}: `streaming-etl compact` changed it meanwhile; nothing was swapped."
                " Give the same command again."
            )
        new = {path: self._new_name(partition, path) for path in compared.rebuilt.files}
        return Moved(with_sources(old, record), new, record)

    def _refuse_merged(self, journal: Journal, partition: str, moved: Moved) -> None:
        """Refuse an undo after compaction merged the new files with others."""
        live = self.systems.lake(self.lake).partitions(partition)
        gone = set(moved.new.values()) - {each.path for one in live for each in one.current()}
        if gone:
            self._end(journal, "switched")
            raise UserError(
                f"{partition}: `streaming-etl compact` merged {len(gone):,} files that the swap"
                f" {self.name} put in, so they can't be taken out again. Rebuild the partition and"
                " swap once more."
            )

    def _take(self, journal: Journal) -> None:
        """Lock all partitions before anything is done in the first."""
        for partition, moved in journal.partitions.items():
            self._lock.acquire(partition, moved.record)

    def _end(self, journal: Journal, state: State) -> None:
        self._note(msgspec.structs.replace(journal, state=state))
        for partition in journal.partitions:
            self._lock.release(partition)

    def _keep(self, live: Store, moved: Moved) -> None:
        for path in moved.old:
            # Repeated: a file that was deleted before is kept already.
            if live.stat(path):
                live.copy(path, f"{self._folder}/{path}")

    def _check(self, journal: Journal) -> list[str]:
        problems: list[str] = []
        for partition in journal.partitions:
            compared = self.compare(journal.rebuilt, partition)
            if compared.live.doubled:
                problems.append(f"{partition}: {compared.live.doubled:,} rows are doubled now.")
            missing = compared.counts()["added_rows"]
            if missing:
                problems.append(f"{partition}: {missing:,} rebuilt rows are not there.")
        return problems

    def _new_name(self, partition: str, path: str) -> str:
        return f"{partition}/{self.name}-{path.rpartition('/')[2]}"

    def _note(self, journal: Journal) -> None:
        self._live.write(f"{self._folder}/swap.json", msgspec.json.encode(journal))

    @property
    def _records(self) -> Records:
        return Records(self._live)

    @property
    def _lock(self) -> PartitionLock:
        return PartitionLock(self._records, self.name)

    @property
    def _live(self) -> Store:
        return self.systems.store(self.lake)


def _files(partitions: Iterable[Moved]) -> tuple[list[Sized], list[Sized]]:
    """Return the old and the rebuilt files of each partition."""
    moved = list(partitions)
    return [each.old for each in moved], [each.new for each in moved]
