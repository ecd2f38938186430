"""Topics and streams read from end to end, on real servers."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource

from connectors.errors import UserError
from connectors.kafka import reader as kafka_topic
from connectors.kafka.headers import LIST
from connectors.kafka.options import Kafka
from connectors.kinesis import reader as kinesis_stream
from dev.demo.generate import Recipe, generate
from dev.servers import kinesis
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from pipeline.ops.readers import carried
from tests.sending import produce_kinesis

MADE = list(generate(Recipe(events=300, seed=5, defective=0)))


@pytest.fixture
def cluster(stack: Stack) -> Kafka:
    return Kafka(bootstrap_servers=stack.environment()["KAFKA_BOOTSTRAP_SERVERS"])


def test_only_committed_messages_are_read(cluster: Kafka) -> None:
    create_topics(
        cluster.bootstrap_servers, source="read-committed", dead_letters=None, partitions=2
    )
    producer = Producer(
        {"bootstrap.servers": cluster.bootstrap_servers, "transactional.id": "read-committed"}
    )
    producer.init_transactions()
    for commit in (False, True):
        producer.begin_transaction()
        for one in MADE:
            producer.produce("read-committed", one.raw, one.key, headers={"reason": "none"})
        producer.flush(30)
        producer.commit_transaction() if commit else producer.abort_transaction()
    found = list(kafka_topic.messages(cluster, "read-committed"))
    assert sorted(message.value() or b"" for message in found) == sorted(
        one.raw or b"" for one in MADE
    )
    assert {str(kafka_topic.headers(message)) for message in found} == {"{'reason': 'none'}"}


def test_a_dead_letter_has_its_record_s_headers_in_order(cluster: Kafka) -> None:
    create_topics(cluster.bootstrap_servers, source="own-headers", dead_letters=None, partitions=1)
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    own: list[tuple[str, bytes | None]] = [("a", b"1"), ("header.a", None), ("a", b"2")]
    prefixed: Any = [(f"header.{name}", value) for name, value in own]
    packed: Any = [(LIST, b"\x06\x02a\x021\x10header.a\x01\x02a\x022")]
    for headers in (prefixed, packed, [(LIST, None)]):
        producer.produce("own-headers", b"", headers=[*headers, ("step", b"decode")])
    assert producer.flush(30) == 0
    messages = kafka_topic.messages(cluster, "own-headers")
    assert list(map(carried.own_headers, messages)) == [tuple(own), tuple(own), ()]


def test_an_absent_topic_is_named(cluster: Kafka) -> None:
    with pytest.raises(UserError, match="the topic nowhere"):
        list(kafka_topic.messages(cluster, "nowhere"))


def test_topics_are_made_once_and_stamp_the_arrival(cluster: Kafka) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    for _ in range(2):
        create_topics(
            cluster.bootstrap_servers, source="made-once", dead_letters="made-dead", partitions=3
        )
    assert len(admin.list_topics("made-once").topics["made-once"].partitions) == 3
    settings = {
        name: admin.describe_configs([resource])[resource].result()
        for name in ("made-once", "made-dead")
        for resource in [ConfigResource(ConfigResource.Type.TOPIC, name)]
    }
    assert settings["made-once"]["message.timestamp.type"].value == "LogAppendTime"
    assert int(settings["made-dead"]["max.message.bytes"].value) == 2 * 1024 * 1024


def test_a_stream_is_read_whole_after_a_split_and_a_merge(stack: Stack) -> None:
    endpoint, name = stack.environment()["KINESIS_ENDPOINT"], "read-resharded"
    client = kinesis.client(endpoint)
    kinesis.create_stream(name, endpoint=endpoint, shards=2)
    produce_kinesis(MADE[:100], client=client, stream=name)
    first, second = kinesis.open_shards(name, endpoint=endpoint)
    kinesis.split_shard(name, first, endpoint=endpoint)
    produce_kinesis(MADE[100:200], client=client, stream=name)
    children = kinesis.open_shards(name, endpoint=endpoint)
    kinesis.merge_shards(name, children[1], second, endpoint=endpoint)
    produce_kinesis(MADE[200:], client=client, stream=name)
    found = sorted(record.data for record in kinesis_stream.records(client, name))
    assert found == sorted(one.raw or b"" for one in MADE)


def test_an_absent_stream_is_named(stack: Stack) -> None:
    client = kinesis.client(stack.environment()["KINESIS_ENDPOINT"])
    with pytest.raises(UserError, match="cannot read the stream nowhere"):
        list(kinesis_stream.records(client, "nowhere"))
