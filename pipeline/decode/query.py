"""The SQL around the call of `decode_step`, and the columns that are forwarded through it.

Flink matches the columns that bypass a vectorised function to its results by row index. Where
decode groups its rows by lake partition, it must therefore forward every column itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.kafka.headers import PACKED
from connectors.sql import identifier, literal
from pipeline.config.model import Source
from pipeline.decode import redriven
from pipeline.decode.records import ARRIVAL_MS, ARRIVAL_TIME, OWN_HEADERS, header, position

_MISSING = -1  # No partition and no offset. pandas would make doubles of integers beside nulls.


@dataclass(frozen=True, slots=True)
class Forwarded:
    """One forwarded column: the argument's expression, and the one that reads the result.

    With `rejects_only`, events get NULL: nothing reads the column of an event.
    """

    name: str
    kind: str
    argument: str
    result: str
    rejects_only: bool = False


def forwarded_columns(source: Source) -> tuple[Forwarded, ...]:
    """Return decode's arguments in their order.

    They are the bytes and the arrival time, which decode needs anyway, key and position, and for
    Kafka all headers.
    """
    # PyFlink's vectorised functions take no TIMESTAMP_LTZ inside a row.
    arrival_time = "TO_TIMESTAMP_LTZ(f0.arrival_time, 3)"
    return (
        _unchanged("raw", "BYTES", rejects_only=True),
        Forwarded("arrival_time", "BIGINT", ARRIVAL_MS, arrival_time),
        _unchanged("key", "BYTES", rejects_only=True),
        *(
            _unchanged(name, kind) if kind == "STRING" else _number(name, kind)
            for name, kind in position(source).items()
            if name not in ARRIVAL_TIME
        ),
        *(
            Forwarded(name, "BYTES", argument, f"f0.{name}", rejects_only=True)
            for name, argument in _own_headers(source).items()
        ),
    )


def call(source: Source, records: str, forwarded: Sequence[Forwarded]) -> str:
    """Select decode's call over `records`; its result is `f0`.

    The last argument, of Kafka sources only, is the redrive mark.
    """
    arguments = [column.argument for column in forwarded] or ["`raw`", ARRIVAL_MS]
    arguments += [_redrive_mark()] if source.kafka_topics else []
    bypassing = "" if forwarded else "*, "
    return f"SELECT {bypassing}decode_step({', '.join(arguments)}) AS f0 FROM {records}"


def select(source: Source, columns: Iterable[str], forwarded: Sequence[Forwarded]) -> str:
    """Return the columns of the view `decoded`.

    They are the record's bytes, position and headers, and each of decode's `columns` on its own:
    Flink copies a whole row or map for each statement that looks into it. An arrival time beyond
    the year 9999 is null.
    """
    selected = {column.name: column.result for column in forwarded} or _bypassing(source)
    selected.setdefault(OWN_HEADERS, "CAST(NULL AS BYTES)")
    selected |= {f"d_{name}": f"f0.{identifier(name)}" for name in columns}
    return ", ".join(f"{text} AS {identifier(name)}" for name, text in selected.items())


def _bypassing(source: Source) -> dict[str, str]:
    columns = {name: identifier(name) for name in ("raw", "key", *position(source))}
    columns["arrival_time"] = f"TO_TIMESTAMP_LTZ({ARRIVAL_MS}, 3)"
    return columns | _own_headers(source)


def _redrive_mark() -> str:
    """Return a record's redrive mark, see `redriven.packed`; NULL in almost all records."""
    step, *others = map(header, redriven.HEADERS)
    values = ", ".join([step, *(f"COALESCE({value}, '')" for value in others)])
    packed = f"CONCAT_WS({literal(redriven.SEPARATOR)}, {values})"
    return f"CASE WHEN {step} IS NOT NULL THEN {packed} END"


def _own_headers(source: Source) -> dict[str, str]:
    return {OWN_HEADERS: PACKED} if source.kafka_topics else {}


def _unchanged(name: str, kind: str, *, rejects_only: bool = False) -> Forwarded:
    return Forwarded(name, kind, identifier(name), f"f0.{identifier(name)}", rejects_only)


def _number(name: str, kind: str) -> Forwarded:
    argument = f"COALESCE({identifier(name)}, {_MISSING})"
    return Forwarded(name, kind, argument, f"NULLIF(f0.{identifier(name)}, {_MISSING})")
