"""Columns of raw records and of decoded events, and the SQL expressions that fill them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.kafka.headers import LIST
from connectors.sql import identifier, literal
from pipeline.config.model import Source
from pipeline.events.model import Field

NO_NUMBER = -1
"""A position's number where there is none: pandas makes doubles of integers beside nulls."""
KAFKA_POSITION = {"topic": "STRING", "partition": "INT", "offset": "BIGINT"}
KINESIS_POSITION = {"stream": "STRING", "shard": "STRING", "sequence_number": "STRING"}
ARRIVAL_TIME = {"arrival_time": "TIMESTAMP_LTZ(3)"}
# Two lists and not a map: Flink writes a map's keys as optional, which Parquet readers refuse.
HEADERS = {"header_names": "ARRAY<STRING>", "header_values": "ARRAY<BYTES>"}
OWN_HEADERS = "own_headers"
"""The column of the packed list of a record's headers; see `kafka.headers`."""

# A Kafka record's time may be its producer's; no folder is made of an absurd one.
_SANE = "EXTRACT(YEAR FROM arrival_time) BETWEEN 2009 AND 2099"
ARRIVAL_DATE = f"CASE WHEN {_SANE} THEN DATE_FORMAT(arrival_time, 'yyyy-MM-dd') ELSE 'unknown' END"
ARRIVAL_KEYS = ("arrival_date", "arrival_hour")
"""The archive's partition columns; dead letters have the first one."""
# Numbers for Python: pandas' timestamps end in 2262, and a Kafka producer's may be later.
ARRIVAL_MS = "EXTRACT(EPOCH FROM arrival_time) * 1000 + EXTRACT(MILLISECOND FROM arrival_time)"
_ARRIVAL_PATTERN = "'yyyy-MM-dd''T''HH:mm:ss.SSS''Z'''"
_ARRIVAL_TEXT = f"DATE_FORMAT(arrival_time, {_ARRIVAL_PATTERN})"


def names(columns: Iterable[str]) -> str:
    """Return column names for a SELECT, quoted and separated by commas."""
    return ", ".join(identifier(name) for name in columns)


def strings(columns: Iterable[str]) -> dict[str, str]:
    """Return STRING columns of these names."""
    return dict.fromkeys(columns, "STRING")


def position(source: Source) -> dict[str, str]:
    """Return the columns that say where a record came from, for each system the source reads."""
    own = ["kafka"] * bool(source.kafka_topics) + ["kinesis"] * bool(source.kinesis_streams)
    systems = source.archived_from or own
    kafka = KAFKA_POSITION if "kafka" in systems else {}
    kinesis = KINESIS_POSITION if "kinesis" in systems else {}
    return {**kafka, **kinesis, **ARRIVAL_TIME}


def position_text(source: Source) -> str:
    """Return the position as one string: topic/partition/offset or stream/shard/sequence number."""
    parts = [name for name in position(source) if name not in ARRIVAL_TIME]
    casts = ", ".join(f"CAST({identifier(name)} AS STRING)" for name in parts)
    return f"CONCAT_WS('/', {casts})"


def records_select(source: Source, table: str, expressions: Mapping[str, str]) -> str:
    """Select one system's table as rows of `records`; columns without an expression are null."""
    headers = {"headers": "MAP<STRING, BYTES>"}  # the Kafka connector's own type: no cast
    columns = {"raw": "BYTES", "key": "BYTES", **headers, **position(source)}
    selected = ", ".join(
        f"{expressions.get(name, f'CAST(NULL AS {kind})')} AS {identifier(name)}"
        for name, kind in columns.items()
    )
    return f"SELECT {selected} FROM {identifier(table)}"


def kafka_expressions(source: Source) -> dict[str, str]:
    """Return the record columns of a topics' table.

    Archived records carry their first position in their headers.
    """
    own = (*KAFKA_POSITION, *ARRIVAL_TIME)
    expressions = {name: identifier(name) for name in ("raw", "key", "headers", *own)}
    if not source.archived_from:
        return expressions
    archived = {name: header(f"source.{name}") for name in position(source)}
    archived |= {
        name: f"TRY_CAST({archived[name]} AS {kind})"
        for name, kind in KAFKA_POSITION.items()
        if name in archived and kind != "STRING"
    }
    written = f"TO_TIMESTAMP({archived['arrival_time']}, {_ARRIVAL_PATTERN})"
    archived["arrival_time"] = f"COALESCE(CAST({written} AS TIMESTAMP_LTZ(3)), arrival_time)"
    return expressions | archived


def kinesis_expressions(stream: str) -> dict[str, str]:
    """Return the record columns of a stream's table; Flink's connector has no partition key."""
    own = {name: identifier(name) for name in ("raw", "shard", "sequence_number", "arrival_time")}
    return own | {"stream": literal(stream)}


def header(name: str) -> str:
    """Return a Kafka header as a string; NULL where there is none."""
    return f"DECODE(headers[{literal(name)}], 'UTF-8')"


FIELD = "field_"
"""What the names of events' columns begin with in `decode_step`'s answer, beside ours."""


def decoded(field: Field) -> str:
    """Return the expression of an event's field."""
    column = decoded_column(f"{FIELD}{field.column}")
    return f"TO_TIMESTAMP_LTZ({column}, 3)" if field.kind == "timestamp" else column


def decoded_column(name: str) -> str:
    """Return the name that a column of `decode_step` has in the view `decoded`."""
    return identifier(f"d_{name}")


def unpacked(packed: str) -> dict[str, str]:
    """Return the expressions of `HEADERS`, from that of a list of headers; see `kafka.headers`."""
    return {name: f"{name}_of({packed})" for name in HEADERS}


def unpacked_columns(packed: str) -> str:
    """Return `HEADERS` for a SELECT."""
    return ", ".join(f"{text} AS {name}" for name, text in unpacked(packed).items())


def header_map(expressions: Mapping[str, str], *, with_own: bool = False) -> str:
    """Return Kafka headers: a map from each name to its expression's UTF-8 bytes.

    `with_own` adds the list of the record's own headers, from the columns `HEADERS`.
    """
    # First, as in the statement of large records: the planner shares calls of columns in one order.
    own = [f"{literal(LIST)}, packed_headers({names(HEADERS)})"] if with_own else []
    # ENCODE cuts constants: findings/flink_encode_of_a_constant_is_one_byte.sh
    ours = (f"{literal(name)}, CAST({text} AS BYTES)" for name, text in expressions.items())
    return f"MAP[{', '.join((*own, *ours))}]"


def position_headers(source: Source, prefix: str = "") -> dict[str, str]:
    """Return the position as expressions of headers, each a string."""
    return {
        f"{prefix}{name}": _ARRIVAL_TEXT
        if name in ARRIVAL_TIME
        else f"CAST({identifier(name)} AS STRING)"
        for name in position(source)
    }
