"""Columns of the files: their names and types in Flink's words, and as an Arrow schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from pipeline.collect.arrow_types import arrow_type
from pipeline.config.model import Source
from pipeline.decode.decoder import UNKNOWN_FIELDS
from pipeline.decode.records import ARRIVAL_TIME, HEADERS, position, strings
from pipeline.events.derive import flink_type
from pipeline.events.model import EventType

_INSTANT: Final = pa.timestamp("ms", tz="UTC")
_ARROW: Final = {
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    "BYTES": pa.binary(),
    "DOUBLE": pa.float64(),
    "INT": pa.int32(),
    "STRING": pa.string(),
    "TIMESTAMP_LTZ(3)": _INSTANT,
    "ARRAY<BYTES>": pa.list_(pa.binary()),
    "ARRAY<STRING>": pa.list_(pa.string()),
}


def lake_columns(event_type: EventType, source: Source, *, keep_unknown: bool) -> dict[str, str]:
    """Return the event's fields in the schema's order, then its position and partition."""
    fields = {field.name: flink_type(field) for field in event_type.fields}
    unknown = {UNKNOWN_FIELDS.name: flink_type(UNKNOWN_FIELDS)} if keep_unknown else {}
    origin = {lake_position(name): kind for name, kind in position(source).items()}
    return (
        fields | unknown | origin | {"schema_version": "INT"} | strings(event_type.partition_names)
    )


def lake_schema(event_type: EventType, source: Source, *, keep_unknown: bool) -> pa.Schema:
    """Return the event's fields in the schema's order, then its position, and its partition last.

    Partition columns are texts: they are in a file's path, not in the file.
    """
    keys = event_type.partition_names
    fields = {field.name: arrow_type(field) for field in event_type.fields}
    unknown = {UNKNOWN_FIELDS.name: pa.string()} if keep_unknown else {}
    origin = {lake_position(name): _ARROW[kind] for name, kind in position(source).items()}
    columns = fields | unknown | origin | {"schema_version": pa.int32()}
    stored = [(name, kind) for name, kind in columns.items() if name not in keys]
    return pa.schema([*stored, *((name, pa.string()) for name in keys)])


def local_columns(event_type: EventType) -> frozenset[str]:
    """Return the columns of local timestamps.

    Files from before 0.3 mark no time as UTC, and all of theirs are: without the schema, those look
    the same.
    """
    return frozenset(field.name for field in event_type.fields if field.kind == "local_timestamp")


def lake_position(name: str) -> str:
    """Return the lake's name of a position column: an event may have a field `topic`."""
    return name if name in ARRIVAL_TIME else f"source_{name}"


def archive_columns(source: Source) -> dict[str, str]:
    """Return the columns of a raw record: as it came, with its position."""
    return {"raw": "BYTES", "key": "BYTES", **HEADERS, **position(source)}


def letter_columns(source: Source) -> dict[str, str]:
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


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Return the columns as an Arrow schema; every field may be null."""
    return pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])
