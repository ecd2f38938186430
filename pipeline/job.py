"""THE PAGE: the whole flow, one statement per step.

records -> archive
        -> decode -> lake, one table per event type
                  -> index -> rejects
                  -> rejects -> dead_letters
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from connectors import files, kafka
from pipeline.config import Archive, Config, DeadLetters, Index, Source
from pipeline.event_types import EventType, EventTypes
from pipeline.operators import decode_function, index_function
from pipeline.tables import (
    ARCHIVE,
    ARRIVAL_KEYS,
    LAKE_KEYS,
    POSITION,
    REJECT,
    archive_select,
    dead_letters_select,
    lake_columns,
    lake_select,
    names,
    rejects_select,
    texts,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flow:
    """The statements of one job; `sinks` are their names, in order. Nothing runs until executed."""

    tables: Any
    statements: Any
    sinks: list[str] = field(default_factory=list)

    def view(self, name: str, select: str) -> None:
        """Give a SELECT a name."""
        self.tables.create_temporary_view(name, self.tables.sql_query(select))

    def insert(self, name: str, create: str, select: str) -> None:
        """Make a sink's table and fill it."""
        self.tables.execute_sql(create)
        self.statements.add_insert_sql(f"INSERT INTO {name} {select}")
        self.sinks.append(name)


def build(tables: Any, config: Config, types: EventTypes) -> Flow:
    """Guarantees: files on S3 exactly once; index effectively once; dead letters on Kafka at
    least once."""
    flow = Flow(tables, tables.create_statement_set())
    read(flow, config.source)
    if config.archive:
        archive(flow, config.archive)
    if config.lake or config.index:
        decode(flow, config, types)
        for event_type in types if config.lake else ():
            lake(flow, config, event_type)
        if config.index:
            index(flow, config.index, types)
        if config.dead_letters:
            dead_letters(flow, config, config.dead_letters)
    return flow


def read(flow: Flow, settings: Source) -> None:
    """Raw records with their position and arrival time."""
    flow.tables.execute_sql(kafka.records_table("records", settings))


def archive(flow: Flow, settings: Archive) -> None:
    """Keep every raw record, before anything touches it."""
    columns = ARCHIVE | texts(ARRIVAL_KEYS)
    create = files.parquet_table("archive", columns, settings.path, ARRIVAL_KEYS)
    flow.insert("archive", create, f"SELECT {archive_select()} FROM records")


def decode(flow: Flow, config: Config, types: EventTypes) -> None:
    """Bytes to event or reject; the position goes round Python, not through it."""
    function = decode_function(config.decode, types, documents=config.index is not None)
    flow.tables.create_temporary_function("decode_step", function)
    select = f"`raw`, `key`, {names(POSITION)}, decode_step(`raw`, arrival_time) AS d"
    flow.view("decoded", f"SELECT {select} FROM records")


def lake(flow: Flow, config: Config, event_type: EventType) -> None:
    """The events of one type as Parquet by pickup place, year and month."""
    assert config.lake
    keep, name = config.decode.unknown_fields == "keep", f"lake_{event_type.name}"
    columns = lake_columns(event_type, keep_unknown=keep)
    create = files.lake_table(name, columns, event_type.name, LAKE_KEYS, config.lake)
    where = f"d.kind = 'event' AND d.event_type = '{event_type.name}'"
    select = f"SELECT {lake_select(event_type, keep_unknown=keep)} FROM decoded WHERE {where}"
    flow.insert(name, create, select)


def index(flow: Flow, settings: Index, types: EventTypes) -> None:
    """Events to OpenSearch; what it refuses comes back as a reject."""
    flow.tables.create_temporary_function("index_step", index_function(settings, types))
    document = "d.event_type, d.document_id, d.document_version, d.document"
    select = f"`raw`, `key`, {names(POSITION)}, d.event_type AS event_type, d.schema_version"
    call = f"index_step({document}, arrival_time) AS i"
    flow.view("indexed", f"SELECT {select}, {call} FROM decoded WHERE d.kind = 'event'")


def dead_letters(flow: Flow, config: Config, settings: DeadLetters) -> None:
    """Every reject of every step, with its bytes, position and reason."""
    flow.view("rejects", rejects_select(config))
    if settings.path:
        columns, keys = REJECT | texts(["arrival_date"]), ["arrival_date"]
        create = files.parquet_table("dead_letters", columns, settings.path, keys)
    else:
        create = kafka.dead_letters_table(config.dead_letter_servers, settings.kafka_topic)
    flow.insert("dead_letters", create, f"SELECT {dead_letters_select(settings)} FROM rejects")
