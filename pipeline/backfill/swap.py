"""Puts rebuilt partitions in the place of live ones; the old are kept until that is confirmed.

S3 cannot rename, so a reader may for a moment see a partition's rows twice, and never not at all:
the rebuilt files are copied in before the old are deleted. Every step may be repeated; what was
begun stands in a journal beside the old files, so that a swap that was broken off goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from pipeline.backfill.partition import Compared, rows
from pipeline.errors import UserError
from pipeline.objects import Objects, objects_of
from pipeline.tools import Systems

REPLACED: Final = "_replaced"
State = Literal["switching", "switched", "undone", "confirmed"]


class Moved(msgspec.Struct, frozen=True):
    """The files of one partition: the old ones, and what each rebuilt one is called there."""

    old: list[str]
    new: dict[str, str]


class Journal(msgspec.Struct, frozen=True):
    """What a swap does; paths are below the live lake, rebuilt ones below `rebuilt`."""

    rebuilt: str
    partitions: dict[str, Moved]
    state: State


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap by its name, in the live lake of a configuration."""

    systems: Systems
    name: str

    @property
    def lake(self) -> str:
        """The live lake."""
        assert self.systems.config.lake, "derive.refuse asks for one"
        return self.systems.config.lake.path.rstrip("/")

    @property
    def kept(self) -> str:
        """Where the old files are kept: readers pass over what begins with an underscore."""
        return f"{self.lake}/{REPLACED}/{self.name}"

    @property
    def topics(self) -> list[str]:
        """The topics that a position may name."""
        return sorted(self.systems.config.source.kafka_topics)

    def compare(self, rebuilt: str, partition: str) -> Compared:
        """Reads a partition in both places."""
        live = rows(self.systems.store(self.lake), partition, self.topics)
        return Compared(partition, live, rows(self.systems.store(rebuilt), partition, self.topics))

    def plan(self, compared: Iterable[Compared]) -> list[str]:
        """What `switch` will do, a sentence a step."""
        found = list(compared)
        old = sum(len(each.replaced.files) for each in found)
        new = sum(len(each.rebuilt.files) for each in found)
        return [
            f"keep {old:,} live files of {len(found)} partitions in {self.kept}",
            f"copy {new:,} rebuilt files into {self.lake}; for a moment readers see both",
            f"delete those {old:,} live files, and read the partitions again",
        ]

    def plan_undo(self) -> list[str]:
        """What `undo` will do."""
        partitions = self._begun("switching", "switched").partitions.values()
        old, new = (sum(map(len, each)) for each in _files(partitions))
        return [f"put {old:,} old files back into {self.lake}", f"delete {new:,} rebuilt ones"]

    def plan_confirm(self) -> list[str]:
        """What `confirm` will do."""
        partitions = self._begun("switched", "confirmed").partitions.values()
        old = sum(map(len, _files(partitions)[0]))
        return [f"delete {old:,} old files from {self.kept}, for good"]

    def switch(self, rebuilt: str, compared: Iterable[Compared]) -> list[str]:
        """Swaps the partitions, and looks at them again; what it answers is wrong with them."""
        partitions = {
            each.partition: Moved(
                list(each.replaced.files),
                {path: self._new_name(path) for path in each.rebuilt.files},
            )
            for each in compared
        }
        if self.journal():
            raise UserError(f"there was a swap {self.name} before; give another --name.")
        self._note(Journal(rebuilt, partitions, "switching"))
        return self.go_on()

    def go_on(self) -> list[str]:
        """Does what the journal says, from the beginning: each step may be repeated."""
        journal = self._begun("switching", "switched")
        objects = self._objects()
        for moved in journal.partitions.values():
            self._keep(objects, moved)
            for source, name in moved.new.items():
                objects.copy(f"{journal.rebuilt.rstrip('/')}/{source}", f"{self.lake}/{name}")
            for path in moved.old:
                objects.delete(f"{self.lake}/{path}")
        problems = self._look_again(journal)
        self._note(msgspec.structs.replace(journal, state="switched"))
        return problems

    def undo(self) -> None:
        """Puts the old files back, and takes the rebuilt ones out."""
        journal = self._begun("switching", "switched")
        objects = self._objects()
        for moved in journal.partitions.values():
            for path in moved.old:
                if objects.exists(f"{self.kept}/{path}"):
                    objects.copy(f"{self.kept}/{path}", f"{self.lake}/{path}")
            for name in moved.new.values():
                objects.delete(f"{self.lake}/{name}")
        self._note(msgspec.structs.replace(journal, state="undone"))

    def confirm(self) -> int:
        """Deletes the old files for good; how many."""
        journal = self._begun("switched", "confirmed")
        objects = self._objects()
        old = [path for moved in journal.partitions.values() for path in moved.old]
        for path in old:
            objects.delete(f"{self.kept}/{path}")
        self._note(msgspec.structs.replace(journal, state="confirmed"))
        return len(old)

    def journal(self) -> Journal | None:
        """What this swap did so far; None when there is none of that name."""
        found = self._objects().read(f"{self.kept}/swap.json")
        return msgspec.json.decode(found, type=Journal) if found else None

    def _begun(self, *allowed: State) -> Journal:
        journal = self.journal()
        if journal is None:
            raise UserError(f"there is no swap {self.name} in {self.lake}/{REPLACED}.")
        if journal.state not in allowed:
            raise UserError(f"the swap {self.name} is {journal.state} already.")
        return journal

    def _keep(self, objects: Objects, moved: Moved) -> None:
        for path in moved.old:
            # Begun before: a file that was deleted by then is kept already.
            if objects.exists(f"{self.lake}/{path}"):
                objects.copy(f"{self.lake}/{path}", f"{self.kept}/{path}")

    def _look_again(self, journal: Journal) -> list[str]:
        problems: list[str] = []
        for partition in journal.partitions:
            compared = self.compare(journal.rebuilt, partition)
            if compared.live.doubled:
                problems.append(f"{partition}: {compared.live.doubled:,} rows are doubled now.")
            missing = compared.counts()["added_rows"]
            if missing:
                problems.append(f"{partition}: {missing:,} rebuilt rows are not there.")
        return problems

    def _new_name(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        return f"{folder}/{self.name}-{name}"

    def _note(self, journal: Journal) -> None:
        self._objects().write(f"{self.kept}/swap.json", msgspec.json.encode(journal))

    def _objects(self) -> Objects:
        return objects_of(self.lake, self.systems.environment)


def _files(partitions: Iterable[Moved]) -> tuple[list[Sized], list[Sized]]:
    """The old files and the rebuilt ones, of each partition."""
    moved = list(partitions)
    return [each.old for each in moved], [each.new for each in moved]
