"""The archive in Kafka or Kinesis: every raw record, before anything touches it.

Exactly once on Kafka, at least once on Kinesis. The archive on S3 is collected from decode; see
`pipeline.collect.archive_rows`.
"""

from __future__ import annotations

from connectors.kafka import table as kafka
from connectors.kafka.headers import PACKED
from pipeline.collect.columns import archive_columns
from pipeline.config.model import Archive, Config, Source
from pipeline.decode.records import (
    header_map,
    names,
    position,
    position_headers,
    unpacked_columns,
)
from pipeline.flow import Sink
from pipeline.sinks import claim_check


def select(source: Source) -> str:
    """Return the expressions that fill `archive_columns` from `records`, in the same order."""
    return f"`raw`, `key`, {unpacked_columns(PACKED)}, {names(position(source))}"


def sink(config: Config, settings: Archive) -> Sink:
    """Return the archive's table, by the system that the settings name."""
    if settings.kafka_topic:
        return _topic(config, settings)
    return claim_check.envelope("archive", archive_columns(config.source), config, settings)


def _topic(config: Config, settings: Archive) -> Sink:
    prefix = config.transaction_prefix("archive")
    guarantee = kafka.exactly_once(prefix, config.job.transaction_timeout_seconds)
    cluster = config.cluster(settings.kafka_cluster)
    create = kafka.topic_table("archive", settings.kafka_topic, cluster, guarantee)
    pointers = claim_check.headers(settings, "source.")
    ours = position_headers(config.source, "source.") | pointers
    return Sink(create, f"`raw`, `key`, {header_map(ours, with_own=True)}")
