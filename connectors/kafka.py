"""Kafka as a source of raw records and as the topic of dead letters.

Source: exactly once into Flink's state; offsets are committed to the group at each completed
checkpoint, for people to look at; a restart uses the checkpoint, not the group.
Dead letters: at least once; after a crash a reader may see a copy with the same position headers.
"""

from __future__ import annotations

from connectors.sql import create_table
from pipeline.config import Source

# Largest message of the dead-letter topic: a broker's own 1 MiB plus our headers must fit.
DEAD_LETTER_BYTES = 2 * 1024 * 1024

_STARTUP_MODES = {
    "earliest": "earliest-offset",
    "latest": "latest-offset",
    "committed": "group-offsets",
}


def records_table(name: str, source: Source) -> str:
    """The table of raw records: bytes, key, headers, position and the broker's arrival time."""
    columns = {
        "raw": "BYTES",
        "key": "BYTES",
        "headers": "MAP<STRING NOT NULL, BYTES NOT NULL> METADATA VIRTUAL",
        "topic": "STRING NOT NULL METADATA VIRTUAL",
        "partition": "INT NOT NULL METADATA VIRTUAL",
        "offset": "BIGINT NOT NULL METADATA VIRTUAL",
        "arrival_time": "TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL",
    }
    return create_table(
        name,
        columns,
        {
            "connector": "kafka",
            "topic": ";".join(source.kafka_topics),
            "properties.bootstrap.servers": source.kafka_bootstrap_servers,
            "properties.group.id": source.kafka_group_id,
            "properties.isolation.level": source.isolation_level,
            "properties.auto.offset.reset": "earliest",
            "scan.startup.mode": _STARTUP_MODES[source.start],
            "scan.topic-partition-discovery.interval": f"{source.discover_partitions_seconds:g} s",
            **_RAW_KEY_AND_VALUE,
        },
    )


def dead_letters_table(servers: str, topic: str) -> str:
    """Value and key are the original bytes; what is known about them travels in the headers.

    This is the convention of Kafka Connect's dead letter queues: nothing is wrapped or encoded, so
    a redrive copies the value.
    """
    columns = {
        "raw": "BYTES",
        "key": "BYTES",
        "headers": "MAP<STRING NOT NULL, BYTES> METADATA",
    }
    return create_table(
        "dead_letters",
        columns,
        {
            "connector": "kafka",
            "topic": topic,
            "properties.bootstrap.servers": servers,
            "properties.max.request.size": str(DEAD_LETTER_BYTES),
            "sink.delivery-guarantee": "at-least-once",
            **_RAW_KEY_AND_VALUE,
        },
    )


_RAW_KEY_AND_VALUE = {
    "key.format": "raw",
    "key.fields": "key",
    "value.format": "raw",
    "value.fields-include": "EXCEPT_KEY",
}
