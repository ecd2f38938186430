"""Sends made records one by one and keeps the ledger of what was acknowledged where."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from msgspec.structs import replace

from connectors.errors import UserError
from connectors.kafka.options import Kafka
from connectors.kafka.producer import KafkaProducer
from connectors.kinesis.producer import KinesisProducer
from connectors.producer import Outgoing, Producer
from dev.demo.ledger import Ledger
from dev.demo.made import Made
from dev.demo.writer import StreamWriter, Writer

Progress = Callable[[int], None]

_DEAD_LETTER_BYTES: Final = 2 * 1024 * 1024
"""A dead letter is the record and its headers: larger than the largest record there is."""
_EVERY: Final = 2_000
_LINGER_SECONDS: Final = 0.05


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

    Guarantee: each record of the ledger lies in Kafka, once, at its position.  `progress` is told
    how many are acknowledged.  Raises UserError if Kafka refuses a record or stays away.
    """
    target = KafkaProducer(Kafka(bootstrap_servers=servers), topic)
    return _sent(made, target, Writer(topic), rate, progress)


def produce_kinesis(
    made: Iterable[Made],
    *,
    client: Any,
    stream: str,
    rate: float | None = None,
    progress: Progress | None = None,
) -> Ledger:
    """The same to Kinesis; one that it refused is sent again, so it may come after later ones.

    Kinesis has no null: a tombstone is sent, and noted, as no bytes.
    """
    records = (replace(one, raw=one.raw or b"") for one in made)
    return _sent(records, KinesisProducer(client, stream), StreamWriter(stream), rate, progress)


def _sent(
    made: Iterable[Made],
    target: Producer,
    writer: Writer | StreamWriter,
    rate: float | None,
    progress: Progress | None,
) -> Ledger:
    started = time.monotonic()
    try:
        for number, one in enumerate(made, 1):
            line = writer.sent(one)
            target.send(Outgoing(one.raw, one.key), partial(writer.acknowledged, line))
            if number % _EVERY == 0 and progress:
                progress(writer.acknowledged_records)
            while rate and (ahead := started + number / rate - time.monotonic()) > 0:
                time.sleep(min(ahead, _LINGER_SECONDS))
                target.poll()
    finally:
        target.close()
    if progress:
        progress(writer.acknowledged_records)
    return writer.ledger()


_SOURCE: Final = {"message.timestamp.type": "LogAppendTime"}
_DEAD_LETTERS: Final = {"max.message.bytes": str(_DEAD_LETTER_BYTES)}
