"""A producer that sends batches by transactions: all of a batch is stored, or nothing of it.

The transactional id is the caller's: of two producers with one id the later fences the earlier off.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.kafka.options import Kafka
from connectors.kafka.security import librdkafka_options

_SECONDS: Final = 60.0
_TRIES: Final = 3
_CLIENT_BYTES: Final = 100_000_000  # The topic's limit holds, not librdkafka's of 1,000,000.
_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)
_SILENT: Final = logging.getLogger(f"{__name__}.librdkafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class Fenced(Exception):
    """Another producer of the same transactional id has taken over."""


class Refused(Exception):
    """Kafka refused a transaction, or does not answer; the message is librdkafka's."""


class Outgoing(NamedTuple):
    """A message; `partition` None: the key's."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


class TransactionalProducer:
    """Sends batches of messages, each by one transaction. For one thread.

    Methods raise Fenced and Refused.
    """

    def __init__(
        self, cluster: Kafka, transactional_id: str, *, timeout_millis: int, batch_bytes: int
    ) -> None:
        options = {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": timeout_millis,
            "compression.type": "lz4",
            "batch.size": min(1_000_000, batch_bytes),
            "message.max.bytes": _CLIENT_BYTES,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
        }
        self._open = False
        self._producer = Producer(librdkafka_options(cluster) | options, logger=_SILENT)
        with _translated():
            self._producer.init_transactions(_SECONDS)

    def send(self, batch: Sequence[Outgoing]) -> bool:
        """Store the batch; return False, with nothing stored, if a message is too large.

        After a message that was too large, librdkafka's next transaction fails for a gap in its
        sequence numbers: it is aborted and sent again, as Kafka's protocol requires.
        """
        if not batch:
            return True
        with _translated():
            for _ in range(_TRIES - 1):
                try:
                    return self._transact(batch)
                except KafkaException as error:
                    if not error.args[0].txn_requires_abort():
                        raise
            return self._transact(batch)

    def close(self) -> None:
        """Abort what is open, so that readers need not wait for its timeout."""
        if not self._open:
            return
        self._open = False
        try:
            self._producer.abort_transaction(_SECONDS)
        except KafkaException:
            return  # Whoever fenced this producer off, or the brokers in time, have aborted it.

    def _transact(self, batch: Sequence[Outgoing]) -> bool:
        self._producer.begin_transaction()
        self._open = True
        try:
            for message in batch:
                self._produce(message)
            self._commit()
        except KafkaException as error:
            too_large = error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
            if too_large or error.args[0].txn_requires_abort():
                self._producer.abort_transaction(_SECONDS)
                self._open = False
            if too_large:
                return False
            raise
        self._open = False
        return True

    def _commit(self) -> None:
        """Commit, again where the brokers ask for it: to commit twice is to commit once."""
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                self._producer.commit_transaction(_SECONDS)
                return
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise

    def _produce(self, message: Outgoing) -> None:
        options: dict[str, Any] = {"headers": list(message.headers)}
        if message.partition is not None:
            options["partition"] = message.partition
        while True:
            try:
                self._producer.produce(message.topic, message.value, message.key, **options)
                return
            except BufferError:
                self._producer.poll(0.1)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        if error.args[0].code() in _FENCED:
            raise Fenced from error
        raise Refused(error.args[0].str()) from error
