"""The ledger: what was made, for every position that Kafka acknowledged.

About 60 bytes a record in memory, less in its file; the verifier compares every sink with it.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.demo import content
from pipeline.demo.made import CONTROL, EVENT, Made

Positions = NDArray[np.int64]

_OFFSET_BITS: Final = 38
_PARTITION_BITS: Final = 16
_NUMBERS: Final = {
    "partition": "i",
    "offset": "q",
    "trip_id": "q",
    "version_ms": "q",
    "pickup_location_id": "i",
    "pickup_ms": "q",
    "digest": "Q",
    "content": "Q",
}
_TEXTS: Final = ("topic", "expect", "event_type")


class Writer:
    """Collects the ledger: `sent` gives a record its line, `acknowledged` its position."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._columns = {name: array(code) for name, code in _NUMBERS.items()}
        self._names: dict[str, dict[str, int]] = {"expect": {}, "event_type": {}}
        self._codes = {name: array("h") for name in self._names}
        self.acknowledged_records = 0

    def __len__(self) -> int:
        return len(self._columns["offset"])

    def sent(self, made: Made) -> int:
        """Notes a record that is on its way; the answer is the line to acknowledge."""
        columns = self._columns
        columns["partition"].append(-1)
        columns["offset"].append(-1)
        columns["trip_id"].append(made.trip_id)
        columns["version_ms"].append(made.version_ms)
        columns["pickup_location_id"].append(made.pickup_location_id)
        columns["pickup_ms"].append(made.pickup_ms)
        columns["digest"].append(content.digest(made.raw))
        columns["content"].append(made.content)
        self._code("expect", made.expect)
        self._code("event_type", made.event_type)
        return len(columns["offset"]) - 1

    def acknowledged(self, line: int, partition: int, offset: int) -> None:
        """Notes where the record of that line now lies for good."""
        self._columns["partition"][line] = partition
        self._columns["offset"][line] = offset
        self.acknowledged_records += 1

    def ledger(self) -> Ledger:
        """The ledger of the acknowledged records."""
        arrays = {name: np.array(values) for name, values in self._columns.items()}
        table = pa.table(
            {
                "topic": pa.array([self._topic] * len(self)).dictionary_encode(),
                **{name: self._dictionary(name) for name in self._names},
                **arrays,
            }
        )
        return Ledger(table.filter(pa.array(arrays["offset"] >= 0)))

    def _code(self, name: str, text: str) -> None:
        names = self._names[name]
        self._codes[name].append(names.setdefault(text, len(names)))

    def _dictionary(self, name: str) -> pa.DictionaryArray:
        codes = pa.array(np.array(self._codes[name], dtype=np.int16))
        return pa.DictionaryArray.from_arrays(codes, pa.array(list(self._names[name]), pa.string()))


@dataclass(frozen=True)
class Ledger:
    """The ledger's table, a line a record in the order of sending, and its columns."""

    table: pa.Table

    @staticmethod
    def load(path: Path) -> Ledger:
        """Reads what `save` wrote."""
        return Ledger(pq.read_table(path, read_dictionary=list(_TEXTS)))

    @staticmethod
    def of(parts: list[Ledger]) -> Ledger:
        """One ledger of several, say of two topics."""
        return Ledger(pa.concat_tables([part.table for part in parts]).unify_dictionaries())

    def save(self, path: Path) -> None:
        """Writes the ledger as Parquet."""
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.table, path, compression="zstd")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def numbers(self, name: str) -> NDArray[Any]:
        """A numeric column."""
        return np.asarray(self.table.column(name))

    @cached_property
    def topics(self) -> list[str]:
        """The topics, ascending; a topic's place in the list is its code in a position."""
        return sorted(pc.unique(self.table.column("topic").cast(pa.string())).to_pylist())

    @cached_property
    def positions(self) -> Positions:
        """Each line's position as one number; see `position_numbers`."""
        return self.position_numbers(
            self.table.column("topic"), self.numbers("partition"), self.numbers("offset")
        )

    def lines(self, positions: Positions) -> Positions:
        """The line of each position; -1 for one that was never acknowledged."""
        order, ascending = self._ascending
        if not len(order):
            return np.full(len(positions), -1)
        found = np.minimum(np.searchsorted(ascending, positions), len(order) - 1)
        return np.where(ascending[found] == positions, order[found], -1)

    def position_numbers(
        self, topic: pa.ChunkedArray, partition: NDArray[Any], offset: NDArray[Any]
    ) -> Positions:
        """Topic, partition and offset as one number each; -1 for an unknown topic."""
        codes = pc.index_in(topic.cast(pa.string()), pa.array(self.topics, pa.string()))
        code = np.asarray(pc.fill_null(codes, -1)).astype(np.int64)
        number = (code << _PARTITION_BITS) | np.asarray(partition).astype(np.int64)
        return np.where(code < 0, -1, (number << _OFFSET_BITS) | np.asarray(offset))

    def describe(self, position: int) -> str:
        """A position for people: topic/partition@offset."""
        if position < 0:
            return "a position of no known topic"
        offset = position & ((1 << _OFFSET_BITS) - 1)
        partition = position >> _OFFSET_BITS & ((1 << _PARTITION_BITS) - 1)
        topic = self.topics[position >> (_OFFSET_BITS + _PARTITION_BITS)]
        return f"{topic}/{partition}@{offset}"

    def expects(self, what: str) -> NDArray[np.bool_]:
        """Which lines have that in `expect`."""
        return np.asarray(pc.equal(self.table.column("expect").cast(pa.string()), what))

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Which lines are events that must reach the lake."""
        return self.expects(EVENT)

    @cached_property
    def control(self) -> NDArray[np.bool_]:
        """Which lines are control events."""
        return self.expects(CONTROL)

    @cached_property
    def _ascending(self) -> tuple[Positions, Positions]:
        order = np.argsort(self.positions, kind="stable")
        return order, self.positions[order]

    def codes(self, name: str, values: list[str]) -> NDArray[np.int64]:
        """A text column as places in `values`; -1 for others."""
        codes = pc.index_in(
            self.table.column(name).cast(pa.string()), pa.array(values, pa.string())
        )
        return np.asarray(pc.fill_null(codes, -1)).astype(np.int64)

    def counts(self, name: str) -> dict[str, int]:
        """How often each text of that column occurs, by name."""
        counted = pc.value_counts(self.table.column(name).cast(pa.string())).to_pylist()
        return {c["values"]: c["counts"] for c in sorted(counted, key=lambda c: str(c["values"]))}
