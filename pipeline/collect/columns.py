"""Columns of the files: as an Arrow schema, and in Flink's words where tables need them, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from pipeline.config.model import Source
from pipeline.decode.arrow_types import arrow_type
from pipeline.decode.decoder import UNKNOWN_FIELDS
from pipeline.decode.records import ARRIVAL_TIME, HEADERS, position, strings
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


def file_schema(event_type: EventType, source: Source, *, keep_unknown: bool) -> pa.Schema:
    """Return the columns of a lake file: the event's fields in the schema's order, its position."""
    fields = [(field.name, arrow_type(field)) for field in event_type.fields]
    unknown = [(UNKNOWN_FIELDS, pa.string())] if keep_unknown else []
    origin = arrow_schema({lake_position(name): kind for name, kind in position(source).items()})
    return pa.schema([*fields, *unknown, *origin, ("schema_version", pa.int32())])


def lake_schema(event_type: EventType, source: Source, *, keep_unknown: bool) -> pa.Schema:
    """Return the columns of an event type's table: those of its files, then its partition."""
    schema = file_schema(event_type, source, keep_unknown=keep_unknown)
    names = event_type.partition_names
    own = [field for field in schema if field.name not in names]
    return pa.schema([*own, *((name, pa.string()) for name in names)])


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
