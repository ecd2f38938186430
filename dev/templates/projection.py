"""What Athena must know to list the values of a partition column: its partition projection.

What the documentation does not settle, or what would be too many values, is `injected`: then
Athena lists nothing, and a query names the value. Else a folder would be left out silently.

https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, cast

from pipeline.decode.bounds import time_range
from pipeline.decode.partition import partition, transformed
from pipeline.events.folders import HIVE_NULL, escape
from pipeline.events.instants import FRACTIONS
from pipeline.events.model import TIME_TRANSFORMS, EventType, Field, PartitionField

Projection = dict[str, str]
"""The table's properties of one column, without `projection.<column>.` before their names."""

FIRST_YEAR: Final = 2009
"""Earlier arrival times are not believed."""
LAST_YEAR: Final = 2035
"""A query without a year looks into every month up to this year's end."""
A_DAY_AHEAD: Final = "NOW+1DAYS"
"""No event is later, unless its schema says so."""

_MOST_VALUES: Final = 1_000_000
_END: Final = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
_MOST_WITH_NULL: Final = 100
"""Athena's documentation advises a few dozen values of an enum, and sets no limit."""
_INJECTED: Final = {"type": "injected"}
_DATES: Final[Mapping[str, tuple[str, int]]] = {
    "Ym": ("MONTHS", 28 * 86_400),
    "Ymd": ("DAYS", 86_400),
    "YmdH": ("HOURS", 3_600),
}
"""Parts of a format that are a date together: the unit that it counts, and its least seconds."""
_JAVA: Final = (("%Y", "yyyy"), ("%m", "MM"), ("%d", "dd"), ("%H", "HH"))
_CYCLES: Final[Mapping[str, tuple[int, int]]] = {"%m": (1, 12), "%d": (1, 31), "%H": (0, 23)}


def projection(event_type: EventType, field: PartitionField) -> Projection:
    """Return how Athena lists the values of a partition of the event type."""
    source = event_type.field(field.source)
    texts = _few_texts(field, source)
    if texts and "," not in "".join(texts):
        return _enum(texts, has_null=source.nullable)
    if source.kind == "string" and field.transform != "bucket":
        return dict(_INJECTED)
    found = _of_numbers(event_type, field, source)
    return _with_null(found) if source.nullable else found


def _of_numbers(event_type: EventType, field: PartitionField, source: Field) -> Projection:
    if field.transform in TIME_TRANSFORMS:
        return _times(event_type, field, source)
    if field.transform == "bucket":
        return _numbers(field, 0, field.width - 1)
    assert source.minimum is not None and source.maximum is not None, "numbers have a range"
    ends = (transformed(field, source, int(end)) for end in (source.minimum, source.maximum))
    return _numbers(field, *ends)


def _enum(texts: Sequence[str], *, has_null: bool) -> Projection:
    return {"type": "enum", "values": ",".join([*texts, *[HIVE_NULL] * has_null])}


def _with_null(found: Projection) -> Projection:
    """Return the projection of the same values and null, which no range can have."""
    if found["type"] != "integer":
        return dict(_INJECTED)
    first, last = map(int, found["range"].split(","))
    numbers = range(first, last + 1, int(found.get("interval", 1)))
    if len(numbers) > _MOST_WITH_NULL:
        return dict(_INJECTED)
    digits = int(found.get("digits", 1))
    return _enum([f"{number:0{digits}d}" for number in numbers], has_null=True)


def integers(first: int, last: int, digits: int = 0, interval: int = 1) -> Projection:
    """Return the projection of numbers, inclusive; without `digits` they have no leading zeros."""
    numbers = {"type": "integer", "range": f"{first},{last}"}
    numbers |= {"digits": str(digits)} if digits else {}
    return numbers | ({"interval": str(interval)} if interval > 1 else {})


def _few_texts(field: PartitionField, source: Field) -> list[str]:
    """Return all values of a partition of texts or booleans, if the schema lists them."""
    if source.kind == "boolean":
        return ["false", "true"]
    return [escape(text) for text in source.enum] if field.transform == "identity" else []


def _numbers(field: PartitionField, least: int, most: int) -> Projection:
    """Return the projection of numbers that all have the digits of the format.

    Athena's documentation does not say what the digits of other numbers are.
    """
    width = field.width if field.transform == "truncate" else 1
    if (most - least) // width > _MOST_VALUES:
        return dict(_INJECTED)
    digits = int(field.format.strip("%d") or 0)
    if digits and (least < 0 or most >= 10**digits):
        return dict(_INJECTED)
    return integers(least, most, digits, width)


def _times(event_type: EventType, field: PartitionField, source: Field) -> Projection:
    if field.format in _CYCLES:
        return integers(*_CYCLES[field.format], digits=2)
    # The decoder's bounds; those ahead of the clock move with it.
    least, most = time_range(source, 0)[0], cast("int | None", source.maximum)
    first = _text(event_type, field, least)
    if field.format == "%Y":
        last = LAST_YEAR if most is None else int(_text(event_type, field, most))
        return integers(int(first), last, digits=4)
    parts = "".join(part for part in "YmdH" if f"%{part}" in field.format)
    if parts not in _DATES:
        return dict(_INJECTED)
    unit, seconds = _DATES[parts]
    # Without a maximum up to the clock, which stays below the last year that is looked into.
    end = most if most is not None else _END * FRACTIONS[source.unit]
    if (end - least) // FRACTIONS[source.unit] // seconds > _MOST_VALUES:
        return dict(_INJECTED)
    java = field.format
    for part, letters in _JAVA:
        java = java.replace(part, letters)
    return {
        "type": "date",
        "format": java,
        "range": f"{first},{A_DAY_AHEAD if most is None else _text(event_type, field, most)}",
        "interval": "1",
        "interval.unit": unit,
    }


def _text(event_type: EventType, field: PartitionField, value: int) -> str:
    """Return the value's folder without the name of the column."""
    alone = replace(event_type, partition_by=(field,))
    return partition(alone, {field.source: value}).partition("=")[2]
