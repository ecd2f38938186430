"""The redrive log of a Kafka topic: a compacted topic beside it, `<topic>.redriven`.

An entry is written in the transaction of its record, so both are stored or neither.
"""

from __future__ import annotations

from typing import Any

from connectors.kafka import admin as kafka_admin
from connectors.kafka import reader as kafka_topic
from connectors.kafka.admin import Brokers
from connectors.kafka.options import Kafka
from pipeline.ops.dead_letters.letter import log_key


def log_topic(topic: str) -> str:
    """Return the name of a topic's redrive log."""
    return f"{topic}.redriven"


def read_log(cluster: Kafka, topic: str) -> set[bytes]:
    """Return what committed transactions redrove to the topic; empty if nothing was."""
    known = log_topic(topic) in kafka_admin.connect(cluster).topics
    return logged_in(cluster, topic) if known else set()


def logged_in(cluster: Kafka, topic: str) -> set[bytes]:
    """Return the entries of the log; UserError if its topic is missing."""
    found: set[bytes] = set()
    for message in kafka_topic.messages(cluster, log_topic(topic)):
        key: Any = message.key()
        if key is not None:
            found.add(log_key(bytes(key).decode(errors="replace")))
    return found


def make_log_topic(brokers: Brokers, topic: str) -> None:
    """Create the log's topic where it is missing, with as many replicas as the other.

    Raises:
        UserError: it can't be created, or the existing one would forget entries.
    """
    brokers.ensure_compacted(log_topic(topic), replicas_of=topic)
