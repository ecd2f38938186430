"""What there should be: every record of the source once, with what is known of it.

Where the source no longer holds a record, or with `--from-archive`, the archive says what was
there. About 37 bytes a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors import checksums as content
from connectors.checksums import Hashes
from connectors.positions import Positions
from pipeline.ops.readers.arrival_hours import hours_of
from pipeline.ops.reconcile.places import Flags, lines
from pipeline.ops.reconcile.seen import LakeRows, Letters, joined
from pipeline.ops.reconcile.source import CONTROL, HEAD, VALUED, Records
from pipeline.ops.reconcile.values import Values


class _Watermark(msgspec.Struct, forbid_unknown_fields=True, tag="watermark", tag_field="type"):
    watermark: datetime


def is_control(raw: bytes | None) -> bool:
    """Whether these bytes are a watermark, which no step stores."""
    try:
        found = msgspec.json.decode(raw or b"", type=_Watermark)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return found.watermark.tzinfo is not None


@dataclass(frozen=True, slots=True)
class Truth:
    """The records by position, ascending: digest of the bytes, hour of arrival, flags, and the
    checksum of the values where VALUED says so."""

    positions: Positions
    digests: Hashes
    hours: NDArray[np.int32]
    flags: NDArray[np.uint8]
    contents: Hashes

    def __len__(self) -> int:
        return len(self.positions)

    def lines(self, numbers: Positions) -> NDArray[np.int64]:
        """Where each position stands; -1 for no record."""
        return lines(self.positions, numbers)

    def has(self, flag: int) -> Flags:
        """Which records have that flag."""
        found: Flags = (self.flags & flag) != 0
        return found

    def put_values(self, numbers: Positions, contents: Hashes) -> None:
        """Notes the checksums of some records."""
        at = self.lines(numbers)
        known = at >= 0
        self.contents[at[known]] = contents[known]
        self.flags[at[known]] |= VALUED


class Gathering:
    """Makes the truth, a page at a time; lake and letters must be read before."""

    def __init__(self, lake: LakeRows | None, letters: Letters, values: Values | None) -> None:
        self._lake = lake
        self._letters = letters
        self._values = values
        self._columns: list[list[NDArray[Any] | None]] = [
            [np.zeros(0, kind)] for kind in (np.int64, np.uint64, np.int32, np.uint8, np.uint64)
        ]
        self.records = 0

    def add(self, page: Records, digests: Hashes | None = None) -> None:
        """Takes a page of records within the bounds; `digests` where they are known already."""
        if not len(page):
            return
        if digests is None:
            digests = content.digests(page.raws)
        in_lake = self._lake.lines(page.numbers) if self._lake else np.full(len(page), -1)
        flags = page.flags.copy()
        lost = (in_lake < 0) & ~self._letters.decoded(page.numbers)
        for row in np.flatnonzero(lost).tolist():
            if is_control(page.raws[row]):
                flags[row] |= CONTROL
        contents = np.zeros(len(page), np.uint64)
        if self._values and self._lake:
            known = (in_lake >= 0) & ((flags & HEAD) == 0)
            contents[known] = values_of(
                self._values, self._lake.types[in_lake[known]], page.only(known).raws
            )
            flags[known] |= VALUED
        found: tuple[NDArray[Any], ...] = (
            page.numbers,
            digests,
            hours_of(page.arrival),
            flags,
            contents,
        )
        for parts, values in zip(self._columns, found, strict=True):
            parts.append(values)
        self.records += len(page)

    def done(self) -> Truth:
        """All that was added; of a position that was added twice the first."""
        numbers, *others = self._columns
        positions = joined(numbers)
        order = np.argsort(positions, kind="stable")
        positions = positions[order]
        first = np.append(True, np.diff(positions) != 0)[: len(positions)]
        if not first.all():
            positions, order = positions[first], order[first]
        return Truth(positions, *(joined(parts)[order] for parts in others))


def values_of(values: Values, types: NDArray[np.int8], raws: list[bytes | None]) -> Hashes:
    """The checksum of each record as an event of its type; 0 where the type is unknown."""
    found = np.zeros(len(raws), np.uint64)
    for code in np.unique(types[types >= 0]).tolist():
        rows = np.flatnonzero(types == code)
        found[rows] = values.of_raws(code, [raws[row] for row in rows])
    return found
