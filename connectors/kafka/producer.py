"""A Kafka topic to send to: an idempotent producer, acknowledged by all replicas in sync."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.block import Block, Headers
from connectors.errors import UserError
from connectors.kafka.options import Kafka
from connectors.kafka.security import librdkafka_options
from connectors.positions import Position
from connectors.producer import Acknowledged, Outgoing

_ASK_SECONDS: Final = 10.0
_REFRESH_SECONDS: Final = 10.0
_ROOM_SECONDS: Final = 0.05
_QUEUE_RECORDS: Final = 100_000

_OPTIONS: Final[dict[str, Any]] = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 20,
    "batch.size": 262_144,
    "compression.type": "lz4",
    # The topic's own limit holds, not librdkafka's of 1,000,000.
    "message.max.bytes": 16_777_216,
    "queue.buffering.max.messages": _QUEUE_RECORDS,
    # A key goes to the partition where Java's producers put it.
    "partitioner": "murmur2_random",
}


class KafkaTarget:
    """See `Target`. Each record lies in the topic once, records of one key in their order.

    A record that isn't acknowledged within `timeout_seconds` is a UserError; a broker that comes
    back before that loses nothing.
    """

    def __init__(self, cluster: Kafka, topic: str, *, timeout_seconds: float = 60.0) -> None:
        self._topic = topic
        self._servers = cluster.bootstrap_servers
        self._timeout = timeout_seconds
        self._options = {
            **librdkafka_options(cluster),
            **_OPTIONS,
            "delivery.timeout.ms": round(timeout_seconds * 1000),
        }
        self._handed = 0
        self._refused: str | None = None
        self._tells_positions = False
        self._producer = self._connect()
        self._partitions = self._ask(_ASK_SECONDS)
        self._asked = time.monotonic()

    @property
    def name(self) -> str:
        """For messages."""
        return f"the topic {self._topic} on {self._servers}"

    @property
    def acknowledged_records(self) -> int:
        """A lower bound: control records on their way count against it."""
        return max(0, self._handed - len(self._producer))

    @property
    def retries(self) -> int:
        """Always 0: the producer repeats requests by itself, each record is stored once."""
        return 0

    @property
    def throttled(self) -> int:
        """Always 0: brokers delay their answers instead."""
        return 0

    @property
    def misplaced_records(self) -> int:
        """Always 0."""
        return 0

    def send(self, record: Outgoing, acknowledged: Acknowledged | None = None) -> None:
        """Hands a record over; `acknowledged` is told topic, partition and offset."""
        if acknowledged is None:
            self._hand_over(record.raw, record.key, record.headers)
        else:
            self._tell_positions(True)
            told = partial(self._acknowledge, acknowledged)
            self._hand_over(record.raw, record.key, record.headers, on_delivery=told)
        self._handed += 1
        self.poll()

    def send_block(self, block: Block) -> None:
        """Hands all records over; they share one callback, which is called for a refusal only."""
        self._tell_positions(False)
        if block.headers is None:
            self._send_bare(block)
        else:
            for raw, key, headers in zip(block.raws, block.keys, block.headers, strict=True):
                self._hand_over(raw, key, headers)
        self._handed += len(block)
        self.poll()

    def send_everywhere(self, raw: bytes) -> int:
        """To every partition, those added in the meantime included (within ten seconds)."""
        if time.monotonic() - self._asked > _REFRESH_SECONDS:
            self._refresh()
        for partition in self._partitions:
            self._hand_over(raw, partition=partition)
        return len(self._partitions)

    def poll(self) -> None:
        """Takes acknowledgements; raises UserError for the first record that was refused."""
        self._producer.poll(0)
        self._raise_refused()

    def flush(self) -> None:
        """Waits for every acknowledgement, bounded by the timeout of the last record."""
        left = self._producer.flush(self._timeout + _ASK_SECONDS)
        self._raise_refused()
        if left:
            raise self._failure(f"{left} records weren't acknowledged in {self._timeout:.0f} s")

    def close(self, *, flush: bool = True) -> None:
        """Flushes; what is left after a refusal is dropped, and was never told as stored."""
        if flush and not self._refused:
            self.flush()
        else:
            self._producer.purge()
            self._producer.flush(1.0)

    def _send_bare(self, block: Block) -> None:
        # Measured with 420 B: 530,000-700,000 records/s; produce_batch 550,000-590,000; with a
        # callback for each success 240,000-380,000.
        produce, topic = self._producer.produce, self._topic
        for raw, key in zip(block.raws, block.keys, strict=True):
            try:
                produce(topic, raw, key)
            except (BufferError, KafkaException):
                self._hand_over(raw, key)

    def _hand_over(
        self, raw: bytes | None, key: bytes | None = None, headers: Headers = (), **options: Any
    ) -> None:
        """Waits for room where the queue is full; a record that times out there ends the wait."""
        while True:
            try:
                self._producer.produce(self._topic, raw, key, headers=list(headers), **options)
                return
            except BufferError:
                self._producer.poll(_ROOM_SECONDS)
                self._raise_refused()
            except KafkaException as error:
                self._refused = f"{error.args[0].str()} (a record of {len(raw or b'')} bytes)"
                raise self._failure(self._refused) from error

    def _tell_positions(self, wanted: bool) -> None:
        """Changes the producer where it has to: only one of the two kinds reports a success."""
        if wanted != self._tells_positions:
            self.flush()
            self._tells_positions = wanted
            self._producer = self._connect()

    def _connect(self) -> Producer:
        quiet = {"delivery.report.only.error": not self._tells_positions}
        return Producer({**self._options, **quiet, "on_delivery": self._note_refusal})

    def _note_refusal(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._refused is None:
            value: Any = message.value()
            self._refused = f"{error.str()} (a record of {len(value or b'')} bytes)"

    def _acknowledge(self, told: Acknowledged, error: KafkaError | None, message: Message) -> None:
        self._note_refusal(error, message)
        if error is None:
            told(Position(self._topic, message.partition(), message.offset()))

    def _raise_refused(self) -> None:
        if self._refused:
            raise self._failure(self._refused)

    def _ask(self, seconds: float) -> list[int]:
        try:
            found = self._producer.list_topics(self._topic, timeout=seconds).topics[self._topic]
        except KafkaException as error:
            raise self._failure(f"no broker answers ({error.args[0].str()}); is it up?") from error
        if found.error is not None:
            raise self._failure(f"{found.error.str()}; make the topic first")
        return sorted(found.partitions)

    def _refresh(self) -> None:
        try:
            self._partitions = self._ask(1.0)
        except UserError:
            return  # Whether the broker stays away for good, the records tell.
        finally:
            self._asked = time.monotonic()

    def _failure(self, why: str) -> UserError:
        return UserError(f"cannot produce to {self.name}: {why}")
