"""Sends the made records to Kafka and keeps the ledger of what was acknowledged where."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.demo.ledger import Ledger
from pipeline.demo.made import Made
from pipeline.demo.writer import Writer
from pipeline.errors import UserError

Progress = Callable[[int], None]

_DEAD_LETTER_BYTES: Final = 2 * 1024 * 1024
"""A dead letter is the record and its headers: larger than the largest record there is."""
_EVERY: Final = 2_000
_FLUSH_SECONDS: Final = 60.0


def create_topics(
    servers: str,
    *,
    source: str,
    dead_letters: str | None,
    partitions: int,
    replicas: int = 1,
    others: Sequence[str] = (),
) -> None:
    """Makes the topics that aren't there yet: the source stamps the time of arrival itself.

    `others` are targets, such as of replicas, with the broker's own settings.
    """
    topics = [NewTopic(source, partitions, replicas, config=_SOURCE)]
    topics += [NewTopic(name, partitions, replicas) for name in others]
    if dead_letters:
        topics.append(NewTopic(dead_letters, partitions, replicas, config=_DEAD_LETTERS))
    admin = AdminClient({"bootstrap.servers": servers})
    for name, future in admin.create_topics(topics).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise UserError(f"cannot create the topic {name} on {servers}: {error}") from error


def produce(
    made: Iterable[Made],
    *,
    servers: str,
    topic: str,
    rate: float | None = None,
    progress: Progress | None = None,
) -> Ledger:
    """Sends every record, at most `rate` a second, and waits until all are acknowledged.

    Guarantee: each record of the ledger lies in Kafka, once, at its position (idempotent producer,
    acknowledged by all replicas in sync).  `progress` is told how many are acknowledged.
    Raises UserError if Kafka refuses a record or stays away.
    """
    sending = _Sending(servers, topic, rate)
    for number, record in enumerate(made, 1):
        sending.send(record)
        if number % _EVERY == 0 and progress:
            progress(sending.writer.acknowledged_records)
    ledger = sending.finish()
    if progress:
        progress(len(ledger))
    return ledger


class _Sending:
    def __init__(self, servers: str, topic: str, rate: float | None) -> None:
        self.writer = Writer(topic)
        self._servers = servers
        self._topic = topic
        self._producer = Producer(_producer_options(servers))
        self._refused: str | None = None
        self._rate = rate
        self._started = time.monotonic()

    def send(self, made: Made) -> None:
        acknowledge = partial(self._acknowledge, self.writer.sent(made))
        while True:
            try:
                self._producer.produce(
                    self._topic, value=made.raw, key=made.key, on_delivery=acknowledge
                )
                break
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise self._failure(str(error)) from error
        self._producer.poll(self._ahead())
        if self._refused:
            raise self._failure(self._refused)

    def finish(self) -> Ledger:
        """Waits for the last acknowledgements."""
        left = self._producer.flush(_FLUSH_SECONDS)
        if self._refused or left:
            raise self._failure(self._refused or f"{left} records weren't acknowledged in time")
        return self.writer.ledger()

    def _ahead(self) -> float:
        """For how many seconds to wait, to keep to the rate."""
        if self._rate is None:
            return 0
        return max(0.0, self._started + len(self.writer) / self._rate - time.monotonic())

    def _acknowledge(self, line: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._refused = str(error)
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None and offset is not None  # An acknowledged record has both.
        self.writer.acknowledged(line, partition, offset)

    def _failure(self, why: str) -> UserError:
        return UserError(f"cannot produce to the topic {self._topic} on {self._servers}: {why}")


def _producer_options(servers: str) -> dict[str, str | int | bool]:
    return {
        "bootstrap.servers": servers,
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 20,
        "batch.size": 262_144,
        "compression.type": "lz4",
        # librdkafka's default of 1,000,000 would refuse the over-large records of the demo.
        "message.max.bytes": 1_048_588,
        "queue.buffering.max.messages": 200_000,
        # Errors only: a coordinator that is still loading is waited for, not worth a line.
        "log_level": 3,
        "delivery.timeout.ms": 60_000,
    }


_SOURCE: Final = {"message.timestamp.type": "LogAppendTime"}
_DEAD_LETTERS: Final = {"max.message.bytes": str(_DEAD_LETTER_BYTES)}
