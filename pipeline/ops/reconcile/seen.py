"""What there is: rows of the sinks as columns, a number or two for each row."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.checksums import Hashes
from connectors.positions import Positions
from pipeline.ops.reconcile.places import Flags, lines

DECODE: Final = 0
INDEX: Final = 1
REPLICATE: Final = 2
OTHER: Final = 3
STEPS: Final = ("decode", "index", "replicate")


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeRows:
    """The lake's rows by position, ascending.

    `types` is the event type's code, -1 for an unknown one. `contents` are checksums of the values,
    0 where they weren't read. `extras`, what unknown members add, and `ids` and `versions` are None
    where nobody asks for them.
    """

    positions: Positions
    types: NDArray[np.int8]
    misplaced: Flags
    contents: Hashes
    extras: Hashes | None = None
    ids: NDArray[np.int64] | None = None
    versions: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def lines(self, numbers: Positions) -> NDArray[np.int64]:
        """Where each position first stands; -1 where it has no row."""
        return lines(self.positions, numbers)

    def keys(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids and versions; the lake must have been read with them."""
        assert self.ids is not None and self.versions is not None, "read them for an index"
        return self.ids, self.versions

    def only(self, rows: NDArray[np.generic]) -> LakeRows:
        """Those rows, in that order."""
        found: dict[str, Any] = {}
        for one in fields(self):
            values = getattr(self, one.name)
            found[one.name] = None if values is None else values[rows]
        return LakeRows(**found)

    @staticmethod
    def of(parts: list[LakeRows]) -> LakeRows:
        """All parts together, by position. The list is emptied, to free each part's memory."""
        columns = {
            one.name: [getattr(part, one.name) for part in parts] for one in fields(LakeRows)
        }
        parts.clear()
        found = {name: joined(columns.pop(name)) for name in list(columns)}
        order = np.argsort(found["positions"], kind="stable")
        for name, values in found.items():
            found[name] = None if values is None else values[order]
        return LakeRows(**found)


def joined(parts: list[NDArray[Any] | None]) -> Any:
    """The parts as one array, None where none has any; the list is emptied."""
    there = [part for part in parts if part is not None]
    parts.clear()
    return np.concatenate(there) if there else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRows:
    """The archive's rows in no order; `hours` are those of their folders, None without folders."""

    positions: Positions
    digests: Hashes
    hours: NDArray[np.int32] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """The dead letters in no order. `replicas` says which replica refused the event, else -1."""

    positions: Positions
    digests: Hashes
    steps: NDArray[np.uint8]
    replicas: NDArray[np.int8]
    _decoded: Positions

    @staticmethod
    def of(
        positions: Positions, digests: Hashes, steps: NDArray[np.uint8], replicas: NDArray[np.int8]
    ) -> Letters:
        """Letters with the positions of step decode at hand."""
        return Letters(
            positions=positions,
            digests=digests,
            steps=steps,
            replicas=replicas,
            _decoded=np.unique(positions[steps == DECODE]),
        )

    def __len__(self) -> int:
        return len(self.positions)

    def decoded(self, numbers: Positions) -> Flags:
        """Which positions have a dead letter of step decode."""
        found: Flags = lines(self._decoded, numbers) >= 0
        return found

    def of_step(self, step: int, replica: int = -1) -> Positions:
        """The positions with a dead letter of that step, each once."""
        found: Positions = np.unique(
            self.positions[(self.steps == step) & (self.replicas == replica)]
        )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The documents of one event type, in no order; `ids` are those of `pipeline.ops.reconcile.ids`."""

    ids: NDArray[np.int64]
    versions: NDArray[np.int64]
    contents: Hashes

    def only(self, rows: Flags) -> Documents:
        """Those documents."""
        return Documents(
            ids=self.ids[rows], versions=self.versions[rows], contents=self.contents[rows]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRows:
    """A replica's events in no order: digests of the bytes, checksums of the values.

    `positions` is None where none are told, as in a stream.
    """

    positions: Positions | None
    digests: Hashes
    contents: Hashes

    def __len__(self) -> int:
        return len(self.digests)
