"""Collects the ledger while records are sent: a line when sent, its position when acknowledged."""

from __future__ import annotations

import sys
from array import array
from typing import Final

import numpy as np
import pyarrow as pa

from connectors import checksums as content
from connectors import positions
from connectors.errors import UserError
from connectors.positions import Position
from dev.demo.ledger import Ledger
from dev.demo.made import Made

_NUMBERS: Final = {
    "trip_id": "q",
    "version_ms": "q",
    "pickup_location_id": "i",
    "pickup_ms": "q",
    "digest": "Q",
    "content": "Q",
}
_TEXTS: Final = ("expect", "event_type")
_REPEATED: Final = ("topic", "stream", "shard")


class Facts:
    """What is known of each record before it has a position."""

    def __init__(self) -> None:
        self._columns = {name: array(code) for name, code in _NUMBERS.items()}
        self._names: dict[str, dict[str, int]] = {name: {} for name in _TEXTS}
        self._codes = {name: array("i") for name in _TEXTS}
        self.acknowledged_records = 0

    def __len__(self) -> int:
        return len(self._columns["digest"])

    def sent(self, made: Made) -> int:
        """Notes a record that is on its way; the answer is the line to acknowledge."""
        columns = self._columns
        columns["trip_id"].append(made.trip_id)
        columns["version_ms"].append(made.version_ms)
        columns["pickup_location_id"].append(made.pickup_location_id)
        columns["pickup_ms"].append(made.pickup_ms)
        columns["digest"].append(content.digest(made.raw))
        columns["content"].append(made.content)
        self._code("expect", made.expect)
        self._code("event_type", made.event_type)
        return len(self) - 1

    def found(self, places: pa.Table, digests: content.Hashes) -> Ledger:
        """The ledger of records that were read back from a source; `places` is where they stand.

        What is known of a record depends on its bytes alone, so equal digests are any of theirs.
        Raises UserError unless exactly the noted records are there.
        """
        noted = np.array(self._columns["digest"], dtype=np.uint64)
        ours, theirs = np.argsort(noted, kind="stable"), np.argsort(digests, kind="stable")
        if not np.array_equal(noted[ours], digests[theirs]):
            lost = len(np.setdiff1d(noted, digests))
            raise UserError(
                f"{len(noted):,} records were sent and {len(digests):,} are in the source; of the"
                f" bytes sent {lost:,} are not there at all."
            )
        line = np.empty_like(theirs)
        line[ours] = theirs
        self.acknowledged_records = len(noted)
        return self._ledger(places.take(pa.array(line)), pa.array(np.ones(len(noted), np.bool_)))

    def _ledger(self, places: pa.Table, known: pa.Array) -> Ledger:
        """The ledger of the lines that are known; `places` has a row for every line."""
        columns = positions.columns_of(places)
        texts = {name: self._dictionary(name) for name in _TEXTS}
        arrays = {name: np.array(values) for name, values in self._columns.items()}
        encoded = {
            name: columns.column(name).dictionary_encode()
            if name in _REPEATED
            else columns.column(name)
            for name in columns.column_names
        }
        return Ledger(pa.table({**encoded, **texts, **arrays}).filter(known))

    def _code(self, name: str, text: str) -> None:
        names = self._names[name]
        self._codes[name].append(names.setdefault(text, len(names)))

    def _dictionary(self, name: str) -> pa.DictionaryArray:
        codes = pa.array(np.array(self._codes[name], dtype=np.int32))
        return pa.DictionaryArray.from_arrays(codes, pa.array(list(self._names[name]), pa.string()))


class Writer(Facts):
    """The ledger of a Kafka topic."""

    def __init__(self, topic: str) -> None:
        super().__init__()
        self._topic = topic
        self._partitions = array("i")
        self._offsets = array("q")

    def sent(self, made: Made) -> int:
        """Notes a record that is on its way; the answer is the line to acknowledge."""
        self._partitions.append(-1)
        self._offsets.append(-1)
        return super().sent(made)

    def acknowledged(self, line: int, position: Position) -> None:
        """Notes where the record of that line now lies for good."""
        assert position.partition is not None and position.offset is not None
        self._partitions[line] = position.partition
        self._offsets[line] = position.offset
        self.acknowledged_records += 1

    def ledger(self) -> Ledger:
        """The ledger of the acknowledged records."""
        offsets = np.array(self._offsets)
        columns = {
            "topic": pa.array([self._topic] * len(self), pa.string()),
            "partition": np.array(self._partitions),
            "offset": offsets,
        }
        return self._ledger(pa.table(columns), pa.array(offsets >= 0))


class StreamWriter(Facts):
    """The ledger of a Kinesis stream."""

    def __init__(self, stream: str) -> None:
        super().__init__()
        self._stream = stream
        self._shards: list[str | None] = []
        self._sequence_numbers: list[str | None] = []

    def sent(self, made: Made) -> int:
        """Notes a record that is on its way; the answer is the line to acknowledge."""
        self._shards.append(None)
        self._sequence_numbers.append(None)
        return super().sent(made)

    def acknowledged(self, line: int, position: Position) -> None:
        """Notes where the record of that line now lies for good."""
        assert position.shard is not None
        self._shards[line] = sys.intern(position.shard)
        self._sequence_numbers[line] = position.sequence_number
        self.acknowledged_records += 1

    def ledger(self) -> Ledger:
        """The ledger of the acknowledged records."""
        shards = pa.array(self._shards, pa.string())
        columns = {
            "stream": pa.array([self._stream] * len(self), pa.string()),
            "shard": shards,
            "sequence_number": pa.array(self._sequence_numbers, pa.string()),
        }
        return self._ledger(pa.table(columns), shards.is_valid())
