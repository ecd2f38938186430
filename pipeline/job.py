"""THE PAGE: the whole flow, one statement per step.

records -> archive, if in Kafka or Kinesis
        -> decode -> index -> rejects
                  -> replicate, each replica its own subset -> rejects
                  -> rejects -> dead_letters, if in Kafka or Kinesis
                  -> collect -> files of the lake, and of archive and dead_letters below a path
"""

from __future__ import annotations

from connectors import sql
from connectors.kafka import table as kafka
from connectors.kinesis import table as kinesis
from connectors.opensearch.options import Index
from pipeline.collect.columns import archive_columns, letter_columns
from pipeline.config.model import Archive, Config, DeadLetters, Replica
from pipeline.decode import query, records
from pipeline.events.event_types import EventTypes
from pipeline.flow import Flow, Sink
from pipeline.operators.decode import decode_function, decode_row
from pipeline.operators.index import index_function
from pipeline.operators.pack import pack_function
from pipeline.sinks import archive as archive_sink
from pipeline.sinks import claim_check as claims
from pipeline.sinks import dead_letters as dead_letters_sink
from pipeline.sinks import index as index_sink
from pipeline.sinks import replica as replica_sink


def build(flow: Flow, config: Config, types: EventTypes) -> Flow:
    """Add every step to the flow. Nothing runs yet.

    Exactly once on S3 and by Kafka transactions, effectively once in the index, else at least once.
    """
    view = read(flow, config)
    if config.archive and not config.archive.path:
        archive(flow, config, config.archive, view)
    decode(flow, config, types, view)
    if config.index:
        index(flow, config, config.index, types)
    for name, replica in config.replicate.items():
        replicate(flow, config, replica, name, types)
    if config.job.discard:
        flow.insert("discard", Sink(sql.discard_table("discard"), "d_event_type"), "decoded")
    if config.dead_letters:
        dead_letters(flow, config, config.dead_letters)
    flow.insert_collected()
    return flow


def read(flow: Flow, config: Config) -> str:
    """Read the raw records of every topic and stream; return their view."""
    source, selects = config.source, []
    if source.kafka_topics:
        cluster = config.cluster(source.kafka_cluster)
        flow.table(kafka.records_table("records_kafka", source, cluster))
        columns = records.kafka_expressions(source)
        selects.append(records.records_select(source, "records_kafka", columns))
    for stream in (kinesis.stream_of(key, config.kinesis) for key in source.kinesis_streams):
        name, columns = f"records_{stream.name}", records.kinesis_expressions(stream.name)
        flow.table(kinesis.records_table(name, stream, source, config.kinesis))
        selects.append(records.records_select(source, name, columns))
    if not source.kinesis_streams and not source.archived_from:
        return "records_kafka"  # a view would be a copy of every record
    flow.union("records", selects)
    return "records"


def archive(flow: Flow, config: Config, settings: Archive, view: str) -> None:
    """Keep every raw record, before anything touches it."""
    columns = archive_columns(config.source)
    flow.view("raw_records", f"SELECT {archive_sink.select(config.source)} FROM {view}")
    checked = claims.write_large(flow, "archive", "raw_records", columns, settings)
    flow.insert("archive", archive_sink.sink(config, settings), checked)


def decode(flow: Flow, config: Config, types: EventTypes, view: str) -> None:
    """Turn bytes into events or rejects, and these into batches for the files of every step."""
    flow.function("decode_step", decode_function(config, types, flow.targets))
    flow.view("decoded", query.select(config.source, view, decode_row(config, types)))
    if flow.targets:
        flow.collect("SELECT files FROM decoded WHERE files IS NOT NULL")


def index(flow: Flow, config: Config, settings: Index, types: EventTypes) -> None:
    """Send batches of events to OpenSearch; what it rejects comes back as `indexed`."""
    keys = flow.keys("dead_letters")
    flow.function("index_step", index_function(settings, types, config.source, keys))
    flow.view("indexed", index_sink.select(config))
    if keys:
        flow.collect("SELECT files FROM indexed")
    elif not config.dead_letters:  # The archive has what is rejected; something must ask for it.
        flow.insert("rejects", Sink(sql.discard_table("rejects"), "reason"), "indexed")


def replicate(flow: Flow, config: Config, settings: Replica, name: str, types: EventTypes) -> None:
    """Copy a subset of the events, by type and condition, to a topic or stream."""
    events = replica_sink.events_select(name, config, settings, types)
    flow.check(events, f"replicate.{name}.filter", settings.filter)
    fitting = f"({events}) WHERE __bytes <= {settings.max_bytes}"
    flow.insert(f"replicate_{name}", replica_sink.sink(name, config, settings), fitting)
    flow.view(f"too_large_{name}", replica_sink.rejects_select(name, config, events))


def dead_letters(flow: Flow, config: Config, settings: DeadLetters) -> None:
    """Keep every reject of every step, with its bytes, position and reason.

    For files, decode and index have made batches of theirs.
    """
    if settings.path:
        if config.replicate:
            flow.function("pack_step", pack_function(config.source, flow.keys("dead_letters")))
            flow.collect(replica_sink.packed_select(config))
        return
    flow.view("rejects", dead_letters_sink.select(config))
    columns = letter_columns(config.source)
    checked = claims.write_large(flow, "dead_letters", "rejects", columns, settings)
    flow.insert("dead_letters", dead_letters_sink.sink(config, settings), checked)
