"""Dead letters in Kafka or Kinesis: every reject of every step, with its bytes and its reason.

At least once. Dead letters on S3 are collected from the steps; see `pipeline.collect.letters`.
"""

from __future__ import annotations

from connectors.kafka import table as kafka
from connectors.kafka.headers import OWN_HEADER
from pipeline.collect.columns import letter_columns
from pipeline.config.model import Config, DeadLetters, Source
from pipeline.decode.records import (
    OWN_HEADERS,
    header_map,
    names,
    position,
    position_headers,
    unpacked_columns,
)
from pipeline.flow import Sink
from pipeline.sinks import claim_check, index


def select(config: Config) -> str:
    """Select every step's rejects as rows of `letter_columns`."""
    parts = [_decode_rejects_select(config.source)]
    if config.index:
        parts.append(index.rejects_select(config.source))
    parts += [f"SELECT * FROM too_large_{name}" for name in config.replicate]
    return " UNION ALL ".join(parts)


def sink(config: Config, settings: DeadLetters) -> Sink:
    """Return the dead letters' table, by the system that the settings name."""
    if settings.kafka_topic:
        return _topic(config, settings)
    return claim_check.envelope("dead_letters", letter_columns(config.source), config, settings)


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
    return (
        f"SELECT `raw`, `key`, {unpacked_columns(OWN_HEADERS)},"
        f" d_step AS step, d_reason AS reason, d_detail AS detail, {names(position(source))},"
        " d_event_type AS event_type, d_schema_version AS schema_version"
        " FROM decoded WHERE d_reason IS NOT NULL"
    )
