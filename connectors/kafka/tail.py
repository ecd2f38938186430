"""Follows Kafka topics from their end: what arrives, as it arrives.

It joins no consumer group and commits nothing, so a job that reads the same topics never notices.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from confluent_kafka import OFFSET_END, KafkaError, KafkaException, TopicPartition

from connectors.errors import UserError
from connectors.kafka import admin
from connectors.kafka.errors import reported
from connectors.kafka.options import Kafka
from connectors.kafka.reader import Message, Span, all_spans, arrived, connect

_TIMEOUT_SECONDS: Final = 10.0
_REFRESH_SECONDS: Final = 30.0
_PAGE: Final = 500
_OPTIONS: Final[dict[str, Any]] = {
    "enable.partition.eof": False,
    "fetch.message.max.bytes": 1024 * 1024,
    # The brokers answer as soon as there is a message; until then, ask them rarely.
    "fetch.wait.max.ms": 500,
    "queued.min.messages": 1_000,
    "queued.max.messages.kbytes": 8_192,
}


class Tail:
    """Follows all partitions of some topics; those that are added later are read whole.

    What arrives after the constructor returned is never left out. Methods raise UserError if a
    topic is absent or Kafka fails.
    """

    def __init__(
        self,
        cluster: Kafka,
        topics: Sequence[str],
        *,
        isolation: str = "read_committed",
        since_ms: int | None = None,
        refresh_seconds: float = _REFRESH_SECONDS,
    ) -> None:
        """Begin at the present end, or at the first message of `since_ms` (epoch milliseconds)."""
        self._topics = topics
        self._action = f"follow {' and '.join(f'the topic {topic}' for topic in topics)}"
        self._refresh_seconds = refresh_seconds
        self._problems: list[KafkaError] = []
        _refuse_absent(cluster, topics)
        options = {"isolation.level": isolation, "error_cb": self._problems.append}
        with reported(self._action):
            self._consumer = connect(cluster, {**_OPTIONS, **options})
            self.spans = {topic: all_spans(self._consumer, topic) for topic in topics}
            starts = self._ends() if since_ms is None else self._starts(since_ms)
            self._consumer.assign(starts)
        self._refreshed = time.monotonic()

    def poll(self) -> list[Message]:
        """Return what has arrived, up to 500 messages; wait 0.2 s if there is nothing."""
        with reported(self._action):
            received = arrived(self._consumer, _PAGE)
            for error in (message.error() for message in received):
                if error is not None:
                    raise KafkaException(error)
            self._look_after_brokers()
            if time.monotonic() - self._refreshed > self._refresh_seconds:
                self._add_partitions()
        return received

    def last(self, topic: str, count: int, since_ms: int) -> dict[int, Span]:
        """Return the offsets before the end at the start: of each partition the last `count`.

        They begin at the first message of `since_ms` at the earliest; where that came after the
        start, there are none. `reader.pages` reads them.
        """
        with reported(self._action):
            starts = {start.partition: start.offset for start in self._starts(since_ms)}
        return {
            partition: (min(end, max(low, end - count if count else low, starts[partition])), end)
            for partition, (low, end) in self.spans[topic].items()
        }

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def _ends(self) -> list[TopicPartition]:
        return [
            TopicPartition(topic, partition, end)
            for topic, spans in self.spans.items()
            for partition, (_, end) in spans.items()
        ]

    def _starts(self, since_ms: int) -> list[TopicPartition]:
        """Return the first offset from that time on, the end at the start where there is none."""
        ends = {(end.topic, end.partition): end.offset for end in self._ends()}
        wanted = [TopicPartition(topic, partition, since_ms) for topic, partition in ends]
        found = self._consumer.offsets_for_times(wanted, timeout=_TIMEOUT_SECONDS)
        for start in found:
            if start.error is not None:
                raise KafkaException(start.error)
            if start.offset == OFFSET_END:
                start.offset = ends[start.topic, start.partition]
        return list(found)

    def _look_after_brokers(self) -> None:
        """Raise if no broker answers: librdkafka itself would try again without end, in silence."""
        down = any(problem.code() == KafkaError._ALL_BROKERS_DOWN for problem in self._problems)
        self._problems.clear()
        if down:
            self._consumer.list_topics(self._topics[0], timeout=_TIMEOUT_SECONDS)

    def _add_partitions(self) -> None:
        for topic in self._topics:
            spans = all_spans(self._consumer, topic)
            added = {
                number: span for number, span in spans.items() if number not in self.spans[topic]
            }
            self.spans[topic] |= added
            starts = [TopicPartition(topic, number, low) for number, (low, _) in added.items()]
            if starts:
                self._consumer.incremental_assign(starts)
        self._refreshed = time.monotonic()


def _refuse_absent(cluster: Kafka, topics: Iterable[str]) -> None:
    known = admin.connect(cluster).topics
    absent = [topic for topic in topics if topic not in known]
    if absent:
        raise UserError(
            f"there is no topic {' and no topic '.join(absent)} at {cluster.bootstrap_servers};"
            " check the names in the configuration, or let `streaming-etl prepare` create them."
        )
