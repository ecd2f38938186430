"""Back to a Kafka topic: the original bytes and their log entries in one transaction per batch.

However this program ends, each dead letter is either redriven and logged, or neither. The
transactional id is the topic's: of two redrives of one topic the later fences the earlier off.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from connectors.errors import UserError
from connectors.kafka import admin as kafka_admin
from connectors.kafka.options import Kafka
from connectors.kafka.transactions import Fenced, TopicRecord, TransactionalProducer
from pipeline.ops.dead_letters.letter import Letter
from pipeline.ops.dead_letters.redrive_log_topic import log_topic, logged_in, make_log_topic
from pipeline.ops.dead_letters.redrive_target import Ready

_HEADERS_BYTES: Final = 1_024
TOO_LARGE: Final = "larger, with its redrive headers, than the topic takes"


class TopicSender:
    """Sends to one topic; `logged` has the keys of what was redriven before."""

    def __init__(self, cluster: Kafka, topic: str) -> None:
        brokers = kafka_admin.connect(cluster)
        for problem in brokers.missing(topic, "source.kafka_topics"):
            raise UserError(problem)
        make_log_topic(brokers, topic)
        self._topic = topic
        self._run = uuid.uuid4().hex
        self._limit = brokers.max_message_bytes(topic)
        self._partitions = brokers.partitions(topic)
        with self._reported():
            self._producer = TransactionalProducer(
                cluster,
                f"streaming-etl-redrive-{topic}",
                max_message_bytes=self._limit,
                purpose=f"redrive to the topic {topic}",
            )
        self.logged = logged_in(cluster, topic)

    def deliver(self, batch: Sequence[Ready]) -> list[str | None]:
        """See `Sender`. A record that may be too large gets a transaction of its own."""
        narrow = [ready for ready in batch if not self._is_wide(ready)]
        sent = self._sent(narrow)
        return [
            None if (sent and not self._is_wide(ready)) or self._sent([ready]) else TOO_LARGE
            for ready in batch
        ]

    def close(self) -> None:
        """Abort what is open, so that readers need not wait for it."""
        self._producer.close()

    def _is_wide(self, ready: Ready) -> bool:
        return ready.bytes + _HEADERS_BYTES > self._limit

    def _sent(self, batch: Sequence[Ready]) -> bool:
        if not batch:
            return True
        with self._reported():
            return self._producer.write([each for ready in batch for each in self._pair(ready)])

    def _pair(self, ready: Ready) -> tuple[TopicRecord, TopicRecord]:
        """Return the record and its log entry."""
        letter, (raw, key) = ready
        partition = letter.position.partition
        known = partition is not None and partition < self._partitions
        headers = tuple(headers_of(letter).items())
        entry = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "run": self._run}
        log = log_topic(self._topic)
        return (
            TopicRecord(self._topic, raw, key, headers, partition if known else None),
            TopicRecord(log, json.dumps(entry).encode(), letter.identity.encode()),
        )

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Say what a failure of Kafka means for the redrive."""
        try:
            yield
        except Fenced as error:
            raise UserError(
                f"another redrive of the topic {self._topic} started and took over. The last"
                " batch was not sent by this one; let the other end, then run again."
            ) from error
        except UserError as error:
            raise UserError(
                f"{error}. Each dead letter is redriven and logged, or neither; fix the cause,"
                " then run again."
            ) from error


def headers_of(letter: Letter) -> dict[str, bytes]:
    """Return the headers that tell the job where a redriven record still has to go."""
    texts = {"redrive_step": letter.step, "redrive_position": letter.where}
    if letter.replica:
        texts["redrive_replica"] = letter.replica
    return {name: text.encode() for name, text in texts.items()}
