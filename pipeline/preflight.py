"""What must be so before the job starts: the index templates are made, the topics are there.

An outside system that is away at the start is the operator's to know, so it is refused here; once
the job runs, an OpenSearch that stays away is the index step's business and stops nothing.
"""

from __future__ import annotations

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource

from connectors import opensearch
from connectors.index_templates import ensure_templates
from pipeline.config import Config
from pipeline.derive import mapping
from pipeline.errors import UserError
from pipeline.event_types import EventTypes
from pipeline.index_settings import index_settings

HEADERS_BYTES = 16_384


def run(config: Config, types: EventTypes) -> None:
    """Check the outside systems of this configuration and make what is ours to make.

    Raises:
        UserError: which system, what it said, what to do.
    """
    topics = list(config.source.kafka_topics)
    need_topics(config.source.kafka_bootstrap_servers, topics, "source.kafka_topics")
    dead = config.dead_letters
    if dead and dead.kafka_topic:
        servers = config.dead_letter_servers
        need_topics(servers, [dead.kafka_topic], "dead_letters.kafka_topic")
        need_room(config.source.kafka_bootstrap_servers, topics, servers, dead.kafka_topic)
    if config.index:
        settings = index_settings(config.index)
        client = opensearch.client(settings)
        ensure_templates(client, {each.name: mapping(each) for each in types}, settings)


def need_topics(bootstrap_servers: str, topics: list[str], key: str) -> None:
    """Refuse a topic that the brokers do not have."""
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        known = client.list_topics(timeout=10).topics
    except KafkaException as error:
        raise UserError(
            f"no Kafka broker answers at {bootstrap_servers} ({error.args[0].str()}); is it up?"
        ) from error
    missing = [topic for topic in topics if topic not in known]
    if missing:
        raise UserError(
            f"{key}: the topic {missing[0]} does not exist at {bootstrap_servers}; make it first."
        )


def need_room(servers: str, topics: list[str], dead_servers: str, dead_letters: str) -> None:
    """Refuse a dead-letter topic in which the largest record and its headers do not fit.

    Kafka would refuse that dead letter, and the job would fail over it again and again.
    """
    largest = max(largest_message(servers, topic) for topic in topics)
    room = largest_message(dead_servers, dead_letters)
    if room < largest + HEADERS_BYTES:
        raise UserError(
            f"dead_letters.kafka_topic: {dead_letters} takes messages of {room:,} bytes, the source"
            f" has up to {largest:,} and the headers need {HEADERS_BYTES:,} more; set its"
            f" max.message.bytes to {largest + HEADERS_BYTES} or more."
        )


def largest_message(servers: str, topic: str) -> int:
    """The topic's max.message.bytes."""
    client = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic)
    found = client.describe_configs([asked], request_timeout=10)[asked].result()
    return int(found["max.message.bytes"].value)
