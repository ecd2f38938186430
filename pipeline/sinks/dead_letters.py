"""Dead letters: every reject of every step, with its bytes, position and reason.

Exactly once on S3, at least once on Kafka and Kinesis.
"""

from __future__ import annotations

from connectors.kafka import table as kafka
from connectors.kafka.headers import OWN_HEADER
from pipeline.config.model import Config, DeadLetters, Source
from pipeline.decode.records import (
    ARRIVAL_DATE,
    HEADERS,
    OWN_HEADERS,
    header_map,
    is_new,
    names,
    position,
    position_headers,
    strings,
    unpacked_columns,
)
from pipeline.flow import Sink
from pipeline.sinks import claim_check, index


def columns(source: Source) -> dict[str, str]:
    """Return the columns of a reject: why and where it was rejected, its bytes and its headers."""
    return {
        "raw": "BYTES",
        "key": "BYTES",
        **HEADERS,
        **strings(("step", "reason", "detail")),
        **position(source),
        "event_type": "STRING",
        "schema_version": "INT",
    }


def select(config: Config) -> str:
    """Select every step's rejects as rows of `columns`."""
    parts = [_decode_rejects_select(config.source)]
    if config.index:
        parts.append(index.rejects_select(config.source))
    parts += [f"SELECT * FROM too_large_{name}" for name in config.replicate]
    return " UNION ALL ".join(parts)


def sink(config: Config, settings: DeadLetters) -> Sink:
    """Return the dead letters' table, by the system that the settings name."""
    if settings.path:
        partition = {"arrival_date": ARRIVAL_DATE}
        return Sink.files("dead_letters", columns(config.source), settings.path, partition)
    if settings.kafka_topic:
        return _topic(config, settings)
    return claim_check.envelope("dead_letters", columns(config.source), config, settings)


def _topic(config: Config, settings: DeadLetters) -> Sink:
    cluster = config.cluster(settings.kafka_cluster)
    topic = settings.kafka_topic
    create = kafka.topic_table("dead_letters", topic, cluster, kafka.AT_LEAST_ONCE, OWN_HEADER)
    headers = {
        **{name: name for name in ("step", "reason", "detail")},
        **position_headers(config.source),
        "event_type": "event_type",
        "schema_version": "CAST(schema_version AS STRING)",
        **claim_check.headers(settings),
    }
    return Sink(create, f"`raw`, `key`, {header_map(headers, with_own=True)}")


def _decode_rejects_select(source: Source) -> str:
    step, detail = _step_and_detail(source)
    return (
        f"SELECT `raw`, `key`, {unpacked_columns(OWN_HEADERS)},"
        f" {step} AS step, d_reason AS reason, {detail} AS detail,"
        f" {names(position(source))},"
        " d_event_type AS event_type, d_schema_version AS schema_version"
        " FROM decoded WHERE d_reason IS NOT NULL"
    )


def _step_and_detail(source: Source) -> tuple[str, str]:
    """Return step and detail of what decode rejects; a redriven record keeps its first step.

    A record that a later step rejected is in the lake, and must not be written there again when
    this dead letter is redriven in turn.
    """
    if not source.kafka_topics:
        return "'decode'", "d_detail"
    named = "CONCAT('replica ', d_redrive_replica, ': ', d_detail)"
    return (
        f"CASE WHEN {is_new(source)} THEN 'decode' ELSE d_redrive_step END",
        f"CASE WHEN d_redrive_step = 'replicate' THEN {named} ELSE d_detail END",
    )
