"""The lake: the events of one type as Parquet by pickup place, year and month. Exactly once."""

from __future__ import annotations

from connectors.flink.filesystem import parquet_table
from pipeline.config.model import Config, Lake, Source
from pipeline.decode.decoder import UNKNOWN_FIELDS
from pipeline.decode.records import (
    ARRIVAL_TIME,
    decoded,
    decoded_column,
    is_new,
    names,
    position,
    strings,
)
from pipeline.events.derive import flink_type
from pipeline.events.model import EventType
from pipeline.flow import Sink

LAKE_KEYS = ("pickup_location", "year", "month")


def sink(config: Config, settings: Lake, event_type: EventType) -> Sink:
    """Return the event type's table, in its own folder below the lake's path.

    Rows are shuffled by the partition columns, so one task writes each partition and files are few
    and large. Each open partition holds one page a column in memory, bounded by `page_bytes`.
    """
    keep_unknown = config.decode.unknown_fields == "keep"
    create = parquet_table(
        f"lake_{event_type.name}",
        columns(event_type, config.source, keep_unknown=keep_unknown),
        f"{settings.path}/{event_type.name}",
        LAKE_KEYS,
        _file_options(settings),
    )
    return Sink(create, _select(event_type, config.source, keep_unknown=keep_unknown))


def events(event_type: EventType, source: Source) -> str:
    """Return the decoded records that are events of this type and new to the lake."""
    is_type = f"d_is_event AND d_event_type = '{event_type.name}'"
    return f"decoded WHERE {is_type} AND {is_new(source)}"


def columns(event_type: EventType, source: Source, *, keep_unknown: bool) -> dict[str, str]:
    """Return the event's fields in the schema's order, then its position and partition."""
    fields = {field.name: flink_type(field) for field in event_type.fields}
    unknown = {UNKNOWN_FIELDS.name: flink_type(UNKNOWN_FIELDS)} if keep_unknown else {}
    origin = {
        name if name in ARRIVAL_TIME else f"source_{name}": kind
        for name, kind in position(source).items()
    }
    return fields | unknown | origin | {"schema_version": "INT"} | strings(LAKE_KEYS)


def _select(event_type: EventType, source: Source, *, keep_unknown: bool) -> str:
    """Return the expressions that fill `columns`, in the same order."""
    fields = [decoded(field) for field in event_type.fields]
    fields += [decoded_column(UNKNOWN_FIELDS.name)] if keep_unknown else []
    keys = ", ".join(map(decoded_column, LAKE_KEYS))
    return f"{', '.join(fields)}, {names(position(source))}, d_schema_version, {keys}"


def _file_options(settings: Lake) -> dict[str, str]:
    return {
        "parquet.compression": settings.compression,
        "parquet.enable.dictionary": "false",
        "parquet.page.size": "65536",
        "sink.rolling-policy.file-size": "128 mb",
        "sink.shuffle-by-partition.enable": "true",
        "sink.partition-commit.policy.kind": "success-file" if settings.success_file else "",
    }
