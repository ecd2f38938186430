"""Topics and streams on real servers, filled as a faultless job would fill them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from confluent_kafka import Producer

from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.kinesis import reader as kinesis_stream
from connectors.s3.storage import open_store
from dev.demo import read_dead_letters
from dev.demo.generate import Recipe, generate
from dev.demo.ledger import Ledger
from dev.demo.made import CONTROL, EVENT, Made
from dev.demo.produce import create_topics, produce_kinesis
from dev.servers import kinesis
from pipeline.ops.readers import carried
from tests.dev.demo import sinks as local
from tests.dev.demo.sinks import Record

ROOT = Path(__file__).parents[3]
STREAM = "made"
MADE = list(generate(Recipe(events=300, seed=5, defective=0.3, corrected=0.05, stale=0.05)))
LIMIT = 700_000
NAMES = count()


@dataclass(frozen=True, slots=True)
class Edges:
    """The two servers."""

    kafka: Kafka
    endpoint: str
    client: Any


@dataclass(frozen=True, slots=True)
class Sent:
    """What lies in the source stream, and the ledger of it."""

    records: list[Record]
    ledger: Ledger


def unused_stream(edges: Edges, shards: int = 1) -> str:
    """A new stream's name."""
    name = f"stream-{next(NAMES)}"
    kinesis.create_stream(name, endpoint=edges.endpoint, shards=shards)
    return name


def unused_topic(edges: Edges) -> str:
    """A new topic's name."""
    name = f"topic-{next(NAMES)}"
    create_topics(edges.kafka.bootstrap_servers, source="unused", dead_letters=name, partitions=2)
    return name


def transactional(edges: Edges) -> Producer:
    """A producer that has its transactions ready."""
    producer = Producer(
        {
            "bootstrap.servers": edges.kafka.bootstrap_servers,
            "transactional.id": "test",
            "message.max.bytes": 2 * 1024 * 1024,
        }
    )
    producer.init_transactions()
    return producer


def write_sinks(
    edges: Edges, sent: Sent, root: Path, back_end: str
) -> tuple[Iterable[carried.Carried], Iterable[read_dead_letters.DeadLetter]]:
    """Archive and dead letters as a faultless job leaves them in that back end, to be read back."""
    rejected = [r for r in sent.records if r.made.expect not in (EVENT, CONTROL)]
    for record in large(sent):
        folder = whole_folder(root, record)
        folder.mkdir(parents=True)
        pq.write_table(local.archive_table([record]), folder / "part-0.parquet")
    if back_end == "kafka":
        archive, dead = unused_topic(edges), unused_topic(edges)
        send_messages(edges, archive, sent.records, root, prefix="source.")
        send_messages(edges, dead, rejected, root)
        messages = kafka_topic.messages(edges.kafka, archive)
        letters = read_dead_letters.from_kafka(edges.kafka, dead, open_store)
        return (carried.of_message(one, "source.") for one in messages), letters
    archive, dead = unused_stream(edges, shards=2), unused_stream(edges)
    send_envelopes(edges, archive, sent.records, root)
    send_envelopes(edges, dead, rejected, root)
    found = kinesis_stream.records(edges.client, archive)
    letters = read_dead_letters.from_kinesis(edges.client, dead, open_store)
    return (carried.of_envelope(one) for one in found), letters


def large(sent: Sent) -> list[Record]:
    """The records that leave only their head."""
    return [record for record in sent.records if len(record.made.raw or b"") > LIMIT]


def whole_folder(root: Path, record: Record) -> Path:
    """Where the whole of such a record lies."""
    return root / "large" / "arrival_date=2018-03-01" / f"sha256={sha256(record)}"


def sha256(record: Record) -> str:
    """The digest of a record's bytes."""
    return hashlib.sha256(record.made.raw or b"").hexdigest()


def position_texts(record: Record) -> dict[str, str | bytes | None]:
    return {
        name: str(value) for name, value in record.position._asdict().items() if value is not None
    }


def about(record: Record, root: Path) -> dict[str, str | bytes | None]:
    """What is said about a record, besides the bytes."""
    raw = record.made.raw or b""
    said = {"step": "decode", "reason": record.made.expect, **position_texts(record)}
    if len(raw) > LIMIT:
        pointer = f"file://{whole_folder(root, record)}"
        return {
            **said,
            "raw_bytes": str(len(raw)),
            "sha256": sha256(record),
            "full_record": pointer,
        }
    return {**said, "raw_bytes": str(len(raw)), "sha256": None, "full_record": None}


def head(record: Record) -> bytes:
    """What the target holds of the bytes."""
    raw = record.made.raw or b""
    return raw[:10_000] if len(raw) > LIMIT else raw


def send_messages(
    edges: Edges, topic: str, found: list[Record], root: Path, prefix: str = ""
) -> None:
    """Fill a topic; before a prefix stands a header of the record's own."""
    producer = Producer({"bootstrap.servers": edges.kafka.bootstrap_servers})
    for record in found:
        ours = {prefix + name: value for name, value in about(record, root).items()}
        headers = list({"topic": "the record's own", **ours}.items())
        if not prefix:
            headers = headers[1:]
        producer.produce(topic, head(record), record.made.key, headers=headers)
    assert producer.flush(30) == 0


def send_envelopes(edges: Edges, stream: str, found: list[Record], root: Path) -> None:
    """Fill a stream."""
    made = []
    for record in found:
        said = {name: text for name, text in about(record, root).items() if text is not None}
        envelope = {**said, "raw": base64.b64encode(head(record)).decode()}
        made.append(Made(json.dumps(envelope).encode(), record.made.key, CONTROL))
    produce_kinesis(made, client=edges.client, stream=stream)
