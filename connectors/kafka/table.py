"""Kafka: a source of raw records, and topics for archive, dead letters and replicas.

Source: exactly once into Flink's state; offsets are committed to the group at each completed
checkpoint, for people to look at; a restart uses the checkpoint, not the group.
Sinks: at least once (after a crash a reader may see a copy with the same position headers), or
exactly once by transactions: a reader with `isolation.level=read_committed` sees a record once its
checkpoint has completed, and once only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from connectors.kafka.options import Kafka
from connectors.kafka.security import flink_properties
from connectors.sql import create_table

# What a message's position headers may take, beside its value and key.
HEADERS_BYTES = 16_384
# The client's own limit, above any topic's; the topic's max.message.bytes decides.
_REQUEST_BYTES = 16 * 1024 * 1024

_STARTUP_MODES = {
    "earliest": "earliest-offset",
    "latest": "latest-offset",
    "committed": "group-offsets",
}
_RAW_KEY_AND_VALUE = {
    "key.format": "raw",
    "key.fields": "key",
    "value.format": "raw",
    "value.fields-include": "EXCEPT_KEY",
}


class KafkaSource(Protocol):
    """What a source reads from Kafka; see the section `source` of the configuration."""

    @property
    def kafka_topics(self) -> tuple[str, ...]: ...
    @property
    def kafka_group_id(self) -> str: ...
    @property
    def kafka_start(self) -> str: ...
    @property
    def kafka_isolation_level(self) -> str: ...
    @property
    def kafka_discover_partitions_seconds(self) -> float: ...


def records_table(name: str, source: KafkaSource, cluster: Kafka) -> str:
    """The table of raw records: bytes, key, headers, position and the broker's arrival time."""
    columns = {
        "raw": "BYTES",
        "key": "BYTES",
        "headers": "MAP<STRING, BYTES> NOT NULL METADATA VIRTUAL",
        "topic": "STRING NOT NULL METADATA VIRTUAL",
        "partition": "INT NOT NULL METADATA VIRTUAL",
        "offset": "BIGINT NOT NULL METADATA VIRTUAL",
        "arrival_time": "TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL",
    }
    discovery = f"{source.kafka_discover_partitions_seconds:g} s"
    return create_table(
        name,
        columns,
        {
            "connector": "kafka",
            "topic": ";".join(source.kafka_topics),
            "properties.group.id": source.kafka_group_id,
            "properties.isolation.level": source.kafka_isolation_level,
            "properties.auto.offset.reset": "earliest",
            "scan.startup.mode": _STARTUP_MODES[source.kafka_start],
            "scan.topic-partition-discovery.interval": discovery,
            **_RAW_KEY_AND_VALUE,
            **flink_properties(cluster),
        },
    )


def topic_table(name: str, topic: str, cluster: Kafka, guarantee: Mapping[str, str]) -> str:
    """A topic to write to: value and key are bytes as they are, the position is in the headers.

    This is the convention of Kafka Connect's dead letter queues: nothing is wrapped or encoded, so
    a redrive copies the value. `guarantee` is `AT_LEAST_ONCE` or made by `exactly_once`.
    """
    columns = {
        "raw": "BYTES",
        "key": "BYTES",
        "headers": "MAP<STRING NOT NULL, BYTES> METADATA",
    }
    return create_table(
        name,
        columns,
        {
            "connector": "kafka",
            "topic": topic,
            "properties.max.request.size": str(_REQUEST_BYTES),
            **guarantee,
            **_RAW_KEY_AND_VALUE,
            **flink_properties(cluster),
        },
    )


AT_LEAST_ONCE: Mapping[str, str] = {"sink.delivery-guarantee": "at-least-once"}


def exactly_once(prefix: str, timeout_seconds: int) -> dict[str, str]:
    """By transactions, one from checkpoint to checkpoint on each task.

    Kafka aborts a transaction that is older than the timeout, and Flink's sink then drops what was
    in it and goes on: so the timeout must outlive any outage.
    """
    return {
        "sink.delivery-guarantee": "exactly-once",
        "sink.transactional-id-prefix": prefix,
        "properties.transaction.timeout.ms": str(timeout_seconds * 1000),
    }
