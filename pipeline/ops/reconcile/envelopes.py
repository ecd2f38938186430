"""Records as topics and streams carry them for a sink, a page at a time and by column."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.kinesis import reader as kinesis_stream
from pipeline.config.model import Archive, DeadLetters, Replica
from pipeline.ops.readers import carried
from pipeline.ops.readers.carried import OWN_HEADER, Carried
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.source import REDRIVE_STEP
from pipeline.ops.systems import Systems

_PAGE: Final = 5_000
_ABOUT: Final = {
    **{name: name for name in ("topic", "partition", "offset", "stream", "shard")},
    **{name: name for name in ("sequence_number", "arrival_time", "step", "detail", "event_type")},
    "redrive_step": f"{OWN_HEADER}{REDRIVE_STEP}",
}
_RELATION: Final = """(SELECT *,
    epoch_ms(TRY_CAST(arrival_time AS TIMESTAMPTZ)) AS arrival_ms FROM incoming)"""


class Envelopes:
    """The topic or the stream of a sink; `pages` gives of a topic only what is new each time."""

    def __init__(
        self, systems: Systems, database: Database, settings: Archive | DeadLetters | Replica
    ) -> None:
        self._systems = systems
        self._database = database
        topic, cluster = settings.kafka_topic, settings.kafka_cluster
        self._topic = Topic(systems.config.cluster(cluster), topic) if topic else None
        self._stream = settings.kinesis_stream

    def pages(self, prefix: str = "") -> Iterator[tuple[str, Collection[str]]]:
        """Make messages or records readable: a relation and its columns, a page at a time.

        `prefix` stands before the names of our headers. Besides texts there are raw, arrival_ms,
        known_digest (of a record of which `raw` is only the head, as `is_head` says).
        """
        for page in self._carried(prefix):
            columns: dict[str, Any] = {
                column: pa.array([one.about.get(name) for one in page], pa.string())
                for column, name in _ABOUT.items()
            }
            columns["raw"] = pa.array([one.raw for one in page], pa.binary())
            columns["known_digest"] = pa.array(map(self._digest, page), pa.uint64())
            columns["is_head"] = pa.array([one.is_large for one in page])
            self._database.present("incoming", pa.table(columns))
            yield _RELATION, columns

    def _carried(self, prefix: str) -> Iterator[list[Carried]]:
        if self._topic:
            for messages in self._topic.pages():
                yield [carried.of_message(message, prefix) for message in messages]
        else:
            records = kinesis_stream.records(*self._systems.stream(self._stream))
            yield from _pages(carried.of_envelope(record) for record in records)

    def _digest(self, one: Carried) -> int | None:
        """The digest of a large record, at which its pointer leads; 0, if it leads astray."""
        if not one.is_large:
            return None
        whole = carried.whole(one, self._systems.store)
        return 0 if whole is None else self._database.count("SELECT hash(?::BLOB)", [whole])


class Topic:
    """A topic, read to its present end, and then from there on to what is its end by then."""

    def __init__(self, cluster: Kafka, topic: str) -> None:
        self._cluster = cluster
        self._topic = topic
        self._next: dict[int, int] = {}

    def pages(self) -> Iterator[list[Any]]:
        """The committed messages that were not read before."""
        ends = kafka_topic.ends(self._cluster, self._topic)
        spans = {p: (max(low, self._next.get(p, 0)), end) for p, (low, end) in ends.items()}
        for page in kafka_topic.pages(self._cluster, self._topic, spans):
            for message in page:
                partition, offset = message.partition(), message.offset()
                assert partition is not None and offset is not None  # A consumed message has both.
                self._next[partition] = offset + 1
            yield page


def _pages(items: Iterable[Carried]) -> Iterator[list[Carried]]:
    remaining = iter(items)
    while page := list(islice(remaining, _PAGE)):
        yield page
