"""THE PAGE: the whole flow, one statement per step.

records -> archive
        -> decode -> lake, one table per event type
                  -> index -> rejects
                  -> replicate, each replica its own subset -> rejects
                  -> rejects -> dead_letters
"""

from __future__ import annotations

from connectors import sql
from connectors.flink import filesystem as files
from connectors.kafka import table as kafka
from connectors.kinesis import table as kinesis
from pipeline.config.model import Archive, Config, DeadLetters, Index, Lake, Replica
from pipeline.decode import query as decode_query
from pipeline.events.event_types import EventType, EventTypes
from pipeline.flow import Flow
from pipeline.operators import decode_function, decode_row, index_function
from pipeline.sinks import columns as tables
from pipeline.sinks import tables as sinks
from pipeline.sinks.columns import ARRIVAL_MS, LAKE_KEYS, names, position


def build(flow: Flow, config: Config, types: EventTypes) -> Flow:
    """Guarantees: S3 and Kafka by transactions exactly once; index effectively once; dead letters
    on Kafka, and Kinesis, at least once."""
    records = read(flow, config)
    if config.archive:
        archive(flow, config, config.archive, records)
    decode(flow, config, types, records)
    if config.lake:
        for event_type in types:
            lake(flow, config, config.lake, event_type)
    if config.index:
        index(flow, config, config.index, types)
    for name, replica in config.replicate.items():
        replicate(flow, config, replica, name, types)
    if config.job.discard:
        flow.insert("discard", sql.discard_table("discard"), "SELECT d_event_type FROM decoded")
    if config.dead_letters:
        dead_letters(flow, config, config.dead_letters)
    return flow


def read(flow: Flow, config: Config) -> str:
    """Raw records of every topic and stream, with their position and arrival time; their view."""
    source, selects = config.source, []
    if source.kafka_topics:
        cluster = config.cluster(source.kafka_cluster)
        flow.table(kafka.records_table("records_kafka", source, cluster))
        selects.append(tables.records_select(source, "records_kafka", tables.kafka_gives(source)))
    for stream in (kinesis.stream_of(each, config.kinesis) for each in source.kinesis_streams):
        name, gives = f"records_{stream.name}", tables.kinesis_gives(stream.name)
        flow.table(kinesis.records_table(name, stream, source, config.kinesis))
        selects.append(tables.records_select(source, name, gives))
    if not source.kinesis_streams and not source.archived_from:
        return "records_kafka"  # a view would be a copy of every record
    flow.view("records", " UNION ALL ".join(selects))
    return "records"


def archive(flow: Flow, config: Config, settings: Archive, records: str) -> None:
    """Keep every raw record, before anything touches it."""
    columns = tables.archive_columns(config.source)
    flow.view("raw_records", f"SELECT {tables.archive_select(config.source)} FROM {records}")
    sealed = sinks.seal(flow, "archive", "raw_records", columns, settings)
    create, select, _ = sinks.archive(config, settings)
    flow.insert("archive", create, f"SELECT {select} FROM {sealed}")


def decode(flow: Flow, config: Config, types: EventTypes, records: str) -> None:
    """Bytes to event or reject. Index and replicas want the stream's order; without them the rows
    of a lake partition come together."""
    documents = bool(config.index or config.replicate)
    through = () if documents else decode_query.through(config.source)
    step = decode_function(config.decode, types, documents=documents, through=through)
    flow.function("decode_step", step)
    row = decode_row(config.decode, types, documents=documents)
    columns = decode_query.select(config.source, row, through)
    flow.view("decoded", f"SELECT {columns} FROM ({decode_query.call(records, through)})")


def lake(flow: Flow, config: Config, settings: Lake, event_type: EventType) -> None:
    """The events of one type as Parquet by pickup place, year and month."""
    keep, name = config.decode.unknown_fields == "keep", f"lake_{event_type.name}"
    columns = tables.lake_columns(event_type, config.source, keep_unknown=keep)
    create = files.lake_table(name, columns, event_type.name, LAKE_KEYS, settings)
    where = f"d_is_event AND d_event_type = '{event_type.name}'"
    where += f" AND {tables.is_new(config.source)}"
    select = tables.lake_select(event_type, config.source, keep_unknown=keep)
    flow.insert(name, create, f"SELECT {select} FROM decoded WHERE {where}")


def index(flow: Flow, config: Config, settings: Index, types: EventTypes) -> None:
    """Events to OpenSearch; what it refuses comes back as a reject."""
    flow.function("index_step", index_function(settings, types))
    document = f"d_event_type, d_document_id, d_document_version, d_document, {ARRIVAL_MS}"
    kept = f"`raw`, `key`, {names(position(config.source))}, d_event_type AS event_type"
    select = f"{kept}, d_schema_version AS schema_version, index_step({document}) AS i"
    flow.view("indexed", f"SELECT {select} FROM decoded WHERE d_is_event")


def replicate(flow: Flow, config: Config, settings: Replica, name: str, types: EventTypes) -> None:
    """A subset of the events, by type and condition, to a topic or stream of its own."""
    chosen = sinks.chosen(name, config, settings, types)
    flow.check(chosen, f"replicate.{name}.filter", settings.filter)
    create, select, stream = sinks.replica(name, config, settings)
    fits = f"FROM ({chosen}) WHERE __bytes <= {settings.max_bytes}"
    flow.insert(f"replicate_{name}", create, f"SELECT {select} {fits}", stream)
    too_large = f"{sinks.too_large(name, config.source)} FROM ({chosen})"
    flow.view(f"too_large_{name}", f"{too_large} WHERE __bytes > {settings.max_bytes}")


def dead_letters(flow: Flow, config: Config, settings: DeadLetters) -> None:
    """Every reject of every step, with its bytes, position and reason."""
    flow.view("rejects", tables.rejects_select(config))
    columns = tables.reject_columns(config.source)
    letters = sinks.seal(flow, "dead_letters", "rejects", columns, settings)
    create, select, _ = sinks.dead_letters(config, settings)
    flow.insert("dead_letters", create, f"SELECT {select} FROM {letters}")
