"""The range of times: by the schema, else plausible instants and what the types can hold."""

from __future__ import annotations

from datetime import date
from typing import Final, cast

from pipeline.decode.timestamps import AHEAD, EARLIEST
from pipeline.events.instants import EPOCH, FRACTIONS
from pipeline.events.limits import EPOCH_FRACTIONS, LEAST_NANOS
from pipeline.events.model import Field

_FIRST_DAY: Final = (date(1, 1, 1) - EPOCH.date()).days
_LAST_DAY: Final = (date(9999, 12, 31) - EPOCH.date()).days
_DAY_SECONDS: Final = 86_400
_MOST_NANOS: Final = 2**63 - 1


def time_range(field: Field, now: int) -> tuple[int, int]:
    """Return the least and the largest value of a time in its unit; `now` is in milliseconds.

    Instants are by default from 2009 until a day ahead of the clock.
    """
    least, most = hard_range(field)
    if field.kind == "timestamp":
        factor = FRACTIONS[field.unit] // 1000
        least, most = max(least, EARLIEST * factor), min(most, (now + AHEAD) * factor)
    low, high = cast("int | None", field.minimum), cast("int | None", field.maximum)
    return least if low is None else low, most if high is None else high


def hard_range(field: Field) -> tuple[int, int]:
    """Return the least and the largest value that a time can have, whatever the schema says."""
    if field.kind == "date":
        return _FIRST_DAY, _LAST_DAY
    if field.kind == "time":
        return 0, _DAY_SECONDS * FRACTIONS[field.unit] - 1
    if field.unit == "ns":
        return LEAST_NANOS, _MOST_NANOS
    per_day = _DAY_SECONDS * FRACTIONS[field.unit]
    return _FIRST_DAY * per_day, (_LAST_DAY + 1) * per_day - 1


def wire_factor(field: Field) -> int:
    """Return by what a number of the wire is multiplied to be in the field's unit."""
    if field.wire in EPOCH_FRACTIONS:
        return FRACTIONS[field.unit] // EPOCH_FRACTIONS[field.wire]
    return 1
