"""Back to a Kafka topic: the original bytes and their marks in one transaction for each batch.

So whatever ends this program, each dead letter is either redriven and marked, or neither.  The
transactional id is the topic's own: of two redrives of one topic the later fences the earlier off.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.errors import UserError
from connectors.kafka import admin as kafka_admin
from connectors.kafka.options import Kafka
from connectors.kafka.security import librdkafka_options
from pipeline.ops.dead_letters.lane import Ready
from pipeline.ops.dead_letters.letter import Letter
from pipeline.ops.dead_letters.marks_topic import make_marks_topic, marks_in, marks_topic

TRANSACTION_MILLIS: Final = 60_000
"""At most: after a kill -9 an open transaction hides what follows it from readers for so long."""

_SECONDS: Final = 60.0
_TRIES: Final = 3
_HEADERS_BYTES: Final = 1_024
_CLIENT_BYTES: Final = 100_000_000  # The topic's limit holds, not librdkafka's of 1,000,000.
_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)
_TOO_LARGE: Final = KafkaError.MSG_SIZE_TOO_LARGE
_SILENT: Final = logging.getLogger(f"{__name__}.librdkafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False

TOO_LARGE: Final = "larger, with its redrive headers, than the topic takes"


class TopicSender:
    """Sends to one topic; `marks` are those that were there when it began."""

    def __init__(self, cluster: Kafka, topic: str) -> None:
        brokers = kafka_admin.connect(cluster)
        for problem in brokers.missing(topic, "source.kafka_topics"):
            raise UserError(problem)
        make_marks_topic(brokers, topic)
        self._topic = topic
        self._run = uuid.uuid4().hex
        self._limit = brokers.max_message_bytes(topic)
        self._partitions = set(brokers.client.list_topics(topic).topics[topic].partitions)
        self._open = False
        timeout = min(TRANSACTION_MILLIS, brokers.max_transaction_millis())
        options = librdkafka_options(cluster) | _options(topic, timeout, self._limit)
        self._producer = Producer(options, logger=_SILENT)
        with self._told():
            self._producer.init_transactions(_SECONDS)
        self.marks = marks_in(cluster, topic)

    def deliver(self, batch: Sequence[Ready]) -> list[str | None]:
        """See `lane.Sender`. A record that may be too large goes in a transaction of its own."""
        narrow = [ready for ready in batch if not self._is_wide(ready)]
        taken = self._takes(narrow)
        return [
            None if (taken and not self._is_wide(ready)) or self._takes([ready]) else TOO_LARGE
            for ready in batch
        ]

    def close(self) -> None:
        """Abort what is open, so that readers needn't wait for it."""
        if self._open:
            self._abort()

    def _is_wide(self, ready: Ready) -> bool:
        return ready.bytes + _HEADERS_BYTES > self._limit

    def _takes(self, batch: Sequence[Ready]) -> bool:
        """False if none of it is sent, since a record is too large.

        After such a one librdkafka's next transaction fails for a gap in its own numbers: it is
        aborted and made again, as Kafka asks for.
        """
        if not batch:
            return True
        with self._told():
            for _ in range(_TRIES - 1):
                try:
                    return self._transact(batch)
                except KafkaException as error:
                    if not error.args[0].txn_requires_abort():
                        raise
            return self._transact(batch)

    def _transact(self, batch: Sequence[Ready]) -> bool:
        self._producer.begin_transaction()
        self._open = True
        try:
            for ready in batch:
                self._produce(ready)
            self._commit()
        except KafkaException as error:
            too_large = error.args[0].code() == _TOO_LARGE
            if too_large or error.args[0].txn_requires_abort():
                self._producer.abort_transaction(_SECONDS)
                self._open = False
            if too_large:
                return False
            raise
        self._open = False
        return True

    def _commit(self) -> None:
        """Again where the brokers ask for it: to commit twice is to commit once."""
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                self._producer.commit_transaction(_SECONDS)
                return
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise

    def _produce(self, ready: Ready) -> None:
        letter, (raw, key) = ready
        partition = letter.position.partition
        chosen = {"partition": partition} if partition in self._partitions else {}
        headers: Any = list(headers_of(letter).items())
        self._hand_over(self._topic, raw, key, headers=headers, **chosen)
        mark = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "run": self._run}
        name = marks_topic(self._topic)
        self._hand_over(name, json.dumps(mark).encode(), letter.identity.encode())

    def _hand_over(self, topic: str, value: Any, key: Any, **options: Any) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, **options)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _abort(self) -> None:
        self._open = False
        try:
            self._producer.abort_transaction(_SECONDS)
        except KafkaException:
            return  # Whoever fenced us off, or the brokers in a minute, have aborted it.

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A failure of Kafka as the user's to mend."""
        try:
            yield
        except KafkaException as error:
            found = error.args[0]
            if found.code() in _FENCED:
                raise UserError(
                    f"another redrive of the topic {self._topic} started and took over. The last"
                    " batch was not sent by this one; let the other end, then run again."
                ) from error
            raise UserError(
                f"cannot redrive to the topic {self._topic}: {found.str()}. Each dead letter is"
                " redriven and marked, or neither; once this is mended, run again."
            ) from error


def headers_of(letter: Letter) -> dict[str, bytes]:
    """What tells the job where a redriven record still has to go."""
    found = {"redrive_step": letter.step, "redrive_position": letter.where}
    if letter.replica:
        found["redrive_replica"] = letter.replica
    return {name: text.encode() for name, text in found.items()}


def _options(topic: str, timeout_millis: int, limit: int) -> dict[str, Any]:
    return {
        "transactional.id": f"streaming-etl-redrive-{topic}",
        "transaction.timeout.ms": timeout_millis,
        "compression.type": "lz4",
        "batch.size": min(1_000_000, limit),
        "message.max.bytes": _CLIENT_BYTES,
        "partitioner": "murmur2_random",
        "linger.ms": 5,
    }
