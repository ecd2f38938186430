"""Convert ISO-8601 text of times and dates to numbers, exactly, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

import numpy as np

from pipeline.events.model import Unit

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
MILLISECOND: Final = timedelta(milliseconds=1)
DIGITS: Final[Mapping[Unit, int]] = {"ms": 3, "us": 6, "ns": 9}
"""Digits of a fraction of a second that a unit counts."""
FRACTIONS: Final[Mapping[Unit, int]] = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Units of a second."""

_FINEST: Final[Mapping[Unit, str]] = {"ms": "millisecond", "us": "microsecond", "ns": "nanosecond"}
_DATE: Final = r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
_TIME: Final = r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
_LOCAL: Final = re.compile(f"{_DATE}T{_TIME}")
_INSTANT: Final = re.compile(rf"{_DATE}T{_TIME}(?:Z|([+-])([0-9]{{2}}):([0-9]{{2}}))")
_DATE_ALONE: Final = re.compile(_DATE)
_TIME_ALONE: Final = re.compile(_TIME)


@dataclass(frozen=True, slots=True)
class BadTimestamp:
    """A text that is no such time: the reason code and what is allowed instead."""

    reason: str
    allowed: str


_NOT_ISO: Final = BadTimestamp(
    "invalid_timestamp", 'ISO-8601 with offset, such as "2018-01-01T00:21:05.000Z"'
)
_NOT_LOCAL: Final = BadTimestamp(
    "invalid_timestamp", 'ISO-8601 without offset, such as "2018-01-01T00:21:05.000"'
)
_NO_DATE: Final = BadTimestamp("invalid_timestamp", 'a date such as "2018-01-31"')
_NO_TIME: Final = BadTimestamp("invalid_timestamp", 'a time of day such as "00:21:05.000"')
_TOO_FINE: Final[Mapping[Unit, BadTimestamp]] = {
    unit: BadTimestamp("timestamp_precision", f"{name}s at the finest")
    for unit, name in _FINEST.items()
}


def parse(text: str, unit: Unit = "ms", *, local: bool = False) -> int | BadTimestamp:
    """Return how many units since 1970 a text says, or why none; trailing zeros are allowed.

    A local timestamp has no offset, and counts as if it were in UTC.
    """
    match = (_LOCAL if local else _INSTANT).fullmatch(text)
    if match is None:
        return _NOT_LOCAL if local else _NOT_ISO
    *numbers, fraction = match.groups()[:7]
    sign, ahead, minutes = (None, "", "") if local else match.groups()[7:]
    try:
        zone = timezone(_offset(sign, ahead, minutes)) if sign else UTC
        moment = datetime(*map(int, numbers), tzinfo=zone)  # type: ignore[misc,arg-type]
    except ValueError:
        return _NOT_LOCAL if local else _NOT_ISO
    part = _fraction(fraction, unit)
    if isinstance(part, BadTimestamp):
        return part
    return (moment - EPOCH) // SECOND * FRACTIONS[unit] + part


def parse_date(text: str) -> int | BadTimestamp:
    """Return the days since 1970 that a text says, or why none."""
    match = _DATE_ALONE.fullmatch(text)
    try:
        return (date(*map(int, match.groups())) - EPOCH.date()).days if match else _NO_DATE
    except ValueError:
        return _NO_DATE


def parse_time(text: str, unit: Unit) -> int | BadTimestamp:
    """Return the units since midnight that a text says, or why none."""
    match = _TIME_ALONE.fullmatch(text)
    if match is None:
        return _NO_TIME
    hour, minute, second = map(int, match.groups()[:3])
    part = _fraction(match[4], unit)
    if hour > 23 or minute > 59 or second > 59:
        return _NO_TIME
    if isinstance(part, BadTimestamp):
        return part
    return ((hour * 60 + minute) * 60 + second) * FRACTIONS[unit] + part


def text(count: int, unit: Unit = "ms", *, local: bool = False) -> str:
    """Return the canonical text, such as 2018-01-01T00:21:05.000Z, of units since 1970."""
    return f"{np.datetime64(count, unit)}{'' if local else 'Z'}"


def date_text(days: int) -> str:
    """Return the canonical text of days since 1970, such as 2018-01-31."""
    return str(np.datetime64(days, "D"))


def time_text(count: int, unit: Unit) -> str:
    """Return the canonical text of units since midnight, such as 00:21:05.000."""
    return str(np.datetime64(count, unit)).partition("T")[2]


def _fraction(digits: str | None, unit: Unit) -> int | BadTimestamp:
    significant = (digits or "").rstrip("0")
    if len(significant) > DIGITS[unit]:
        return _TOO_FINE[unit]
    return int(significant.ljust(DIGITS[unit], "0"))


def _offset(sign: str, hours: str, minutes: str) -> timedelta:
    if int(minutes) > 59:
        raise ValueError(minutes)
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return -offset if sign == "-" else offset
