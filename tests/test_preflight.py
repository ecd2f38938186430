"""What is missing outside is told before the job is submitted."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.errors import UserError
from pipeline.local.stack import Stack
from pipeline.preflight import need_room, need_topics


@pytest.fixture(scope="module")
def servers(stack: Stack) -> str:
    address = stack.environment()["KAFKA_BOOTSTRAP_SERVERS"]
    admin = AdminClient({"bootstrap.servers": address})
    large = {"max.message.bytes": "2097152"}
    made = [
        NewTopic("pre-a", 1, 1),
        NewTopic("pre-small", 1, 1),
        NewTopic("pre-l", 1, 1, config=large),
    ]
    for future in admin.create_topics(made).values():
        future.result()
    return address


def test_a_topic_that_is_not_there_is_named(servers: str) -> None:
    need_topics(servers, ["pre-a"], "source.kafka_topics")
    with pytest.raises(UserError, match=r"source.kafka_topics: the topic nowhere does not exist"):
        need_topics(servers, ["pre-a", "nowhere"], "source.kafka_topics")


def test_a_dead_letter_topic_that_is_too_small_is_refused(servers: str) -> None:
    need_room(servers, ["pre-a"], servers, "pre-l")
    with pytest.raises(UserError, match=r"pre-small takes messages of 1,048,588 bytes"):
        need_room(servers, ["pre-a"], servers, "pre-small")


def test_brokers_that_are_away_are_named() -> None:
    with pytest.raises(UserError, match=r"no Kafka broker answers at 127.0.0.1:1"):
        need_topics("127.0.0.1:1", ["x"], "source.kafka_topics")
