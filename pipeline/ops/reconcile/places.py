"""Positions as numbers, and the numbers as texts again.

The numbers are those of `connectors.positions`. A Kinesis position's number is a hash, so
its shard and sequence number are kept beside it, in 36 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from connectors import positions
from connectors.positions import UNKNOWN, Positions

_DIGITS: Final = 19
"""Decimal digits that fit 64 bits; a sequence number has at most three times as many."""
_PIECES: Final = 3
_MERGE_ROWS: Final = 500_000
_PART_ROWS: Final = 1_000_000

Pieces = NDArray[np.uint64]
Flags = NDArray[np.bool_]


def slices(rows: int) -> Iterator[slice]:
    """So many rows in parts that keep what is computed of them small."""
    return (slice(start, start + _PART_ROWS) for start in range(0, rows, _PART_ROWS))


def lines(ascending: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.int64]:
    """Where each wanted number first stands among the ascending ones; -1 where it doesn't."""
    found = np.full(len(wanted), -1)
    if len(ascending):
        for part in slices(len(wanted)):
            place = np.minimum(np.searchsorted(ascending, wanted[part]), len(ascending) - 1)
            found[part] = np.where(ascending[place] == wanted[part], place, -1)
    return found


def pieces_of(sequence: int) -> tuple[int, ...]:
    """A sequence number as three numbers of 19 digits, which compare as it does."""
    base = 10**_DIGITS
    return sequence // base**2, sequence // base % base, sequence % base


def at_least(pieces: Pieces, limit: int) -> Flags:
    """Which sequence numbers are the limit or above."""
    first, second, third = (np.uint64(piece) for piece in pieces_of(limit))
    a, b, c = pieces.T
    found: Flags = (a > first) | ((a == first) & ((b > second) | ((b == second) & (c >= third))))
    return found


class Places:
    """The topics and shards met so far: each gets a code when it is first met."""

    def __init__(self, topics: Iterable[str] = ()) -> None:
        self.topics = list(topics)
        self.shards: list[tuple[str, str]] = []
        self._sequences = _Sequences()

    def numbers(self, table: pa.Table, prefix: str = "") -> Positions:
        """Each row's position as one number; -1 where the row says none."""
        names = table.column_names
        if prefix + "topic" in names:
            self._learn(table.column(prefix + "topic"))
        if prefix + "stream" not in names or table.column(prefix + "stream").null_count == len(
            table
        ):
            return positions.kafka_numbers(table, self.topics, prefix)
        numbers = positions.numbers(table, self.topics, prefix)
        self._remember(numbers, positions.columns_of(table, prefix))
        return numbers

    def code(self, topic: str) -> int:
        """The topic's code."""
        if topic not in self.topics:
            self.topics.append(topic)
        return self.topics.index(topic)

    def shard(self, stream: str, shard: str) -> int:
        """The shard's code."""
        if (stream, shard) not in self.shards:
            self.shards.append((stream, shard))
        return self.shards.index((stream, shard))

    def sequences(self, numbers: Positions) -> tuple[NDArray[np.int64], Pieces]:
        """The shard's code, -1 for an unknown one, and the sequence number of Kinesis positions."""
        return self._sequences.find(numbers)

    def describe(self, number: int) -> str:
        """topic/partition@offset or stream/shard@sequence number."""
        if number >= 0:
            code, partition, offset = positions.unpacked(number)
            return f"{self.topics[code]}/{partition}@{offset}"
        place, sequence = self._on_kinesis(number)
        return f"{place}@{sequence}" if place else "a row without a known position"

    def ranges(self, numbers: Positions) -> list[str]:
        """These positions in their order; what follows without a gap as one: trips/0@5..9."""
        known = np.unique(numbers)
        kafka, other = known[known >= 0], known[known < 0]
        cuts = np.flatnonzero(np.diff(kafka) != 1) + 1
        runs = zip(np.append(0, cuts), np.append(cuts, len(kafka)), strict=True)
        found = [self._run(kafka[start:stop]) for start, stop in runs if stop > start]
        named = sorted((*self._on_kinesis(int(number)), int(number)) for number in other)
        return found + [self.describe(number) for _, _, number in named]

    def _run(self, run: Positions) -> str:
        first = self.describe(int(run[0]))
        return first if len(run) == 1 else f"{first}..{positions.unpacked(int(run[-1]))[2]}"

    def _on_kinesis(self, number: int) -> tuple[str, int]:
        codes, found = self.sequences(np.array([number]))
        if number == UNKNOWN or codes[0] < 0:
            return "", 0
        value = 0
        for piece in found[0].tolist():
            value = value * 10**_DIGITS + piece
        return "/".join(self.shards[codes[0]]), value

    def _learn(self, topics: pa.ChunkedArray) -> None:
        for topic in pc.unique(topics).to_pylist():
            if topic is not None and topic not in self.topics:
                self.topics.append(topic)

    def _remember(self, numbers: Positions, table: pa.Table) -> None:
        new = self._sequences.unknown(numbers)
        rows = table.filter(pa.array(new))
        sequence = rows.column("sequence_number")
        decimal = pc.match_substring_regex(sequence, f"^[0-9]{{1,{_DIGITS * _PIECES}}}$")
        sane = np.asarray(pc.fill_null(decimal, False))
        rows, kept = rows.filter(pa.array(sane)), numbers[new][sane]
        both = zip(rows.column("stream").to_pylist(), rows.column("shard").to_pylist(), strict=True)
        codes = np.fromiter((self.shard(*one) for one in both), dtype=np.int64, count=len(kept))
        self._sequences.add(kept, codes, _pieces(rows.column("sequence_number")))


def _pieces(sequence: pa.ChunkedArray) -> Pieces:
    padded = pc.utf8_lpad(sequence, _DIGITS * _PIECES, padding="0")
    found = np.empty((len(sequence), _PIECES), dtype=np.uint64)
    for piece in range(_PIECES):
        texts = pc.utf8_slice_codeunits(padded, piece * _DIGITS, (piece + 1) * _DIGITS)
        found[:, piece] = np.asarray(texts.cast(pa.uint64()))
    return found


class _Sequences:
    """Shard and sequence number by a position's number; what is new is merged now and then."""

    def __init__(self) -> None:
        self._numbers = np.zeros(0, np.int64)
        self._codes = np.zeros(0, np.int64)
        self._pieces = np.zeros((0, _PIECES), np.uint64)
        self._new: list[tuple[Positions, NDArray[np.int64], Pieces]] = []
        self._new_rows = 0

    def unknown(self, numbers: Positions) -> Flags:
        """Which of these Kinesis positions aren't there, as far as merged."""
        found: Flags = (numbers < UNKNOWN) & (lines(self._numbers, numbers) < 0)
        return found

    def add(self, numbers: Positions, codes: NDArray[np.int64], pieces: Pieces) -> None:
        """Keeps these."""
        self._new.append((numbers, codes, pieces))
        self._new_rows += len(numbers)
        if self._new_rows >= _MERGE_ROWS:
            self._merge()

    def find(self, numbers: Positions) -> tuple[NDArray[np.int64], Pieces]:
        """Shard code, -1 for none, and pieces of each."""
        self._merge()
        line = lines(self._numbers, numbers)
        if not len(self._numbers):
            return line, np.zeros((len(line), _PIECES), np.uint64)
        return np.where(line < 0, -1, self._codes[line]), self._pieces[line]

    def _merge(self) -> None:
        if not self._new:
            return
        parts = [(self._numbers, self._codes, self._pieces), *self._new]
        numbers, codes, pieces = (np.concatenate(column) for column in zip(*parts, strict=True))
        self._numbers, first = np.unique(numbers, return_index=True)
        self._codes, self._pieces = codes[first], pieces[first]
        self._new, self._new_rows = [], 0
