"""Replicas: a subset of the events, or their raw bytes, to a topic or stream, keyed by event id.

Exactly once on Kafka by transactions, with the position in the headers; at least once on Kinesis.
"""

from __future__ import annotations

from connectors.kafka import table as kafka
from connectors.kinesis import sink as kinesis_sink
from connectors.kinesis.table import stream_of
from connectors.sql import identifier, literal
from pipeline.collect.columns import letter_columns
from pipeline.config.filters import read_columns
from pipeline.config.model import Config, Replica, Source
from pipeline.decode import query
from pipeline.decode.records import (
    HEADERS,
    OWN_HEADERS,
    decoded,
    header_map,
    position,
    position_headers,
    unpacked,
)
from pipeline.events.event_types import EventTypes
from pipeline.flow import Sink
from pipeline.operators.pack import VERDICT


def sink(name: str, config: Config, settings: Replica) -> Sink:
    """Return the replica's table, by the system that the settings name."""
    step = f"replicate_{name}"
    if settings.kinesis_stream:
        stream = stream_of(settings.kinesis_stream, config.kinesis)
        return Sink(kinesis_sink.placeholder_table(step), "__value, __document_id", stream)
    guarantee = kafka.AT_LEAST_ONCE
    if settings.guarantee == "exactly_once":
        prefix = config.transaction_prefix(f"replicate.{name}")
        guarantee = kafka.exactly_once(prefix, config.job.transaction_timeout_seconds)
    cluster = config.cluster(settings.kafka_cluster)
    create = kafka.topic_table(step, settings.kafka_topic, cluster, guarantee)
    return Sink(create, "__value, CAST(__document_id AS BYTES), __headers")


def events_select(name: str, config: Config, settings: Replica, types: EventTypes) -> str:
    """Select a replica's events: their fields, for its filter, and what is written of them.

    Each statement that uses it writes it out: the planner computes every column of a view.
    """
    source = config.source
    chosen = [schema for schema in types if schema.name in (settings.event_types or types.names)]
    fields = {field.column: field for schema in chosen for field in schema.fields if field.column}
    read = read_columns(settings.filter, fields)
    columns = {column: decoded(field) for column, field in fields.items() if column in read}
    columns |= _written(source, settings)
    listed = ", ".join(f"{text} AS {identifier(column)}" for column, text in columns.items())
    names = ", ".join(literal(schema.name) for schema in chosen)
    where = f"d_is_event AND d_event_type IN ({names}) AND {_is_due(name, source)}"
    condition = settings.filter or "TRUE"
    return f"SELECT * FROM (SELECT {listed} FROM decoded WHERE {where}) WHERE (\n{condition}\n)"


def rejects_select(name: str, config: Config, events: str) -> str:
    """Select the events too large for the replica as rows of `letter_columns`.

    For files, the list of headers stays packed: `packed_select` hands it to Python.
    """
    known = {
        "step": "'replicate'",
        "reason": "'replica_too_large'",
        "detail": f"CONCAT('replica {name}: ', CAST(__bytes AS STRING), ' bytes')",
        **unpacked(f"__{OWN_HEADERS}"),
    }
    columns = (f"{known.get(column, f'`__{column}`')} AS `{column}`" for column in _letter(config))
    limit = config.replicate[name].max_bytes
    return f"SELECT {', '.join(columns)} FROM ({events}) WHERE __bytes > {limit}"


def packed_select(config: Config) -> str:
    """Select the events too large for any replica as batches for the dead letters' files."""
    rows = " UNION ALL ".join(f"SELECT * FROM too_large_{name}" for name in config.replicate)
    arguments = [*query.arguments(config.source), *map(identifier, VERDICT)]
    # Flink cannot compile EXTRACT(EPOCH …) as an argument of a table function.
    columns = {f"argument_{number}": text for number, text in enumerate(arguments)}
    selected = ", ".join(f"{text} AS {name}" for name, text in columns.items())
    call = f"LATERAL TABLE(pack_step({', '.join(columns)})) AS packed(files)"
    return f"SELECT files FROM (SELECT {selected} FROM ({rows})), {call}"


def _letter(config: Config) -> tuple[str, ...]:
    columns = letter_columns(config.source)
    if config.dead_letters and config.dead_letters.path:
        return (OWN_HEADERS, *(name for name in columns if name not in HEADERS))
    return tuple(columns)


def _written(source: Source, settings: Replica) -> dict[str, str]:
    """Return what a replica and its dead letters need, under names that no field can have."""
    raw = settings.value == "raw"
    written = {
        "value": "`raw`" if raw else "d_document",
        "bytes": "d_raw_bytes" if raw else "d_document_bytes",
        "document_id": "d_document_id",
        **{name: identifier(name) for name in ("raw", "key", *position(source), OWN_HEADERS)},
        "event_type": "d_event_type",
        "schema_version": "d_schema_version",
        "headers": header_map({**position_headers(source), "event_type": "d_event_type"}),
    }
    return {f"__{name}": expression for name, expression in written.items()}


def _is_due(name: str, source: Source) -> str:
    """Return the condition that an event is new, or was redriven to this replica.

    Decode has left out what was redriven for another step.
    """
    if not source.kafka_topics:
        return "TRUE"
    return f"(d_redrive_replica IS NULL OR d_redrive_replica = {literal(name)})"
