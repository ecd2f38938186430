"""SQL for a lake row's document id and version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pipeline.events.model import EventType, Field, Unit

Column = Callable[[str, str], str]
"""Returns SQL for a column of the lake as a type; NULL where it can't be, or is none."""

EPOCH: Final[Mapping[Unit, tuple[str, str]]] = {
    "ms": ("epoch_ms", "TIMESTAMP"),
    "us": ("epoch_us", "TIMESTAMP"),
    "ns": ("epoch_ns", "TIMESTAMP_NS"),
}
"""The function for the number of each unit since 1970, and the type that it takes."""

_FORMATS: Final[Mapping[Unit, str]] = {
    "ms": "%Y-%m-%dT%H:%M:%S.%gZ",
    "us": "%Y-%m-%dT%H:%M:%S.%fZ",
    "ns": "%Y-%m-%dT%H:%M:%S.%nZ",
}


def document_id(event_type: EventType, column: Column) -> str:
    """Return the id: of the schema's fields, else the row's position in Kafka."""
    if not event_type.id:
        position = ("source_topic", "source_partition", "source_offset")
        return " || '/' || ".join(column(name, "VARCHAR") for name in position)
    parts = [_part(event_type.field(name), column) for name in event_type.id]
    if len(parts) == 1:
        return parts[0]
    return " || '/' || ".join(f"replace(replace({each}, '%', '%25'), '/', '%2F')" for each in parts)


def document_version(event_type: EventType, column: Column) -> str:
    """Return the version: of the schema's time, else the order of arrival."""
    if event_type.version_time:
        function, kind = EPOCH[event_type.field(event_type.version_time).unit]
        return f"{function}({column(event_type.version_time, kind)})"
    arrival = f"epoch_ms({column('arrival_time', 'TIMESTAMP')})"
    return f"coalesce({column('source_offset', 'BIGINT')}, {arrival})"


def _part(field: Field, column: Column) -> str:
    if field.kind != "timestamp":
        return column(field.name, "VARCHAR")
    return f"strftime({column(field.name, EPOCH[field.unit][1])}, '{_FORMATS[field.unit]}')"
