"""The ledger: what was made, for every position that Kafka or Kinesis acknowledged.

About 60 bytes a record in memory (more for Kinesis, whose sequence numbers are long), less in its
file; the verifier compares every sink with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from connectors import positions
from connectors.positions import Positions
from dev.demo.made import CONTROL, EVENT

_TEXTS: Final = ("topic", "stream", "shard", "expect", "event_type")


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
        """One ledger of several, say of a topic and a stream."""
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
        topics = pc.unique(self.table.column("topic").cast(pa.string())).to_pylist()
        return sorted(topic for topic in topics if topic is not None)

    @cached_property
    def positions(self) -> Positions:
        """Each line's position as one number; see `position_numbers`."""
        return self.position_numbers(self.table)

    def lines(self, positions: Positions) -> Positions:
        """The line of each position; -1 for one that was never acknowledged."""
        order, ascending = self._ascending
        if not len(order):
            return np.full(len(positions), -1)
        found = np.minimum(np.searchsorted(ascending, positions), len(order) - 1)
        return np.where(ascending[found] == positions, order[found], -1)

    def position_numbers(self, table: pa.Table, prefix: str = "") -> Positions:
        """Each row's position as one number; -1 for an unknown topic.

        The table has the columns of `connectors.positions`, each after `prefix`; those of a
        back end that it knows nothing of may be missing.
        """
        return positions.numbers(table, self.topics, prefix)

    def describe(self, position: int) -> str:
        """A position for people: topic/partition@offset or stream/shard@sequence number."""
        if position == positions.UNKNOWN:
            return "a position of no known topic"
        if position < 0:
            return self._on_kinesis(position)
        code, partition, offset = positions.unpacked(position)
        return f"{self.topics[code]}/{partition}@{offset}"

    def _on_kinesis(self, position: int) -> str:
        line = int(self.lines(np.array([position]))[0])
        if line < 0:
            return "a position of no record sent to Kinesis"
        names = ("stream", "shard", "sequence_number")
        stream, shard, sequence = (self.table.column(name)[line].as_py() for name in names)
        return f"{stream}/{shard}@{sequence}"

    @cached_property
    def arrival(self) -> NDArray[np.int64]:
        """Numbers that ascend with the arrival inside each partition and each shard."""
        sequence = pc.utf8_lpad(self.table.column("sequence_number"), 64, padding="0")
        rank = np.empty(len(self), dtype=np.int64)
        rank[np.asarray(pc.sort_indices(sequence))] = np.arange(len(self))
        return np.where(self.positions < 0, rank, self.positions)

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
