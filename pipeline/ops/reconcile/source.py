"""Reads the source itself: raw records as they are now in topics and streams."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
from confluent_kafka import Message
from numpy.typing import NDArray

from connectors.kafka import reader as kafka_topic
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.reader import Record
from connectors.kinesis.table import stream_of
from connectors.positions import OFFSET_BITS, PARTITION_BITS, Positions, packed
from pipeline.ops.reconcile.bounds import Bounds, Shard
from pipeline.ops.reconcile.places import Flags, Places, at_least
from pipeline.ops.systems import Systems

_PAGE: Final = 10_000
_CLOSE: Final = 50_000
_AGGREGATED: Final = b"\xf3\x89\x9a\xc2"
"""What a record of the Kinesis Producer Library with several in it begins with; an MD5 ends it."""
_MD5_BYTES: Final = 16

CONTROL: Final = 1
COPY: Final = 2
AGGREGATED: Final = 4
VALUED: Final = 8
HEAD: Final = 16
"""Of a record so large that the archive has only its first bytes: its values aren't compared."""

REDRIVE_STEP: Final = "redrive_step"
_NEW: Final = b"decode"
"""What decode refused is nowhere yet; what a later step refused is in the lake already, so that a
redriven copy of it must not be."""


@dataclass(frozen=True, slots=True)
class Records:
    """A page of raw records: positions, bytes, arrival (epoch milliseconds) and flags.

    Flags are COPY, of a redriven record that doesn't belong in the lake, AGGREGATED and HEAD.
    """

    numbers: Positions
    raws: list[bytes | None]
    arrival: NDArray[np.int64]
    flags: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.raws)

    def only(self, rows: Flags) -> Records:
        """Those rows."""
        if rows.all():
            return self
        raws = [self.raws[row] for row in np.flatnonzero(rows)]
        return Records(self.numbers[rows], raws, self.arrival[rows], self.flags[rows])


class Held:
    """From where on the source holds its records; what is older left it by retention."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._topics: dict[str, dict[int, int]] = {}
        self._shards: dict[Shard, int] = {}

    def topic(self, name: str, lows: dict[int, int]) -> None:
        """Notes the first offset of each partition."""
        self._topics[name] = lows

    def shard(self, shard: Shard, first: int) -> None:
        """Notes the first sequence number of a shard."""
        self._shards.setdefault(shard, first)

    def rows(self, numbers: Positions) -> Flags:
        """Which positions the source should still hold."""
        found = np.zeros(len(numbers), dtype=np.bool_)
        partition_of = numbers >> OFFSET_BITS
        for topic, lows in self._topics.items():
            for partition, low in lows.items():
                first = packed(self._places.code(topic), partition, low)
                found |= (partition_of == first >> OFFSET_BITS) & (numbers >= first)
        if self._shards and (numbers < 0).any():
            codes, pieces = self._places.sequences(numbers)
            for shard, sequence in self._shards.items():
                mine = codes == self._places.shard(*shard)
                found |= mine & at_least(pieces, sequence)
        return found


class Source:
    """Topics and streams of a configuration, read within bounds."""

    def __init__(self, systems: Systems, places: Places) -> None:
        self._systems = systems
        self._places = places
        self.held = Held(places)

    def read(self, bounds: Bounds) -> Iterator[Records]:
        """Every record within the bounds that the source still holds, and then `held` is known."""
        for topic in self._systems.config.source.kafka_topics:
            spans = bounds.spans(topic)
            for page in self._pages(topic, spans):
                yield of_messages(page, self._places.code(topic))
            # Asked afterwards: what retention took meanwhile isn't missed.
            self.held.topic(topic, {p: low for p, (low, _) in self._ends(topic).items()})
        for stream in self._systems.config.source.kinesis_streams:
            yield from self._of_stream(stream)

    def fetch(self, wanted: Positions) -> Iterator[Records]:
        """The records at these positions that the source still holds; reads what lies between."""
        kafka = np.sort(wanted[wanted >= 0])
        for topic in self._systems.config.source.kafka_topics:
            code = self._places.code(topic)
            mine = kafka[kafka >> (OFFSET_BITS + PARTITION_BITS) == code]
            partitions = mine >> OFFSET_BITS
            for number in np.unique(partitions):
                offsets = mine[partitions == number] & ((1 << OFFSET_BITS) - 1)
                for first, last in _runs(offsets):
                    span = {int(number) & ((1 << PARTITION_BITS) - 1): (first, last + 1)}
                    for page in self._pages(topic, span):
                        found = of_messages(page, code)
                        yield found.only(np.isin(found.numbers, mine))
        if (wanted < 0).any():
            for stream in self._systems.config.source.kinesis_streams:
                for found in self._of_stream(stream):
                    yield found.only(np.isin(found.numbers, wanted))

    @property
    def _cluster(self) -> Any:
        return self._systems.config.cluster(self._systems.config.source.kafka_cluster)

    def _ends(self, topic: str) -> dict[int, tuple[int, int]]:
        return kafka_topic.ends(self._cluster, topic)

    def _pages(self, topic: str, spans: dict[int, tuple[int, int]]) -> Iterator[list[Message]]:
        """What the topic has of the spans, as the job sees it."""
        there = self._ends(topic)
        clipped = {
            p: (max(first, there[p][0]), min(stop, there[p][1]))
            for p, (first, stop) in spans.items()
            if p in there
        }
        isolation = self._systems.config.source.kafka_isolation_level
        return kafka_topic.pages(self._cluster, topic, clipped, isolation=isolation)

    def _of_stream(self, name_or_arn: str) -> Iterator[Records]:
        client, stream = self._systems.stream(name_or_arn)
        remaining = iter(kinesis_stream.records(client, stream))
        while page := list(islice(remaining, _PAGE)):
            for record in page:
                self.held.shard((stream, record.shard), int(record.sequence_number))
            yield of_records(page, stream, self._places)


def stream_names(systems: Systems) -> list[str]:
    """The streams' names, where the configuration may have their ARNs."""
    config = systems.config
    return [stream_of(each, config.kinesis).name for each in config.source.kinesis_streams]


def of_messages(page: list[Message], code: int) -> Records:
    """Messages of the topic with that code."""
    partitions = np.array([message.partition() for message in page], dtype=np.int64)
    offsets = np.array([message.offset() for message in page], dtype=np.int64)
    arrival = np.array([message.timestamp()[1] for message in page], dtype=np.int64)
    raws: list[Any] = [message.value() for message in page]
    flags = np.zeros(len(page), np.uint8)
    for row, message in enumerate(page):
        headers: Any = message.headers()
        if headers:
            flags[row] = _copy(dict(headers).get(REDRIVE_STEP))
    numbers = ((code << PARTITION_BITS) | partitions) << OFFSET_BITS | offsets
    return Records(numbers, raws, arrival, flags)


def of_records(page: list[Record], stream: str, places: Places) -> Records:
    """Records of that stream."""
    table = pa.table(
        {
            "stream": pa.array([stream] * len(page)),
            "shard": pa.array([record.shard for record in page]),
            "sequence_number": pa.array([record.sequence_number for record in page]),
        }
    )
    aggregated = [is_aggregated(record.data) for record in page]
    flags = np.where(aggregated, AGGREGATED, 0).astype(np.uint8)
    arrival = np.array([record.arrival_ms for record in page], dtype=np.int64)
    return Records(places.numbers(table), [record.data for record in page], arrival, flags)


def is_aggregated(data: bytes) -> bool:
    """Whether a record holds several, which share its position and can't be told apart."""
    if not data.startswith(_AGGREGATED):
        return False
    body, checksum = data[len(_AGGREGATED) : -_MD5_BYTES], data[-_MD5_BYTES:]
    return hashlib.md5(body, usedforsecurity=False).digest() == checksum


def copies(steps: Iterable[bytes | None]) -> NDArray[np.uint8]:
    """The flag COPY where a record's own header `redrive_step` says so."""
    return np.array([_copy(step) for step in steps], dtype=np.uint8)


def _copy(step: bytes | None) -> int:
    return 0 if step is None or step == _NEW else COPY


def _runs(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and last of what lies close together: a new consumer costs as much as many records."""
    cuts = np.flatnonzero(np.diff(offsets) > _CLOSE) + 1
    parts = np.split(offsets, cuts)
    return [(int(part[0]), int(part[-1])) for part in parts if len(part)]
