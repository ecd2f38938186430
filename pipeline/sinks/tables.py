"""Each sink's table and what fills it, by the back end that the configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from connectors.flink import filesystem as files
from connectors.kafka import table as kafka
from connectors.kinesis import sink as kinesis_sink
from connectors.kinesis import table as kinesis
from connectors.sql import identifier, literal
from pipeline.config.model import Archive, Config, DeadLetters, Replica, Source
from pipeline.events.event_types import EventTypes
from pipeline.flow import Flow
from pipeline.operators import seal_function
from pipeline.sinks.columns import (
    ARRIVAL_DATE,
    ARRIVAL_HOUR,
    ARRIVAL_KEYS,
    HEADERS,
    archive_columns,
    decoded,
    header_map,
    is_for,
    names,
    position,
    position_headers,
    position_text,
    reject_columns,
    texts,
)


class Sink(NamedTuple):
    """The CREATE TABLE, the columns to select into it, and the Kinesis stream of a placeholder."""

    create: str
    select: str
    stream: kinesis.Stream | None = None


# What `seal_step` adds to a record whose bytes may be too many for the target.
SEALED = {"raw_bytes": "INT", "sha256": "STRING", "full_record": "STRING"}


def seal(
    flow: Flow, name: str, view: str, columns: Mapping[str, str], settings: Archive | DeadLetters
) -> str:
    """The view to write from: where there is a `large_path`, a large record leaves only its head.

    The whole of it goes to `large_path`, one folder for each content, exactly once.
    """
    if not settings.large_path:
        return view
    flow.function(f"seal_{name}", seal_function(settings))
    weighed = names(each for each in ("raw", "key", "header_values") if each in columns)
    # `f0` is what the planner calls it where it has to split: with one name it makes one call.
    call = f"SELECT *, seal_{name}({weighed}) AS f0 FROM {view}"
    flow.view(f"weighed_{name}", f"SELECT *, {_WEIGHED} FROM ({call})")
    keys = ["arrival_date", "sha256"]
    create = files.parquet_table(
        f"large_{name}", {**columns, **texts(keys)}, settings.large_path, keys
    )
    select = f"SELECT {names(columns)}, {ARRIVAL_DATE}, sha256 FROM weighed_{name}"
    flow.insert(f"large_{name}", create, f"{select} WHERE is_large")
    flow.view(f"sealed_{name}", f"SELECT {_sealed(columns, settings)} FROM weighed_{name}")
    return f"sealed_{name}"


_WEIGHED = ", ".join(
    f"f0.`{name}` AS `{column}`"
    for name, column in {
        "large": "is_large",
        "head": "head",
        "bytes": "raw_bytes",
        "sha256": "sha256",
    }.items()
)


def _sealed(columns: Mapping[str, str], settings: Archive | DeadLetters) -> str:
    """`columns` with a head in place of the bytes of a large record, and where all of them are."""
    folder = literal(f"{settings.large_path}/arrival_date=")
    full = f"CONCAT({folder}, {ARRIVAL_DATE}, '/sha256=', sha256)"
    cut = {"raw": "CASE WHEN is_large THEN head ELSE `raw` END"}
    cut["key"] = "CASE WHEN NOT is_large THEN `key` END"
    cut["full_record"] = f"CASE WHEN is_large THEN {full} END"
    for name in HEADERS:  # a CASE would cast them, and Flink's cast of ARRAY<BYTES> isn't Java
        first = f"CASE WHEN is_large THEN CARDINALITY({name}) + 1 ELSE 1 END"
        cut[name] = f"ARRAY_SLICE({name}, {first})"
    kept = {**columns, **SEALED}
    return ", ".join(f"{cut.get(name, f'`{name}`')} AS `{name}`" for name in kept)


def archive(config: Config, settings: Archive) -> Sink:
    """Raw records as they came. Exactly once on S3 and Kafka, at least once on Kinesis."""
    columns = archive_columns(config.source)
    if settings.path:
        create = files.parquet_table(
            "archive", columns | texts(ARRIVAL_KEYS), settings.path, ARRIVAL_KEYS
        )
        return Sink(create, f"{names(columns)}, {ARRIVAL_DATE}, {ARRIVAL_HOUR}")
    if settings.kafka_topic:
        prefix = config.transaction_prefix("archive")
        guarantee = kafka.exactly_once(prefix, config.job.transaction_timeout_seconds)
        cluster = config.cluster(settings.kafka_cluster)
        create = kafka.topic_table("archive", settings.kafka_topic, cluster, guarantee)
        sealed = _seal_headers(settings, "source.")
        own = header_map(position_headers(config.source, "source.") | sealed)
        return Sink(create, f"`raw`, `key`, {_with_headers(own)}")
    return _envelope("archive", columns, config, settings)


def dead_letters(config: Config, settings: DeadLetters) -> Sink:
    """Rejects with their reason. Exactly once on S3, at least once on Kafka and Kinesis."""
    columns = reject_columns(config.source)
    if settings.path:
        keys = ["arrival_date"]
        create = files.parquet_table("dead_letters", columns | texts(keys), settings.path, keys)
        return Sink(create, f"{names(columns)}, {ARRIVAL_DATE}")
    if settings.kafka_topic:
        cluster = config.cluster(settings.kafka_cluster)
        topic = settings.kafka_topic
        create = kafka.topic_table("dead_letters", topic, cluster, kafka.AT_LEAST_ONCE)
        headers = {name: name for name in ("step", "reason", "detail")}
        headers |= position_headers(config.source)
        headers |= {"event_type": "event_type", "schema_version": "CAST(schema_version AS STRING)"}
        headers |= _seal_headers(settings)
        return Sink(create, f"`raw`, `key`, {header_map(headers)}")
    return _envelope("dead_letters", columns, config, settings)


def _seal_headers(settings: Archive | DeadLetters, prefix: str = "") -> dict[str, str]:
    sealed = SEALED if settings.large_path else ()
    return {f"{prefix}{name}": f"CAST({name} AS STRING)" for name in sealed}


def _envelope(
    name: str, columns: Mapping[str, str], config: Config, settings: Archive | DeadLetters
) -> Sink:
    stream = kinesis.stream_of(settings.kinesis_stream, config.kinesis)
    all_columns = {**columns, **SEALED, "position": "STRING"}
    create = kinesis.envelope_table(name, all_columns, "position", stream, config.kinesis)
    return Sink(create, f"{names({**columns, **SEALED})}, {position_text(config.source)}")


def replica(name: str, config: Config, settings: Replica) -> Sink:
    """Events or their raw bytes, by trip id. On Kafka with their position in the headers."""
    step = f"replicate_{name}"
    if settings.kinesis_stream:
        stream = kinesis.stream_of(settings.kinesis_stream, config.kinesis)
        return Sink(kinesis_sink.placeholder_table(step), "__value, __document_id", stream)
    guarantee = kafka.AT_LEAST_ONCE
    if settings.guarantee == "exactly_once":
        prefix = config.transaction_prefix(f"replicate.{name}")
        guarantee = kafka.exactly_once(prefix, config.job.transaction_timeout_seconds)
    cluster = config.cluster(settings.kafka_cluster)
    create = kafka.topic_table(step, settings.kafka_topic, cluster, guarantee)
    return Sink(create, "__value, ENCODE(__document_id, 'UTF-8'), __headers")


def chosen(name: str, config: Config, settings: Replica, types: EventTypes) -> str:
    """A query of a replica's events: their fields, for its filter, and what is written of them.

    It is written out in each statement that uses it: of a view the planner computes every column.
    """
    chosen = [each for each in types if each.name in (settings.event_types or types.names)]
    fields = {field.column: decoded(field) for each in chosen for field in each.fields}
    value, size = (
        ("`raw`", "raw_bytes") if settings.value == "raw" else ("d_document", "document_bytes")
    )
    own = {"value": value, "bytes": f"d_{size}", "document_id": "d_document_id"}
    own |= {each: f"`{each}`" for each in ("raw", "key", *position(config.source))}
    own |= {"event_type": "d_event_type", "schema_version": "d_schema_version"}
    headers = {**position_headers(config.source), "event_type": "d_event_type"}
    own |= {"headers": header_map(headers)}
    found = {**fields, **{f"__{each}": expression for each, expression in own.items()}}
    listed = ", ".join(f"{expression} AS {identifier(name)}" for name, expression in found.items())
    wanted = ", ".join(literal(each.name) for each in chosen)
    due = is_for(name, config.source)
    where = f"d_is_event AND d_event_type IN ({wanted}) AND {due}"
    condition = settings.filter or "TRUE"
    return f"SELECT * FROM (SELECT {listed} FROM decoded WHERE {where}) WHERE (\n{condition}\n)"


def too_large(name: str, source: Source) -> str:
    """A replica's rejects as rows of `reject_columns`."""
    known = {
        "step": "'replicate'",
        "reason": "'replica_too_large'",
        "detail": f"CONCAT('replica {name}: ', CAST(__bytes AS STRING), ' bytes')",
    }
    columns = (f"{known.get(each, f'`__{each}`')} AS `{each}`" for each in reject_columns(source))
    return f"SELECT {', '.join(columns)}"


def _with_headers(own: str) -> str:
    """The record's own headers and ours; MAP_UNION of a null map would be null."""
    theirs = "MAP_FROM_ARRAYS(header_names, header_values)"
    return f"CASE WHEN header_names IS NULL THEN {own} ELSE MAP_UNION({theirs}, {own}) END"
