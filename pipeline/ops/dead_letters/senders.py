"""Deliver batches of dead letters to a Kafka topic, a Kinesis stream or the index."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from connectors.block import Headers
from connectors.errors import UserError
from connectors.kafka import admin as kafka_admin
from connectors.kafka.headers import last_values
from connectors.kafka.options import Kafka
from connectors.kafka.transactions import Fenced, TopicRecord, TransactionalProducer
from connectors.kinesis.producer import KinesisProducer
from connectors.opensearch.bulk import Document, Limits, Rejected
from connectors.opensearch.options import index_name
from connectors.opensearch.templates import careful_sender
from connectors.producer import Outgoing
from pipeline.decode import redriven
from pipeline.decode.avro_input import RecordDecoder
from pipeline.decode.decoder import Control, Event, Reject
from pipeline.decode.origins import Origins, of_record
from pipeline.decode.type_rule import TypeRule
from pipeline.events.derive import mapping
from pipeline.index.indexer import Indexer, RetryPolicy
from pipeline.ops.dead_letters.letter import Letter
from pipeline.ops.dead_letters.redrive_log import log_topic, now_text, read_topic_log
from pipeline.ops.systems import Systems

TOO_LARGE: Final = "larger, with its redrive headers, than the topic takes"
TOO_LARGE_FOR_STREAM: Final = "larger, with its partition key, than the stream takes"
_HEADERS_BYTES: Final = 1_024
_REDRIVE: Final = "redrive_"


Deliver = Callable[[Sequence[Letter]], list[str | None]]
"""Sends a batch of whole dead letters to one target, and waits for its acknowledgement.

Returns for each dead letter None if it is stored, else why it is not. Raises UserError if the
target stays unreachable; then only `close` may be called.
"""


class TopicSender:
    """Writes the original bytes and their log entries, a batch in one transaction.

    Whatever ends this program, a dead letter is either redriven and in the log, or neither. The
    transactional id belongs to the topic: of two redrives to one topic, the later one fences off
    the earlier one. `log` has the digests of what was redriven before. `key` signs the headers.
    """

    def __init__(self, cluster: Kafka, topic: str, key: str) -> None:
        brokers = kafka_admin.connect(cluster)
        for problem in brokers.missing(topic, "source.kafka_topics"):
            raise UserError(problem)
        brokers.ensure_compacted(log_topic(topic), replicas_of=topic)
        self._topic = topic
        self._key = key
        self._run = uuid.uuid4().hex
        self._limit = brokers.max_message_bytes(topic)
        self._partitions = brokers.partitions(topic)
        self._producer = TransactionalProducer(
            cluster,
            f"streaming-etl-redrive-{topic}",
            max_message_bytes=self._limit,
            purpose=f"redrive to the topic {topic}",
        )
        self.log = read_topic_log(cluster, topic)

    def deliver(self, batch: Sequence[Letter]) -> list[str | None]:
        """Deliver as `Deliver` says; a record that may be too large gets its own transaction."""
        most = self._limit - _HEADERS_BYTES
        stored = self._write([letter for letter in batch if letter.size <= most])
        return [
            None if (stored and letter.size <= most) or self._write([letter]) else TOO_LARGE
            for letter in batch
        ]

    def close(self) -> None:
        """Abort an open transaction, so that readers need not wait for its timeout."""
        self._producer.close()

    def _write(self, batch: Sequence[Letter]) -> bool:
        """Write the batch; return False if nothing was written because a record is too large."""
        if not batch:
            return True
        try:
            records = [record for letter in batch for record in self._records(letter)]
            return self._producer.write(records)
        except Fenced as error:
            raise UserError(
                f"another redrive of the topic {self._topic} started and took over. This one did"
                " not send its last batch; let the other one finish, then run again."
            ) from error
        except UserError as error:
            raise UserError(
                f"{error}. Each dead letter is redriven and in the log, or neither; fix this, then"
                " run again."
            ) from error

    def _records(self, letter: Letter) -> tuple[TopicRecord, TopicRecord]:
        partition = letter.position.partition
        known = partition if partition in self._partitions else None
        headers = (*restored_headers(letter), *headers_of(letter, self._key).items())
        record = TopicRecord(self._topic, letter.raw, letter.key, headers, known)
        entry = json.dumps({"time": now_text(), "run": self._run}).encode()
        return record, TopicRecord(log_topic(self._topic), entry, letter.identity.encode())


def headers_of(letter: Letter, key: str) -> dict[str, bytes]:
    """Return the headers that tell the job which step has to process a whole redriven record.

    The key signs them, unless the step is `decode`: then the record goes through the whole job.
    """
    values = [letter.step, letter.where]
    if letter.step != redriven.UNSIGNED_STEP:
        mark = redriven.Mark(letter.where, letter.step, letter.replica)
        signature = redriven.sign(key, mark, redriven.content_digest(letter.raw))
        values += [letter.replica, signature]
    return {name: text.encode() for name, text in zip(redriven.HEADERS, values, strict=False)}


def restored_headers(letter: Letter) -> Headers:
    """Return the record's own headers, without those of an earlier redrive or named like them."""
    return tuple(pair for pair in letter.headers if not pair[0].startswith(_REDRIVE))


def origins(letter: Letter, rule: TypeRule) -> Origins:
    """Return what decode needs of a dead letter's record beside its bytes."""
    position = letter.position
    place = position.topic if position.topic is not None else position.stream
    version = position.offset if position.offset is not None else letter.arrival_ms
    return of_record(
        rule,
        place=place or "",
        headers=last_values(letter.headers),
        position=letter.where,
        version=version or 0,
    )


class StreamSender:
    """Writes the original bytes to one of the source's Kinesis streams, at least once."""

    def __init__(self, systems: Systems, stream: str) -> None:
        self._producer = KinesisProducer(*systems.stream(stream))
        self._decoder = RecordDecoder(systems.config, systems.types)

    def deliver(self, batch: Sequence[Letter]) -> list[str | None]:
        """Deliver as `Deliver` says."""
        refusals = [self._send(letter) for letter in batch]
        self._producer.flush()
        return refusals

    def close(self) -> None:
        """Close the connection."""
        self._producer.close()

    def _send(self, letter: Letter) -> str | None:
        raw, key = letter.raw or b"", self._partition_key(letter)
        if not self._producer.takes(len(raw) + len(key)):
            return TOO_LARGE_FOR_STREAM
        self._producer.send(Outgoing(raw, key))
        return None

    def _partition_key(self, letter: Letter) -> bytes:
        """Return the key, else the event's id, so that its versions share a shard, else a hash."""
        if letter.key:
            return letter.key
        event = self._decoder.decode(letter.raw, origins(letter, self._decoder.rule))
        text = event.document_id if isinstance(event, Event) else letter.digest.hex()
        return text.encode()


class IndexSender:
    """Decodes and indexes as the job does, for records of Kinesis streams.

    A stream cannot carry headers, so the job would process the record from the first step on.
    Effectively once, by document id and version: a newer document is never overwritten.
    """

    def __init__(self, systems: Systems) -> None:
        config, index, types = systems.config, systems.config.index, systems.types
        assert index, "without an index, its dead letters are refused"
        self._decoder = RecordDecoder(config, types)
        self._prefix = index.prefix
        self._indexer = Indexer(
            careful_sender(index, {event_type.name: mapping(event_type) for event_type in types}),
            limits=Limits(documents=index.max_documents, bytes=index.max_bytes),
            retry=RetryPolicy(seconds=index.retry_seconds, breaker_seconds=index.breaker_seconds),
            clock=time.monotonic,
            sleep=time.sleep,
            random=random.random,
        )

    def deliver(self, batch: Sequence[Letter]) -> list[str | None]:
        """Deliver as `Deliver` says; return an unreachable OpenSearch as a reason, not an error."""
        decoded = [self._document(letter) for letter in batch]
        documents = [result for result in decoded if isinstance(result, Document)]
        refusals = (
            f"the index refused it: {outcome.reason}" if isinstance(outcome, Rejected) else None
            for outcome in self._indexer.index(documents)
        )
        return [result if isinstance(result, str) else next(refusals) for result in decoded]

    def _document(self, letter: Letter) -> Document | str:
        event = self._decoder.decode(letter.raw, origins(letter, self._decoder.rule))
        if isinstance(event, Reject):
            return f"decode refuses it now: {event.reason}"
        if isinstance(event, Control):
            return f"it is a {event.event_type}, which has no document"
        name = index_name(self._prefix, event.event_type)
        return Document(name, event.document_id, event.document_version, event.document)
