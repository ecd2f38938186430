"""Topics and streams followed from their end, on real servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from connectors.errors import UserError
from connectors.kafka import tail as kafka_tail
from connectors.kafka.options import Kafka
from connectors.kinesis import tail as kinesis_tail
from dev.demo.generate import Recipe, generate
from dev.servers import kinesis
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from tests.sending import produce, produce_kinesis

PATIENCE = 60.0
MADE = list(generate(Recipe(events=60, seed=5, defective=0)))
RAWS = sorted(one.raw or b"" for one in MADE)


@pytest.fixture
def cluster(stack: Stack) -> Kafka:
    return Kafka(bootstrap_servers=stack.environment()["KAFKA_BOOTSTRAP_SERVERS"])


def topic(cluster: Kafka) -> str:
    name = f"tail-{uuid4().hex}"
    create_topics(cluster.bootstrap_servers, source=name, dead_letters=None, partitions=2)
    return name


def values(tail: kafka_tail.Tail, wanted: int) -> list[bytes]:
    """Read so many messages, in the order of their values."""
    found: list[Any] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < wanted:
        assert time.monotonic() < deadline, f"{len(found)} of {wanted} came"
        found += [message.value() for message in tail.poll()]
    return sorted(found)


def test_only_what_comes_is_read(cluster: Kafka) -> None:
    name, servers = topic(cluster), cluster.bootstrap_servers
    produce(MADE[:10], servers=servers, topic=name)
    with closing(kafka_tail.Tail(cluster, [name])) as tail:
        produce(MADE, servers=servers, topic=name)
        assert values(tail, len(MADE)) == RAWS
        assert tail.poll() == []


def test_an_open_transaction_is_read_when_it_is_committed(cluster: Kafka) -> None:
    name = topic(cluster)
    settings = {"bootstrap.servers": cluster.bootstrap_servers, "transactional.id": name}
    producer = Producer(settings)
    producer.init_transactions()
    producer.begin_transaction()
    for one in MADE[:10]:
        producer.produce(name, one.raw, one.key)
    producer.flush(30)
    with closing(kafka_tail.Tail(cluster, [name])) as tail:
        for one in MADE[10:]:
            producer.produce(name, one.raw, one.key)
        producer.flush(30)
        assert tail.poll() == []
        producer.commit_transaction()
        assert values(tail, len(MADE)) == RAWS


def test_it_begins_at_a_time_and_knows_the_last_before_the_end(cluster: Kafka) -> None:
    name = f"tail-{uuid4().hex}"
    client = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    ours = NewTopic(name, 2, config={"message.timestamp.type": "CreateTime"})
    client.create_topics([ours])[name].result()
    began_ms = time.time_ns() // 1_000_000 - 60_000
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    for second in range(10):
        at = began_ms + 1_000 * second
        producer.produce(name, b"%d" % second, partition=second % 2, timestamp=at)
    assert producer.flush(30) == 0
    with closing(kafka_tail.Tail(cluster, [name], since_ms=began_ms + 5_500)) as tail:
        assert values(tail, 4) == [b"6", b"7", b"8", b"9"]
        assert tail.last(name, 2, since_ms=0) == {0: (3, 5), 1: (3, 5)}
        assert tail.last(name, 2, since_ms=began_ms + 8_500) == {0: (5, 5), 1: (4, 5)}
        assert tail.last(name, 0, since_ms=began_ms + 3_000) == {0: (2, 5), 1: (1, 5)}
        for at in (began_ms, began_ms + 20_000):  # behind the end at the start
            producer.produce(name, b"late", partition=0, timestamp=at)
        assert producer.flush(30) == 0
        assert tail.last(name, 0, since_ms=began_ms + 15_000) == {0: (5, 5), 1: (5, 5)}


def test_partitions_that_are_added_are_read_whole(cluster: Kafka) -> None:
    name = topic(cluster)
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    with closing(kafka_tail.Tail(cluster, [name], refresh_seconds=0)) as tail:
        admin.create_partitions([NewPartitions(name, 4)])[name].result()
        producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
        for number, one in enumerate(MADE):
            producer.produce(name, one.raw, partition=number % 4)
        assert producer.flush(30) == 0
        assert values(tail, len(MADE)) == RAWS


def test_an_absent_topic_is_named(cluster: Kafka) -> None:
    with pytest.raises(UserError, match="there is no topic nowhere at .*streaming-etl prepare"):
        kafka_tail.Tail(cluster, [topic(cluster), "nowhere"])


@pytest.fixture
def kinesis_client(stack: Stack) -> Any:
    return kinesis.client(stack.environment()["KINESIS_ENDPOINT"])


@pytest.fixture
def stream(stack: Stack, kinesis_client: Any) -> Iterator[str]:
    """A stream of two shards; the server has a limit of shards."""
    name = f"tail-{uuid4().hex}"
    kinesis.create_stream(name, endpoint=stack.environment()["KINESIS_ENDPOINT"], shards=2)
    yield name
    kinesis_client.delete_stream(StreamName=name)


def data(tail: kinesis_tail.Tail, wanted: int) -> list[bytes]:
    """Read so many records, in the order of their content."""
    found: list[bytes] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < wanted:
        assert time.monotonic() < deadline, f"{len(found)} of {wanted} came"
        found += [record.data for record in tail.poll()]
    return sorted(found)


def test_a_stream_is_followed_in_small_pages(stream: str, kinesis_client: Any) -> None:
    produce_kinesis(MADE[:10], client=kinesis_client, stream=stream)
    options: dict[str, Any] = {"records": 7, "pause_seconds": 0.01}
    with closing(kinesis_tail.Tail(kinesis_client, stream, **options)) as tail:
        assert (tail.shards, tail.caught_up) == (2, False)
        produce_kinesis(MADE, client=kinesis_client, stream=stream)
        assert data(tail, len(MADE)) == RAWS


def test_a_stream_is_followed_from_a_time_through_splits_and_merges(
    stack: Stack, stream: str, kinesis_client: Any
) -> None:
    endpoint = stack.environment()["KINESIS_ENDPOINT"]
    started_ms = time.time_ns() // 1_000_000
    produce_kinesis(MADE[:20], client=kinesis_client, stream=stream)
    first, second = kinesis.open_shards(stream, endpoint=endpoint)
    kinesis.split_shard(stream, first, endpoint=endpoint)
    options: dict[str, Any] = {"since_ms": started_ms, "pause_seconds": 0.01}
    with closing(kinesis_tail.Tail(kinesis_client, stream, **options)) as tail:
        produce_kinesis(MADE[20:40], client=kinesis_client, stream=stream)
        children = kinesis.open_shards(stream, endpoint=endpoint)
        kinesis.merge_shards(stream, children[1], second, endpoint=endpoint)
        produce_kinesis(MADE[40:], client=kinesis_client, stream=stream)
        assert data(tail, len(MADE)) == RAWS
        assert tail.poll() == []
        assert tail.shards == 2


def test_iterators_that_expire_before_the_first_record_leave_nothing_out(
    stream: str, kinesis_client: Any
) -> None:
    with closing(kinesis_tail.Tail(kinesis_client, stream, pause_seconds=0.01)) as tail:
        produce_kinesis(MADE, client=kinesis_client, stream=stream)
        tail._open(tail._places)  # as after an expiry
        assert data(tail, len(MADE)) == RAWS


def test_an_absent_stream_is_named(kinesis_client: Any) -> None:
    with pytest.raises(UserError, match="cannot read the stream nowhere"):
        kinesis_tail.Tail(kinesis_client, "nowhere")
