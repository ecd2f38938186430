"""The query around decode's call: what goes round Python, and what goes through.

Flink joins what goes round a vectorised function to its answers by their place in the batch. So
where decode hands the rows of a lake partition back together, everything goes through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.sql import identifier
from pipeline.config.model import Source
from pipeline.sinks.columns import ARRIVAL_MS, ARRIVAL_TIME, REDRIVEN, header, position

_MISSING = -1  # No partition and no offset. pandas would make doubles of integers beside nulls.


@dataclass(frozen=True, slots=True)
class Through:
    """One column: the expression that is given to decode, and the one that takes it back.

    With `of_rejects` only rejects bring it back: of an event it is needed no more.
    """

    name: str
    kind: str
    given: str
    taken: str
    of_rejects: bool = False


def through(source: Source) -> tuple[Through, ...]:
    """The bytes and the arrival time, which decode wants anyway, key, position, and of Kafka what
    a redrive says; decode's arguments in their order.
    """
    placed = [
        _of_position(*each) for each in position(source).items() if each[0] not in ARRIVAL_TIME
    ]
    told = [_text(name, given) for name, given in _redriven(source).items()]
    return (_bytes("raw"), _arrival_time(), _bytes("key"), *placed, *told)


def call(records: str, through: Sequence[Through]) -> str:
    """Decode's call; `f0` is its answer."""
    if through:
        return (
            f"SELECT decode_step({', '.join(each.given for each in through)}) AS f0 FROM {records}"
        )
    return f"SELECT *, decode_step(`raw`, {ARRIVAL_MS}) AS f0 FROM {records}"


def select(source: Source, columns: Iterable[str], through: Sequence[Through]) -> str:
    """A decoded record: its bytes, where it came from, if it was redriven, what decode says of it.

    Each of decode's columns is one of the view's: Flink copies a whole row or map for each
    statement that looks into it, be it for its filter only. An arrival time beyond the year 9999 is
    null.
    """
    told = {each.name: each.taken for each in through} or _round(source)
    told |= {f"d_{name}": f"f0.{identifier(name)}" for name in columns}
    return ", ".join(f"{text} AS {identifier(name)}" for name, text in told.items())


def _round(source: Source) -> dict[str, str]:
    kept = {name: identifier(name) for name in ("raw", "key", *position(source))}
    return kept | {"arrival_time": f"TO_TIMESTAMP_LTZ({ARRIVAL_MS}, 3)"} | _redriven(source)


def _redriven(source: Source) -> dict[str, str]:
    return {name: header(name) for name in REDRIVEN} if source.kafka_topics else {}


def _of_position(name: str, kind: str) -> Through:
    return _text(name, identifier(name)) if kind == "STRING" else _number(name, kind)


def _bytes(name: str) -> Through:
    return Through(name, "BYTES", identifier(name), f"f0.{identifier(name)}", of_rejects=True)


def _text(name: str, given: str) -> Through:
    return Through(name, "STRING", given, f"f0.{identifier(name)}")


def _number(name: str, kind: str) -> Through:
    given = f"COALESCE({identifier(name)}, {_MISSING})"
    return Through(name, kind, given, f"NULLIF(f0.{identifier(name)}, {_MISSING})")


def _arrival_time() -> Through:
    # PyFlink's vectorised functions take no TIMESTAMP_LTZ inside a row.
    return Through("arrival_time", "BIGINT", ARRIVAL_MS, "TO_TIMESTAMP_LTZ(f0.arrival_time, 3)")
