"""Flink SQL tables on Kafka: the source of raw records, and topics that sinks write to.

Source: exactly once into Flink's state. Offsets are committed to the consumer group at each
completed checkpoint, for monitoring only: a restart uses the checkpoint, not the group.
Sinks: at least once (after a crash a reader may see a duplicate with the same position headers), or
exactly once by transactions: a reader with `isolation.level=read_committed` sees each record once,
when its checkpoint has completed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from connectors.kafka import headers
from connectors.kafka.options import Kafka
from connectors.kafka.security import flink_properties
from connectors.sql import create_table

# Upper bound of the size of a message's position headers.
HEADERS_BYTES = 16_384
# The client's limit; higher than any topic's, so that the topic's max.message.bytes applies.
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
    """The keys of the configuration's section `source` that are about Kafka."""

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
    """Return the CREATE statement of raw records: value, key, headers, position, arrival time.

    `headers` has the last value of each name, and all headers in `headers.PACKED`.
    """
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
    options = {
        "connector": "kafka",
        "topic": ";".join(source.kafka_topics),
        "properties.group.id": source.kafka_group_id,
        "properties.isolation.level": source.kafka_isolation_level,
        "properties.auto.offset.reset": "earliest",
        "scan.startup.mode": _STARTUP_MODES[source.kafka_start],
        "scan.topic-partition-discovery.interval": discovery,
        **headers.READING,
        **_RAW_KEY_AND_VALUE,
        **flink_properties(cluster),
    }
    return create_table(name, columns, options)


def topic_table(
    name: str, topic: str, cluster: Kafka, guarantee: Mapping[str, str], own_prefix: str = ""
) -> str:
    """Return the CREATE statement of a topic to write to.

    Value and key are raw bytes, the position is in the headers, as in Kafka Connect's dead letter
    queues: nothing is wrapped or encoded, so a redrive copies the value. `guarantee` is
    `AT_LEAST_ONCE` or the result of `exactly_once`. The headers of `headers.LIST` are written with
    the prefix `own_prefix`.
    """
    column = "MAP<STRING NOT NULL, BYTES> METADATA"
    options = {
        "connector": "kafka",
        "topic": topic,
        "properties.max.request.size": str(_REQUEST_BYTES),
        **headers.writing(own_prefix),
        **guarantee,
        **_RAW_KEY_AND_VALUE,
        **flink_properties(cluster),
    }
    return create_table(name, {"raw": "BYTES", "key": "BYTES", "headers": column}, options)


AT_LEAST_ONCE: Mapping[str, str] = {"sink.delivery-guarantee": "at-least-once"}


def exactly_once(prefix: str, timeout_seconds: int) -> dict[str, str]:
    """Return the options of a transactional sink; each task has one transaction per checkpoint.

    Kafka aborts a transaction that is older than the timeout, and Flink's sink then drops its
    records and continues: so the timeout must be longer than any outage.
    """
    return {
        "sink.delivery-guarantee": "exactly-once",
        "sink.transactional-id-prefix": prefix,
        "properties.transaction.timeout.ms": str(timeout_seconds * 1000),
    }
