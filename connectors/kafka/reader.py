"""Read a Kafka topic from end to end: what is committed, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from connectors.errors import UserError
from connectors.kafka.options import Kafka
from connectors.kafka.security import librdkafka_options

__all__ = [
    "Message",
    "committed",
    "committed_offsets",
    "ends",
    "has_no_coordinator_yet",
    "headers",
    "messages",
]

_TIMEOUT_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.5
_WAIT_SECONDS: Final = 0.2
"""Short, for `consume` waits this long unless it gets as many messages as it may."""
_FETCH: Final = 1_000
_PAGE: Final = 10_000


def messages(cluster: Kafka, topic: str) -> Iterator[Message]:
    """The committed messages, from the beginning to the present end.

    A transaction that is still open hides what follows it.
    """
    consumer = Consumer({**librdkafka_options(cluster), **_OPTIONS})
    try:
        yield from _committed(consumer, topic)
    finally:
        consumer.close()


def pages(
    cluster: Kafka,
    topic: str,
    spans: Mapping[int, tuple[int, int]] | None = None,
    *,
    isolation: str = "read_committed",
) -> Iterator[list[Message]]:
    """The messages, some thousand at a time.

    `spans` says from which offset up to which other (exclusive) to read of each partition; without
    it all of the topic is read, to its present end.
    """
    options = {**_OPTIONS, **_MANY, "isolation.level": isolation}
    consumer = Consumer({**librdkafka_options(cluster), **options})
    try:
        left = spans if spans is not None else _whole(consumer, topic)
        yield from _spanned(consumer, topic, {p: span for p, span in left.items() if _any(span)})
    finally:
        consumer.close()


def ends(cluster: Kafka, topic: str) -> dict[int, tuple[int, int]]:
    """The first offset that is still there and the one after the last, of each partition."""
    consumer = Consumer({**librdkafka_options(cluster), **_OPTIONS})
    try:
        return _whole(consumer, topic)
    finally:
        consumer.close()


def _any(span: tuple[int, int]) -> bool:
    return span[0] < span[1]


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    found = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
    if found.error is not None:
        raise UserError(f"cannot read the topic {topic}: {found.error}")
    return sorted(found.partitions)


def _whole(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    asked = [TopicPartition(topic, number) for number in _partitions(consumer, topic)]
    return {
        each.partition: consumer.get_watermark_offsets(each, timeout=_TIMEOUT_SECONDS)
        for each in asked
    }


def _spanned(
    consumer: Consumer, topic: str, spans: dict[int, tuple[int, int]]
) -> Iterator[list[Message]]:
    consumer.assign([TopicPartition(topic, p, start) for p, (start, _) in spans.items()])
    stops = {partition: stop for partition, (_, stop) in spans.items()}
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while stops:
        found = consumer.consume(_PAGE, timeout=_WAIT_SECONDS)
        if found:
            deadline = time.monotonic() + _TIMEOUT_SECONDS
        good = [message for message in found if message.error() is None]
        done = set() if len(good) == len(found) else _ended(found)
        last: dict[Any, Any] = {message.partition(): message.offset() for message in good}
        done |= {p for p, offset in last.items() if offset >= stops.get(p, 0) - 1}
        page = good if not done else [one for one in good if _before(one, stops)]
        if page:
            yield page
            deadline = time.monotonic() + _TIMEOUT_SECONDS
        for partition in done & stops.keys():
            del stops[partition]
            consumer.incremental_unassign([TopicPartition(topic, partition)])
        if time.monotonic() > deadline:
            raise UserError(f"the topic {topic} gave nothing for {_TIMEOUT_SECONDS:.0f} s")


def _ended(found: list[Message]) -> set[int]:
    """The partitions whose end was met; KafkaException for any other error."""
    ended: set[int] = set()
    for message in found:
        error, partition = message.error(), message.partition()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        if error is not None and partition is not None:
            ended.add(partition)
    return ended


def committed(group: Consumer, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """What the consumer's group has committed of each partition; 0 where it has committed nothing.

    Raises KafkaException also where the offset of one partition could not be read.
    """
    asked = [TopicPartition(topic, number) for number in partitions]
    found = group.committed(asked, timeout=_TIMEOUT_SECONDS)
    failed = next((each.error for each in found if each.error), None)
    if failed:
        raise KafkaException(failed)
    return {each.partition: max(0, each.offset) for each in found}


def committed_offsets(
    cluster: Kafka, group_id: str, topic: str, partitions: Iterable[int]
) -> dict[int, int]:
    """Return the group's committed offsets as `committed` does, waiting for its coordinator."""
    # A consumer that never subscribes, and not the admin client: that one crashes while the
    # group's coordinator is still loading (librdkafka 2.16).
    options = {"group.id": group_id, "enable.auto.commit": False}
    group = Consumer({**librdkafka_options(cluster), **options})
    numbers, deadline = list(partitions), time.monotonic() + _TIMEOUT_SECONDS
    try:
        while True:
            try:
                return committed(group, topic, numbers)
            except KafkaException as error:
                if not has_no_coordinator_yet(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(_PAUSE_SECONDS)
    finally:
        group.close()


def has_no_coordinator_yet(error: KafkaException) -> bool:
    """Whether the brokers are still finding the group a coordinator: ask again."""
    return error.args[0].code() in _NO_COORDINATOR_YET


def _before(message: Message, stops: dict[int, int]) -> bool:
    partition, offset = message.partition(), message.offset()
    assert partition is not None and offset is not None  # A consumed message has both.
    return offset < stops.get(partition, 0)


def headers(message: Message) -> dict[str, str]:
    """A message's headers as texts; one without a value is left out."""
    found: Any = message.headers()
    pairs = ((name, value) for name, value in found or () if value is not None)
    return {name: bytes(value).decode(errors="replace") for name, value in pairs}


def _committed(consumer: Consumer, topic: str) -> Iterator[Message]:
    found = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
    if found.error is not None:
        raise UserError(f"cannot read the topic {topic}: {found.error}")
    open_partitions = set(found.partitions)
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in open_partitions])
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while open_partitions:
        for message in consumer.consume(_FETCH, timeout=_WAIT_SECONDS):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            else:
                raise KafkaException(error)
            deadline = time.monotonic() + _TIMEOUT_SECONDS  # Who reads may be slower.
        if time.monotonic() > deadline:
            raise UserError(f"the topic {topic} gave nothing for {_TIMEOUT_SECONDS:.0f} s")


_NO_COORDINATOR_YET: Final = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
_OPTIONS: Final[dict[str, Any]] = {
    "group.id": "streaming-etl-reader",
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "fetch.message.max.bytes": 4 * 1024 * 1024,
}
_MANY: Final[dict[str, Any]] = {
    "auto.offset.reset": "earliest",
    "queued.min.messages": 50_000,
    "queued.max.messages.kbytes": 65_536,
}
