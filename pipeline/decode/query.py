"""The SQL around the call of `decode_step`.

What a statement needs of a record beside decode's answer bypasses the function: Flink matches such
columns to its results by row.
"""

from __future__ import annotations

from collections.abc import Collection

from connectors.kafka.headers import PACKED
from connectors.sql import identifier, literal
from pipeline.config.model import Source
from pipeline.decode import redriven
from pipeline.decode.records import (
    ARRIVAL_MS,
    ARRIVAL_TIME,
    NO_NUMBER,
    OWN_HEADERS,
    header,
    position,
)

BATCHES = ("files", "index_batch")
"""Columns of `decode_step` that have a whole batch in its first row."""


def select(source: Source, records: str, columns: Collection[str]) -> str:
    """Select decode's `columns` of `records`, each on its own.

    Flink copies a whole row or map for each statement that looks into it. Beside columns that are
    row by row there are the record's bytes, position and headers; an arrival time beyond the year
    9999 is null.
    """
    selected: dict[str, str] = {}
    if _row_wise(columns):
        selected |= {name: identifier(name) for name in ("raw", "key", *position(source))}
        selected["arrival_time"] = f"TO_TIMESTAMP_LTZ({ARRIVAL_MS}, 3)"
        selected[OWN_HEADERS] = PACKED if source.kafka_topics else "CAST(NULL AS BYTES)"
    for name in columns:
        selected[name if name in BATCHES else f"d_{name}"] = f"f0.{identifier(name)}"
    listed = ", ".join(f"{text} AS {identifier(name)}" for name, text in selected.items())
    return f"SELECT {listed} FROM ({_call(source, records, columns)})"


def arguments(source: Source, own_headers: str = OWN_HEADERS) -> list[str]:
    """Return a record as arguments of a function; `inputs.inputs` reads them.

    They are the bytes, the arrival time in epoch milliseconds, the key, the position, and, of Kafka
    sources only, the packed list of all headers.
    """
    places = [
        identifier(name) if kind == "STRING" else f"COALESCE({identifier(name)}, {NO_NUMBER})"
        for name, kind in position(source).items()
        if name not in ARRIVAL_TIME
    ]
    return ["`raw`", ARRIVAL_MS, "`key`", *places, *([own_headers] if source.kafka_topics else [])]


def _call(source: Source, records: str, columns: Collection[str]) -> str:
    """Select decode's call over `records`; its result `f0` has these columns.

    Its arguments are those of a record and, of Kafka sources only, the redrive mark.
    """
    given = arguments(source, PACKED) + ([_redrive_mark()] if source.kafka_topics else [])
    bypassing = "*, " if _row_wise(columns) else ""
    return f"SELECT {bypassing}decode_step({', '.join(given)}) AS f0 FROM {records}"


def _row_wise(columns: Collection[str]) -> bool:
    return not set(columns) <= set(BATCHES)


def _redrive_mark() -> str:
    """Return a record's redrive mark, see `redriven.packed`; NULL in almost all records."""
    step, *others = map(header, redriven.HEADERS)
    values = ", ".join([step, *(f"COALESCE({value}, '')" for value in others)])
    packed = f"CONCAT_WS({literal(redriven.SEPARATOR)}, {values})"
    return f"CASE WHEN {step} IS NOT NULL THEN {packed} END"
