"""Read the source itself: the raw records that are now in topics and streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from connectors.kafka import reader as kafka_topic
from connectors.kafka.reader import Message
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.aggregation import is_aggregated
from connectors.kinesis.reader import Record
from connectors.kinesis.table import stream_of
from pipeline.decode import redriven
from pipeline.ops.reconcile.coverage import Bounds
from pipeline.ops.reconcile.database import paged
from pipeline.ops.reconcile.options import Interval, Part
from pipeline.ops.systems import Systems

_PAGE_MESSAGES: Final = 50_000
_PAGE_BYTES: Final = 32 * 1024 * 1024
_PAGE_RECORDS: Final = 10_000


class Source:
    """The topics and streams of a configuration.

    A page has the columns of a position, arrival_ms, raw, redrive (a `redriven.Verdict`, NULL
    without a mark), told (what the header of the type says) and aggregated.
    """

    def __init__(self, systems: Systems) -> None:
        self._systems = systems
        self._config = systems.config.source
        self.retained: list[tuple[Part, int]] = []

    @property
    def names(self) -> list[str]:
        """The names of topics and streams, where the configuration may have a stream's ARN."""
        kinesis = self._systems.config.kinesis
        streams = (stream_of(key, kinesis).name for key in self._config.kinesis_streams)
        return [*self._config.kafka_topics, *streams]

    def pages(self, bounds: Bounds) -> Iterator[pa.Table]:
        """Yield what the source still retains: of topics within the bounds, of streams everything.

        At the end, `retained` has the first position of each partition and shard.
        """
        for topic in self._config.kafka_topics:
            yield from self.of_topic(topic, bounds.spans(topic))
            # Only now, since what retention deleted meanwhile is not missing.
            ends = kafka_topic.ends(self._cluster, topic)
            self.retained += [((topic, partition, ""), low) for partition, (low, _) in ends.items()]
        yield from self.of_streams()

    def of_topic(self, topic: str, spans: Mapping[int, Interval]) -> Iterator[pa.Table]:
        """Return pages of what a topic still retains of these offsets, with the job's isolation."""
        ends = kafka_topic.ends(self._cluster, topic)
        clipped = {
            partition: (max(first, ends[partition][0]), min(last + 1, ends[partition][1]))
            for partition, (first, last) in spans.items()
            if partition in ends
        }
        isolation = self._config.kafka_isolation_level
        pages = kafka_topic.pages(self._cluster, topic, clipped, isolation=isolation)
        key = self._systems.config.redrive_key
        header = self._config.event_type_header
        return (_of_messages(page, topic, key, header) for page in _together(pages))

    def of_streams(self) -> Iterator[pa.Table]:
        """Yield pages of all that the streams still retain."""
        for name in self._config.kinesis_streams:
            client, stream = self._systems.stream(name)
            first: dict[str, str] = {}
            for page in paged(kinesis_stream.records(client, stream), _PAGE_RECORDS):
                for record in page:
                    first.setdefault(record.shard, record.sequence_number)
                yield _of_records(page, stream)
            self.retained += [((stream, -1, shard), int(number)) for shard, number in first.items()]

    @property
    def _cluster(self) -> Any:
        return self._systems.config.cluster(self._config.kafka_cluster)


def _of_messages(page: list[Message], topic: str, key: str, header: str) -> pa.Table:
    told = [kafka_topic.headers(each).get(header) if header else None for each in page]
    return pa.table(
        {
            "topic": pa.array([topic] * len(page), pa.string()),
            "partition": pa.array([message.partition() for message in page], pa.int32()),
            "offset": pa.array([message.offset() for message in page], pa.int64()),
            "arrival_ms": pa.array([message.timestamp()[1] for message in page], pa.int64()),
            "raw": pa.array([message.value() for message in page], pa.binary()),
            "redrive": pa.array([_redrive(message, key) for message in page], pa.string()),
            "told": pa.array(told, pa.string()),
            "aggregated": pa.array([False] * len(page)),
        }
    )


def _of_records(page: list[Record], stream: str) -> pa.Table:
    return pa.table(
        {
            "stream": pa.array([stream] * len(page), pa.string()),
            "shard": pa.array([record.shard for record in page], pa.string()),
            "sequence_number": pa.array([record.sequence_number for record in page], pa.string()),
            "arrival_ms": pa.array([record.arrival_ms for record in page], pa.int64()),
            "raw": pa.array([record.data for record in page], pa.binary()),
            "redrive": pa.nulls(len(page), pa.string()),
            "told": pa.nulls(len(page), pa.string()),
            "aggregated": pa.array([is_aggregated(record.data) for record in page]),
        }
    )


def _redrive(message: Message, key: str) -> str | None:
    if not message.headers():
        return None
    value: Any = message.value()
    return redriven.judge(key, map(kafka_topic.headers(message).get, redriven.HEADERS), value)


def _together(pages: Iterator[list[Message]]) -> Iterator[list[Message]]:
    """Yield larger pages, since DuckDB works on several batches at once."""
    page: list[Message] = []
    size = 0
    for part in pages:
        page += part
        size += sum(map(len, part))
        if len(page) >= _PAGE_MESSAGES or size >= _PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page
