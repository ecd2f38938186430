"""Marks of what was redriven to a Kafka topic: a compacted topic beside it, `<topic>.redriven`.

A mark is written in the transaction of the record that it speaks of, so both are there or neither.
"""

from __future__ import annotations

from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from connectors.errors import UserError
from connectors.kafka import admin as kafka_admin
from connectors.kafka import reader as kafka_topic
from connectors.kafka.admin import Brokers
from connectors.kafka.options import Kafka
from pipeline.ops.dead_letters.letter import mark_of

_SECONDS: Final = 10.0
_ENOUGH_SECONDS: Final = 30.0
_COMPACT: Final = {"cleanup.policy": "compact"}


def marks_topic(topic: str) -> str:
    """The topic of the marks of another."""
    return f"{topic}.redriven"


def read_marks(cluster: Kafka, topic: str) -> set[bytes]:
    """What was redriven to the topic by committed transactions; empty where nothing ever was."""
    known = marks_topic(topic) in kafka_admin.connect(cluster).topics
    return marks_in(cluster, topic) if known else set()


def marks_in(cluster: Kafka, topic: str) -> set[bytes]:
    """As `read_marks`; UserError where the topic of the marks isn't there."""
    found: set[bytes] = set()
    for message in kafka_topic.messages(cluster, marks_topic(topic)):
        key: Any = message.key()
        if key is not None:
            found.add(mark_of(bytes(key).decode(errors="replace")))
    return found


def make_marks_topic(brokers: Brokers, topic: str) -> None:
    """Make the topic where it isn't there yet, on as many brokers as the other.

    Raises:
        UserError: it can't be made, or there is one that would forget marks.
    """
    name = marks_topic(topic)
    if name in brokers.topics:
        _refuse_forgetful(brokers.client, name)
        return
    partitions = brokers.client.list_topics(topic, timeout=_SECONDS).topics[topic].partitions
    copies = len(partitions[min(partitions)].replicas)
    asked = NewTopic(name, 1, copies, config=_COMPACT)
    try:
        brokers.client.create_topics([asked], operation_timeout=_ENOUGH_SECONDS)[name].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise UserError(
                f"cannot make the topic {name}, which remembers what was redriven"
                f" ({error.args[0].str()}); allow it, or make it: 1 partition,"
                " cleanup.policy=compact."
            ) from error


def _refuse_forgetful(client: AdminClient, name: str) -> None:
    asked = ConfigResource(ConfigResource.Type.TOPIC, name)
    found = client.describe_configs([asked], request_timeout=_SECONDS)[asked].result()
    policy = found["cleanup.policy"].value
    if policy != "compact":
        raise UserError(
            f"the topic {name} has cleanup.policy={policy}, so it would forget what was redriven;"
            " set it to compact."
        )
