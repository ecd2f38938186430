"""Reads the dead letters back, from their Kafka topic (committed ones only) or from Parquet."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from pipeline.demo import content
from pipeline.demo.ledger import Ledger, Positions
from pipeline.demo.storage import Store, tables
from pipeline.errors import UserError

_COLUMNS: Final = ["step", "reason", "raw", "topic", "partition", "offset"]
_TIMEOUT_SECONDS: Final = 30.0
_WAIT_SECONDS: Final = 0.2
"""Short, for `consume` waits this long unless it gets as many messages as it may."""
_FETCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter: the position it came from, why it is here, and its bytes' digest."""

    step: str
    reason: str
    topic: str
    partition: int
    offset: int
    digest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """All dead letters, column by column."""

    positions: Positions
    digests: content.Hashes
    steps: list[str]
    reasons: list[str]


def collect(letters: Iterable[DeadLetter], ledger: Ledger) -> DeadLetters:
    """The dead letters as columns."""
    found = list(letters)
    return DeadLetters(
        positions=ledger.position_numbers(
            pa.chunked_array([pa.array([one.topic for one in found], pa.string())]),
            np.array([one.partition for one in found], dtype=np.int64),
            np.array([one.offset for one in found], dtype=np.int64),
        ),
        digests=np.array([one.digest for one in found], dtype=np.uint64),
        steps=[one.step for one in found],
        reasons=[one.reason for one in found],
    )


def from_parquet(store: Store) -> Iterator[DeadLetter]:
    """The dead letters of an S3 path."""
    for batch in tables(store, store.listing(), _COLUMNS):
        for _, table in batch:
            for row in table.to_pylist():
                raw = row.pop("raw")
                yield DeadLetter(**row, digest=content.digest(raw))


def from_kafka(servers: str, topic: str) -> Iterator[DeadLetter]:
    """The dead letters of a Kafka topic, from its beginning to its present end.

    Reads committed records only; a transaction that is still open hides what follows it.
    """
    consumer = Consumer(_consumer_options(servers))
    try:
        for message in _committed(consumer, topic):
            yield _of_message(message)
    finally:
        consumer.close()


def _committed(consumer: Consumer, topic: str) -> Iterator[Message]:
    found = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
    if found.error is not None:
        raise UserError(f"cannot read the dead letters of the topic {topic}: {found.error}")
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


def _of_message(message: Message) -> DeadLetter:
    headers = {name: bytes(value or b"").decode() for name, value in _headers(message)}
    return DeadLetter(
        step=headers.get("step", ""),
        reason=headers.get("reason", ""),
        topic=headers.get("topic", ""),
        partition=_number(headers.get("partition")),
        offset=_number(headers.get("offset")),
        digest=content.digest(message.value()),
    )


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    headers: Any = message.headers()
    return list(headers or ())


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else -1


def _consumer_options(servers: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": servers,
        "group.id": "demo-verifier",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "fetch.message.max.bytes": 4 * 1024 * 1024,
    }
