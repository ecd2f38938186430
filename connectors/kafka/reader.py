"""Reads a Kafka topic up to its present end, and how far a consumer group has read it.

Nothing is committed to a group. Functions raise UserError if the topic cannot be read.

Flink commits a partition's offset to the group when the checkpoint that covers it completes. So
every record before a committed offset has been read, and its effects are part of a checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from connectors.errors import UserError
from connectors.kafka.errors import kafka_error, reported
from connectors.kafka.headers import last_values
from connectors.kafka.options import Kafka
from connectors.kafka.security import librdkafka_options

Message: TypeAlias = KafkaMessage
"""A message of librdkafka, for the type annotations of others."""

Span: TypeAlias = tuple[int, int]
"""The first offset, and the one after the last."""

_TIMEOUT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.2
_PAGE: Final = 10_000
_PAUSE_SECONDS: Final = 0.5
# The brokers are still electing the group's coordinator.
_NO_COORDINATOR_YET: Final = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)

_OPTIONS: Final[dict[str, Any]] = {
    "group.id": "streaming-etl-reader",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "fetch.message.max.bytes": 4 * 1024 * 1024,
    # A fetch at a partition's end waits this long for messages before it reports the end.
    "fetch.wait.max.ms": 20,
    "queued.min.messages": 50_000,
    "queued.max.messages.kbytes": 65_536,
}


class SourceProgress:
    """How much of a topic is covered by completed checkpoints. UserError if Kafka fails."""

    def __init__(self, cluster: Kafka, *, topic: str, group_id: str) -> None:
        self._group = connect(cluster, {"group.id": group_id, "queued.min.messages": 1})
        self._topic = topic
        self._action = f"read the progress of the group {group_id} in the topic {topic}"

    def drained(self) -> bool:
        """Return whether every record of the topic is covered by a completed checkpoint."""
        with reported(self._action):
            spans = all_spans(self._group, self._topic)
            try:
                offsets = _committed(self._group, self._topic, spans)
            except KafkaException as error:
                if not _has_no_coordinator_yet(error):
                    raise
                offsets = dict.fromkeys(spans, 0)
            behind = [
                partition for partition, (_, end) in spans.items() if offsets[partition] < end
            ]
            return not any(self._has_more(partition, offsets[partition]) for partition in behind)

    def _has_more(self, partition: int, offset: int) -> bool:
        """Return whether a record follows: the end of a transaction takes an offset, too."""
        self._group.assign([TopicPartition(self._topic, partition, offset)])
        try:
            message = self._group.poll(_TIMEOUT_SECONDS)
            return message is None or message.error() is None
        finally:
            self._group.unassign()


def committed_offsets(
    cluster: Kafka, *, topic: str, group_id: str, partitions: Iterable[int]
) -> dict[int, int]:
    """Return the offsets that a group has committed; 0 for a partition without.

    Waits up to 30 s while the brokers elect the group's coordinator.
    """
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    numbers = list(partitions)
    action = f"read the offsets of the group {group_id} in the topic {topic}"
    with _consumer(cluster, action, {"group.id": group_id}) as group:
        while True:
            try:
                return _committed(group, topic, numbers)
            except KafkaException as error:
                if not _has_no_coordinator_yet(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(_PAUSE_SECONDS)


def messages(cluster: Kafka, topic: str) -> Iterator[Message]:
    """Yield the committed messages of a topic, from its beginning to its present end.

    Messages behind the start of a transaction that is still open are not visible.
    """
    for page in pages(cluster, topic):
        yield from page


def pages(
    cluster: Kafka,
    topic: str,
    spans: Mapping[int, Span] | None = None,
    *,
    isolation: str = "read_committed",
) -> Iterator[list[Message]]:
    """Yield messages, up to 10,000 at a time, of one partition in the order of their offsets.

    `spans` are the offsets to read, by partition; None means all of the topic.
    """
    options = {"isolation.level": isolation}
    with _consumer(cluster, f"read the topic {topic}", options) as consumer:
        wanted = spans if spans is not None else all_spans(consumer, topic)
        yield from _read(
            consumer, topic, {p: span for p, span in wanted.items() if span[0] < span[1]}
        )


def ends(cluster: Kafka, topic: str) -> dict[int, Span]:
    """Return each partition's first available offset and the one after its last."""
    with _consumer(cluster, f"read the topic {topic}", {}) as consumer:
        return all_spans(consumer, topic)


def headers(message: Message) -> dict[str, str]:
    """Return the last value of each of a message's headers as a string, without nulls."""
    pairs: Any = message.headers() or ()
    return last_values(pairs)


@contextmanager
def _consumer(cluster: Kafka, action: str, options: dict[str, Any]) -> Iterator[Consumer]:
    with reported(action):
        consumer = connect(cluster, options)
        try:
            yield consumer
        finally:
            consumer.close()


def connect(cluster: Kafka, options: dict[str, Any]) -> Consumer:
    """Return a consumer that never subscribes.

    For a group's offsets, too, not the admin client: librdkafka 2.16 crashes in the latter's
    rd_kafka_cgrp_op while the group's coordinator is still loading.
    """
    return Consumer({**librdkafka_options(cluster), **_OPTIONS, **options})


def _committed(group: Consumer, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    requested = [TopicPartition(topic, number) for number in partitions]
    offsets = group.committed(requested, timeout=_TIMEOUT_SECONDS)
    failed = next((offset.error for offset in offsets if offset.error), None)
    if failed:
        raise KafkaException(failed)
    return {offset.partition: max(0, offset.offset) for offset in offsets}


def _has_no_coordinator_yet(error: KafkaException) -> bool:
    return kafka_error(error).code() in _NO_COORDINATOR_YET


def all_spans(consumer: Consumer, topic: str) -> dict[int, Span]:
    """Return `ends` by a consumer that there is; KafkaException if Kafka fails."""
    described = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
    if described.error is not None:
        raise KafkaException(described.error)
    return {
        number: consumer.get_watermark_offsets(
            TopicPartition(topic, number), timeout=_TIMEOUT_SECONDS
        )
        for number in sorted(described.partitions)
    }


def _read(consumer: Consumer, topic: str, spans: Mapping[int, Span]) -> Iterator[list[Message]]:
    consumer.assign([TopicPartition(topic, p, start) for p, (start, _) in spans.items()])
    stops = {partition: stop for partition, (_, stop) in spans.items()}
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while stops:
        received = arrived(consumer, _PAGE)
        if received:
            deadline = time.monotonic() + _TIMEOUT_SECONDS
        valid = [message for message in received if message.error() is None]
        done = set() if len(valid) == len(received) else _ended(received)
        last: dict[Any, Any] = {message.partition(): message.offset() for message in valid}
        done |= {p for p, offset in last.items() if offset >= stops.get(p, 0) - 1}
        page = valid if not done else [message for message in valid if _is_before(message, stops)]
        if page:
            yield page
            deadline = time.monotonic() + _TIMEOUT_SECONDS  # The caller may have taken long.
        for partition in done & stops.keys():
            del stops[partition]
            consumer.incremental_unassign([TopicPartition(topic, partition)])
        if time.monotonic() > deadline:
            raise UserError(
                f"cannot read the topic {topic}: no message came in {_TIMEOUT_SECONDS:.0f} s"
            )


def arrived(consumer: Consumer, most: int) -> list[Message]:
    """Wait 0.2 s for a message; return it and what has arrived with it, `most` at the most.

    `consume` waits its whole timeout for as many messages as it may return, so a timeout for a page
    would be spent at each topic's end.
    """
    first = consumer.consume(1, timeout=_POLL_SECONDS)
    return first + consumer.consume(most - 1, timeout=0) if first else first


def _ended(received: list[Message]) -> set[int]:
    """Return the partitions whose end was reached; KafkaException for any other error."""
    ended: set[int] = set()
    for message in received:
        error, partition = message.error(), message.partition()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        if error is not None and partition is not None:
            ended.add(partition)
    return ended


def _is_before(message: Message, stops: Mapping[int, int]) -> bool:
    partition, offset = message.partition(), message.offset()
    assert partition is not None and offset is not None  # A consumed message has both.
    return offset < stops.get(partition, 0)
