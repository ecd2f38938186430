"""The columns of our tables and the few SQL expressions that fill them."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.sql import identifier
from pipeline.config import Config, DeadLetters
from pipeline.derive import flink_type
from pipeline.event_types import EventType, Field
from pipeline.steps.decode import UNKNOWN_FIELDS

POSITION = {
    "topic": "STRING",
    "partition": "INT",
    "offset": "BIGINT",
    "arrival_time": "TIMESTAMP_LTZ(3)",
}
# Two lists and not a map: Flink writes a map's keys as optional, which Parquet readers refuse.
HEADERS = {"header_names": "ARRAY<STRING>", "header_values": "ARRAY<BYTES>"}
ARCHIVE = {"raw": "BYTES", "key": "BYTES", **HEADERS, **POSITION}
REJECT = {
    "step": "STRING",
    "reason": "STRING",
    "detail": "STRING",
    "raw": "BYTES",
    "key": "BYTES",
    **POSITION,
    "event_type": "STRING",
    "schema_version": "INT",
}
ARRIVAL_KEYS = ("arrival_date", "arrival_hour")
LAKE_KEYS = ("pickup_location", "year", "month")

# A Kafka record's time may be its producer's; no folder is made of an absurd one.
_SANE = "EXTRACT(YEAR FROM arrival_time) BETWEEN 2009 AND 2099"
ARRIVAL_DATE = f"CASE WHEN {_SANE} THEN DATE_FORMAT(arrival_time, 'yyyy-MM-dd') ELSE 'unknown' END"
ARRIVAL_HOUR = f"CASE WHEN {_SANE} THEN DATE_FORMAT(arrival_time, 'HH') ELSE 'unknown' END"
ARRIVAL_TEXT = "DATE_FORMAT(arrival_time, 'yyyy-MM-dd''T''HH:mm:ss.SSS''Z''')"


def names(columns: Iterable[str]) -> str:
    """Column names for a SELECT."""
    return ", ".join(identifier(name) for name in columns)


def texts(columns: Iterable[str]) -> dict[str, str]:
    """The STRING columns of a partition."""
    return dict.fromkeys(columns, "STRING")


def archive_select() -> str:
    """The expressions that fill `ARCHIVE` and the arrival keys, in the same order."""
    headers = "MAP_KEYS(headers), MAP_VALUES(headers)"
    return f"`raw`, `key`, {headers}, {names(POSITION)}, {ARRIVAL_DATE}, {ARRIVAL_HOUR}"


def lake_columns(event_type: EventType, *, keep_unknown: bool) -> dict[str, str]:
    """The event's fields in the schema's order, then where the event came from."""
    fields = {field.name: flink_type(field) for field in event_type.fields}
    kept = {UNKNOWN_FIELDS.name: flink_type(UNKNOWN_FIELDS)} if keep_unknown else {}
    source = {f"source_{name}": kind for name, kind in POSITION.items() if name != "arrival_time"}
    return (
        fields
        | kept
        | source
        | {"arrival_time": POSITION["arrival_time"], "schema_version": "INT"}
        | texts(LAKE_KEYS)
    )


def lake_select(event_type: EventType, *, keep_unknown: bool) -> str:
    """The expressions that fill `lake_columns`, in the same order."""
    fields = [_decoded(field) for field in event_type.fields]
    fields += [f"d.{identifier(UNKNOWN_FIELDS.name)}"] if keep_unknown else []
    decoded = ", ".join(fields)
    keys = ", ".join(f"d.{identifier(key)}" for key in LAKE_KEYS)
    return f"{decoded}, {names(POSITION)}, d.schema_version, {keys}"


def _decoded(field: Field) -> str:
    column = f"d.{identifier(field.column)}"
    return f"TO_TIMESTAMP_LTZ({column}, 3)" if field.kind == "timestamp" else column


def rejects_select(config: Config) -> str:
    """Every step's rejects as rows of `REJECT`."""
    by_decode = (
        f"SELECT 'decode' AS step, d.reason AS reason, d.detail AS detail, `raw`, `key`,"
        f" {names(POSITION)}, d.event_type AS event_type, d.schema_version AS schema_version"
        " FROM decoded WHERE d.kind = 'reject'"
    )
    by_index = (
        f"SELECT 'index' AS step, i.reason AS reason, i.detail AS detail, `raw`, `key`,"
        f" {names(POSITION)}, event_type, schema_version FROM indexed WHERE i.reason IS NOT NULL"
    )
    return f"{by_decode} UNION ALL {by_index}" if config.index else by_decode


def _header(name: str, expression: str) -> str:
    return f"'{name}', ENCODE({expression}, 'UTF-8')"


DEAD_LETTER_HEADERS = (
    "MAP["
    + ", ".join(
        _header(name, expression)
        for name, expression in {
            "step": "step",
            "reason": "reason",
            "detail": "detail",
            "topic": "topic",
            "partition": "CAST(`partition` AS STRING)",
            "offset": "CAST(`offset` AS STRING)",
            "arrival_time": ARRIVAL_TEXT,
            "event_type": "event_type",
            "schema_version": "CAST(schema_version AS STRING)",
        }.items()
    )
    + "]"
)


def dead_letters_select(settings: DeadLetters) -> str:
    """The expressions that fill the dead letters, flat for Parquet, headers for Kafka."""
    if settings.path:
        return f"{names(REJECT)}, {ARRIVAL_DATE}"
    return f"`raw`, `key`, {DEAD_LETTER_HEADERS}"
