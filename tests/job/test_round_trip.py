"""What is replicated is read by the same job as a source, and gives the same lake.

The first job reads and writes over SASL_SSL with SCRAM, its archive is a topic written by
transactions; the second reads the first one's replicas, a topic and a stream together, and beside
them a stream with an aggregated record of the Kinesis Producer Library.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dev.demo.generate import Recipe, generate
from dev.demo.made import EVENT
from dev.servers import kinesis
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from tests.job.harness import Harness, open_transactions
from tests.job.own_headers import check_dead_letters, headers_in
from tests.oracle import Sent, events_in
from tests.sending import varied

ADDED = {f"source.{name}" for name in ("topic", "partition", "offset", "arrival_time")}


def test_replicas_as_a_source_give_the_same_lake(stack: Stack, tmp_path: Path) -> None:
    with first(stack, tmp_path) as job:
        sent = job.produce(generate(Recipe(events=5_000, seed=5)), headers=varied)
        job.start()
        job.drain()
        job.stop(drain=True)
    verdict = job.verdict(sent, stream=lambda one: one.made.event_type != "trip")
    assert verdict.problems() == []
    events = len(events_in(sent))
    assert 0 < verdict.counts["replica small"] < events, "the rest: dead letters"
    assert open_transactions(job.servers, "round-archive") == {}
    assert open_transactions(job.servers, "round-copy") == {}
    every_header_is_there(job, sent)

    with second(stack, tmp_path) as copy:
        aggregated = [
            each.raw for each in generate(Recipe(events=50, seed=6)) if each.expect == EVENT
        ]
        put_aggregated(copy, aggregated)
        copy.produced = events + len(aggregated)
        copy.start()
        copy.drain()
        copy.stop(drain=True)
    found, replicated = contents(copy), contents(job)
    assert not replicated - found
    assert (found - replicated).total() == len(aggregated)


def every_header_is_there(job: Harness, sent: list[Sent]) -> None:
    """In the archive and the dead letters those of the sender come first, in order, then ours."""
    expected = {one.position: varied(number) for number, one in enumerate(sent)}
    for place, headers in headers_in("round-archive", job, "source."):
        own = expected.pop(place)
        assert headers[: len(own)] == own
        assert {name for name, _ in headers[len(own) :]} == ADDED
    assert expected == {}
    expected = {one.position: varied(number) for number, one in enumerate(sent)}
    assert check_dead_letters(job, expected) == {b"decode", b"replicate"}


def first(stack: Stack, folder: Path) -> Harness:
    """Everything over TLS with a password; trips to a topic, the other two types to a stream."""
    environment = stack.environment()
    create_topics(
        environment["KAFKA_BOOTSTRAP_SERVERS"],
        source="round-copy",
        dead_letters="round-archive",
        others=("round-small",),
        partitions=2,
    )
    kinesis.create_stream("round-copy", endpoint=environment["KINESIS_ENDPOINT"], shards=2)
    secure = {
        "bootstrap_servers": environment["KAFKA_TLS_BOOTSTRAP_SERVERS"],
        "security": "scram",
        "ca_file": environment["KAFKA_CA_FILE"],
        "username": environment["KAFKA_USERNAME"],
        "password": environment["KAFKA_PASSWORD"],
    }
    replicate = {
        "copy": {"kafka_topic": "round-copy", "event_types": ["trip"]},
        "stream": {"kinesis_stream": "round-copy", "filter": "type <> 'trip'"},
        "small": {"kafka_topic": "round-small", "guarantee": "at_least_once", "max_bytes": 400},
    }
    archive = {"path": "", "kafka_topic": "round-archive"}
    overrides: dict[str, Any] = {"kafka": secure, "replicate": replicate, "archive": archive}
    return Harness(stack=stack, name="round", folder=folder, overrides=overrides)


def second(stack: Stack, folder: Path) -> Harness:
    """Reads the two replicas of the first, and a stream of its own."""
    streams = ["round-copy", "second-aggregated"]
    source = {"kafka_topics": ["round-copy"], "kinesis_streams": streams}
    return Harness(
        stack=stack,
        name="second",
        folder=folder,
        streams=("aggregated",),
        overrides={"source": source},
    )


def contents(job: Harness) -> Counter[str]:
    """Every row of the lake, by its partition and values; where it came from is left out."""
    rows = job.reader().lake(f"s3a://{job.name}/lake").records
    return Counter(f"{row['folder']} {sorted(row['values'].items())}" for _, row in rows)


def put_aggregated(job: Harness, raws: Sequence[bytes | None]) -> None:
    """One Kinesis record that holds all of them, as the Kinesis Producer Library makes it.

    The format: https://github.com/awslabs/amazon-kinesis-producer, aggregation-format.md.
    """
    message = member(1, b"key") + b"".join(
        member(3, b"\x08\x00" + member(3, raw or b"")) for raw in raws
    )
    data = b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()
    client = kinesis.client(job.endpoint)
    client.put_record(StreamName=job.stream, Data=data, PartitionKey="key")


def member(number: int, value: bytes) -> bytes:
    """A length-delimited member of a protocol buffer."""
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def varint(value: int) -> bytes:
    more, low = value >> 7, value & 0x7F
    return bytes([low | 0x80]) + varint(more) if more else bytes([low])
