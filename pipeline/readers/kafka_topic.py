"""Reads a Kafka topic from end to end: what is committed, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from connectors.kafka_security import librdkafka_options
from pipeline.config import Kafka
from pipeline.errors import UserError

_TIMEOUT_SECONDS: Final = 30.0
_WAIT_SECONDS: Final = 0.2
"""Short, for `consume` waits this long unless it gets as many messages as it may."""
_FETCH: Final = 1_000


def messages(cluster: Kafka, topic: str) -> Iterator[Message]:
    """The committed messages, from the beginning to the present end.

    A transaction that is still open hides what follows it.
    """
    consumer = Consumer({**librdkafka_options(cluster), **_OPTIONS})
    try:
        yield from _committed(consumer, topic)
    finally:
        consumer.close()


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
            deadline = time.monotonic() + _TIMEOUT_SECONDS
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            else:
                raise KafkaException(error)
        if time.monotonic() > deadline:
            raise UserError(f"the topic {topic} gave nothing for {_TIMEOUT_SECONDS:.0f} s")


_OPTIONS: Final[dict[str, Any]] = {
    "group.id": "demo-verifier",
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "fetch.message.max.bytes": 4 * 1024 * 1024,
}
