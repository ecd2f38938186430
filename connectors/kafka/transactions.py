"""Writes batches of records to Kafka, each batch in one transaction: all of it, or nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.block import Headers
from connectors.errors import UserError
from connectors.kafka import admin
from connectors.kafka.errors import kafka_error, reason
from connectors.kafka.options import Kafka
from connectors.kafka.security import librdkafka_options

# How long, at most, the open transaction of a killed process hides later records from readers.
_TRANSACTION_MILLIS: Final = 60_000
_TIMEOUT_SECONDS: Final = 60.0
_ATTEMPTS: Final = 3
_FENCED: Final = (
    KafkaError._FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
)
_SILENT: Final = logging.getLogger(f"{__name__}.librdkafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class Fenced(UserError):
    """Another producer with the same transactional id has started; nothing more is written."""


class TopicRecord(NamedTuple):
    """A record for a topic; without a partition its key decides, as with Java's producers."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: Headers = ()
    partition: int | None = None


class TransactionalProducer:
    """Commits batches of records atomically.

    Starting one aborts what an earlier producer with the same transactional id left open, and
    fences that one off. Methods raise UserError if Kafka fails; then only `close` may be called.
    """

    def __init__(
        self, cluster: Kafka, transactional_id: str, *, max_message_bytes: int, purpose: str
    ) -> None:
        """Wait until earlier transactions have ended.

        `max_message_bytes` is the limit of the topics. `purpose` completes "cannot ..." in errors.
        """
        limit = admin.connect(cluster).max_transaction_millis()
        options = {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": min(_TRANSACTION_MILLIS, limit or _TRANSACTION_MILLIS),
            "compression.type": "lz4",
            "batch.size": min(1_000_000, max_message_bytes),
            # The topic's limit applies, not librdkafka's of 1,000,000.
            "message.max.bytes": 100_000_000,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
        }
        self._purpose = purpose
        self._is_open = False
        self._producer = Producer(librdkafka_options(cluster) | options, logger=_SILENT)
        with self._reported():
            self._producer.init_transactions(_TIMEOUT_SECONDS)

    def write(self, records: Sequence[TopicRecord]) -> bool:
        """Commit all records in one transaction; return False if one is too large for its topic.

        Then none is written. The next transaction after such a one fails, since there is a gap in
        librdkafka's sequence numbers; it is aborted and repeated, as Kafka asks for.

        Raises:
            Fenced: another producer took over.
            UserError: Kafka fails.
        """
        with self._reported():
            attempt = 1
            while True:
                try:
                    return self._transact(records)
                except KafkaException as error:
                    if attempt == _ATTEMPTS or not kafka_error(error).txn_requires_abort():
                        raise
                attempt += 1

    def close(self) -> None:
        """Abort the open transaction, if any, so that readers need not wait for its timeout."""
        if self._is_open:
            self._is_open = False
            # After a failure the producer that took over has aborted it, or the brokers will.
            with suppress(KafkaException):
                self._producer.abort_transaction(_TIMEOUT_SECONDS)

    def _transact(self, records: Sequence[TopicRecord]) -> bool:
        self._producer.begin_transaction()
        self._is_open = True
        try:
            for record in records:
                self._produce(record)
            self._commit()
        except KafkaException as error:
            too_large = kafka_error(error).code() == KafkaError.MSG_SIZE_TOO_LARGE
            if too_large or kafka_error(error).txn_requires_abort():
                self._producer.abort_transaction(_TIMEOUT_SECONDS)
                self._is_open = False
            if too_large:
                return False
            raise
        self._is_open = False
        return True

    def _commit(self) -> None:
        """Commit, and repeat where the brokers ask for it, which is idempotent."""
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while True:
            try:
                self._producer.commit_transaction(_TIMEOUT_SECONDS)
                return
            except KafkaException as error:
                if not kafka_error(error).retriable() or time.monotonic() > deadline:
                    raise

    def _produce(self, record: TopicRecord) -> None:
        partition = -1 if record.partition is None else record.partition
        headers: Any = list(record.headers)
        while True:
            try:
                self._producer.produce(
                    record.topic, record.value, record.key, partition, headers=headers
                )
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                if kafka_error(error).code() == KafkaError._FATAL:
                    # `produce` only says that all ends; a call of the transaction names the cause.
                    self._producer.abort_transaction(_TIMEOUT_SECONDS)
                raise

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            problem = f"cannot {self._purpose}: {reason(error)}"
            if kafka_error(error).code() in _FENCED:
                raise Fenced(problem) from error
            raise UserError(problem) from error
