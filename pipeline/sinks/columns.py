"""The columns of our tables and the few SQL expressions that fill them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.sql import identifier, literal
from pipeline.config.model import Config, Source
from pipeline.decode.decoder import UNKNOWN_FIELDS
from pipeline.events.derive import flink_type
from pipeline.events.event_types import EventType, Field

KAFKA_POSITION = {"topic": "STRING", "partition": "INT", "offset": "BIGINT"}
KINESIS_POSITION = {"stream": "STRING", "shard": "STRING", "sequence_number": "STRING"}
ARRIVAL_TIME = {"arrival_time": "TIMESTAMP_LTZ(3)"}
# Two lists and not a map: Flink writes a map's keys as optional, which Parquet readers refuse.
HEADERS = {"header_names": "ARRAY<STRING>", "header_values": "ARRAY<BYTES>"}
ARRIVAL_KEYS = ("arrival_date", "arrival_hour")
LAKE_KEYS = ("pickup_location", "year", "month")
# The headers that a redrive adds, see pipeline/ops/dead_letters/to_topic.py.
REDRIVEN = ("redrive_step", "redrive_replica")

# A Kafka record's time may be its producer's; no folder is made of an absurd one.
_SANE = "EXTRACT(YEAR FROM arrival_time) BETWEEN 2009 AND 2099"
ARRIVAL_DATE = f"CASE WHEN {_SANE} THEN DATE_FORMAT(arrival_time, 'yyyy-MM-dd') ELSE 'unknown' END"
ARRIVAL_HOUR = f"CASE WHEN {_SANE} THEN DATE_FORMAT(arrival_time, 'HH') ELSE 'unknown' END"
# For Python: pandas' timestamps end in 2262, and one of a Kafka producer's could be beyond.
ARRIVAL_MS = "EXTRACT(EPOCH FROM arrival_time) * 1000 + EXTRACT(MILLISECOND FROM arrival_time)"
ARRIVAL_PATTERN = "'yyyy-MM-dd''T''HH:mm:ss.SSS''Z'''"
ARRIVAL_TEXT = f"DATE_FORMAT(arrival_time, {ARRIVAL_PATTERN})"


def names(columns: Iterable[str]) -> str:
    """Column names for a SELECT."""
    return ", ".join(identifier(name) for name in columns)


def texts(columns: Iterable[str]) -> dict[str, str]:
    """The STRING columns of a partition."""
    return dict.fromkeys(columns, "STRING")


def position(source: Source) -> dict[str, str]:
    """Where a record came from: the columns of each back end that the source reads."""
    own = ["kafka"] * bool(source.kafka_topics) + ["kinesis"] * bool(source.kinesis_streams)
    read = source.archived_from or own
    kafka = KAFKA_POSITION if "kafka" in read else {}
    kinesis = KINESIS_POSITION if "kinesis" in read else {}
    return {**kafka, **kinesis, **ARRIVAL_TIME}


def position_text(source: Source) -> str:
    """The position as one text: topic/partition/offset or stream/shard/sequence number."""
    parts = [name for name in position(source) if name not in ARRIVAL_TIME]
    casts = ", ".join(f"CAST({identifier(name)} AS STRING)" for name in parts)
    return f"CONCAT_WS('/', {casts})"


def record_columns(source: Source) -> dict[str, str]:
    """The view `records`: what any back end gives, the others' columns being null."""
    headers = {"headers": "MAP<STRING, BYTES>"}  # as the Kafka connector has it: no cast
    return {"raw": "BYTES", "key": "BYTES", **headers, **position(source)}


def records_select(source: Source, table: str, given: Mapping[str, str]) -> str:
    """One back end's table as rows of `records`; `given` are the expressions it has."""
    found = ", ".join(
        f"{given.get(name, f'CAST(NULL AS {kind})')} AS {identifier(name)}"
        for name, kind in record_columns(source).items()
    )
    return f"SELECT {found} FROM {identifier(table)}"


def kafka_gives(source: Source) -> dict[str, str]:
    """What the topics' table has; archived records have their first position in their headers."""
    own = (*KAFKA_POSITION, *ARRIVAL_TIME)
    given = {name: identifier(name) for name in ("raw", "key", "headers", *own)}
    if not source.archived_from:
        return given
    archived = {name: header(f"source.{name}") for name in position(source)}
    archived |= {
        name: f"TRY_CAST({archived[name]} AS {kind})"
        for name, kind in KAFKA_POSITION.items()
        if name in archived and kind != "STRING"
    }
    written = f"TO_TIMESTAMP({archived['arrival_time']}, {ARRIVAL_PATTERN})"
    archived["arrival_time"] = f"COALESCE(CAST({written} AS TIMESTAMP_LTZ(3)), arrival_time)"
    return given | archived


def kinesis_gives(stream: str) -> dict[str, str]:
    """What a Kinesis stream's table has; the partition key isn't told by the connector."""
    own = {name: identifier(name) for name in ("raw", "shard", "sequence_number", "arrival_time")}
    return own | {"stream": literal(stream)}


def header(name: str) -> str:
    """A Kafka header as text; NULL where there is none."""
    return f"DECODE(headers[{literal(name)}], 'UTF-8')"


def is_new(source: Source) -> str:
    """Whether a decoded record is new to lake and replicas; its headers say if it was redriven.

    What `decode` refused was nowhere yet; what a later step refused is in the lake already. A
    stream has no headers, and only the former comes back to it.
    """
    new = "(redrive_step IS NULL OR redrive_step = 'decode')"
    return new if source.kafka_topics else "TRUE"


def is_for(replica: str, source: Source) -> str:
    """Whether a decoded record is new, or was redriven to this replica."""
    if not source.kafka_topics:
        return "TRUE"
    redriven = f"redrive_step = 'replicate' AND redrive_replica = {literal(replica)}"
    return f"({is_new(source)} OR {redriven})"


def of_decoded(column: str) -> str:
    """The view's name for a column of decode's."""
    return identifier(f"d_{column}")


def archive_columns(source: Source) -> dict[str, str]:
    """A raw record as it came, with its position."""
    return {"raw": "BYTES", "key": "BYTES", **HEADERS, **position(source)}


def archive_select(source: Source) -> str:
    """The expressions that fill `archive_columns`, in the same order."""
    headers = "MAP_KEYS(headers) AS header_names, MAP_VALUES(headers) AS header_values"
    return f"`raw`, `key`, {headers}, {names(position(source))}"


def lake_columns(event_type: EventType, source: Source, *, keep_unknown: bool) -> dict[str, str]:
    """The event's fields in the schema's order, then where the event came from."""
    fields = {field.name: flink_type(field) for field in event_type.fields}
    kept = {UNKNOWN_FIELDS.name: flink_type(UNKNOWN_FIELDS)} if keep_unknown else {}
    origin = {
        name if name in ARRIVAL_TIME else f"source_{name}": kind
        for name, kind in position(source).items()
    }
    return fields | kept | origin | {"schema_version": "INT"} | texts(LAKE_KEYS)


def lake_select(event_type: EventType, source: Source, *, keep_unknown: bool) -> str:
    """The expressions that fill `lake_columns`, in the same order."""
    fields = [decoded(field) for field in event_type.fields]
    fields += [of_decoded(UNKNOWN_FIELDS.name)] if keep_unknown else []
    keys = ", ".join(map(of_decoded, LAKE_KEYS))
    return f"{', '.join(fields)}, {names(position(source))}, d_schema_version, {keys}"


def decoded(field: Field) -> str:
    """A field of what decode returns, as SQL's own type; `type` is the event type's name."""
    if field.name == "type":
        return of_decoded("event_type")
    column = of_decoded(field.column)
    return f"TO_TIMESTAMP_LTZ({column}, 3)" if field.kind == "timestamp" else column


def reject_columns(source: Source) -> dict[str, str]:
    """Why and where a record was rejected, and its bytes."""
    return {
        "raw": "BYTES",
        "key": "BYTES",
        **texts(("step", "reason", "detail")),
        **position(source),
        "event_type": "STRING",
        "schema_version": "INT",
    }


def rejects_select(config: Config) -> str:
    """Every step's rejects as rows of `reject_columns`."""
    origin = names(position(config.source))
    step, detail = _refused_again(config.source)
    parts = [
        f"SELECT `raw`, `key`, {step} AS step, d_reason AS reason, {detail} AS detail,"
        f" {origin},"
        " d_event_type AS event_type, d_schema_version AS schema_version"
        " FROM decoded WHERE d_reason IS NOT NULL"
    ]
    if config.index:
        parts.append(
            "SELECT `raw`, `key`, 'index' AS step, i.reason AS reason, i.detail AS detail,"
            f" {origin},"
            " event_type, schema_version FROM indexed WHERE i.reason IS NOT NULL"
        )
    parts += [f"SELECT * FROM too_large_{name}" for name in config.replicate]
    return " UNION ALL ".join(parts)


def _refused_again(source: Source) -> tuple[str, str]:
    """Step and detail of what decode refuses: of a redriven record those that it had.

    It is in the lake, and must not come there again when this dead letter is redriven in turn.
    """
    if not source.kafka_topics:
        return "'decode'", "d_detail"
    named = "CONCAT('replica ', redrive_replica, ': ', d_detail)"
    return (
        f"CASE WHEN {is_new(source)} THEN 'decode' ELSE redrive_step END",
        f"CASE WHEN redrive_step = 'replicate' THEN {named} ELSE d_detail END",
    )


def header_map(expressions: Mapping[str, str]) -> str:
    """Kafka headers of texts."""
    pairs = (f"{literal(name)}, ENCODE({text}, 'UTF-8')" for name, text in expressions.items())
    return f"MAP[{', '.join(pairs)}]"


def position_headers(source: Source, prefix: str = "") -> dict[str, str]:
    """The position as the texts of headers."""
    return {
        f"{prefix}{name}": ARRIVAL_TEXT
        if name in ARRIVAL_TIME
        else f"CAST({identifier(name)} AS STRING)"
        for name in position(source)
    }
