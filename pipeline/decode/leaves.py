"""Values of one field, read from what JSON has: dates, times, decimals and bytes, one by one.

The reference decoder and the fast one share these functions; both know the value's type in JSON.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np

from pipeline.decode.bounds import wire_factor
from pipeline.events.instants import (
    BadTimestamp,
    date_text,
    parse,
    parse_date,
    parse_time,
    text,
    time_text,
)
from pipeline.events.limits import with_scale
from pipeline.events.model import Field

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")
_MOST_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Bad:
    """A value that is none of the field's: the reason code and what is allowed instead."""

    reason: str
    allowed: str


def of_time(field: Field, value: Any) -> int | BadTimestamp:
    """Return a date or time, as text or number of the wire, in the field's unit.

    The bounds of `time_range` are not checked.
    """
    if field.wire != "iso-8601":
        return int(value) * wire_factor(field)
    if field.kind == "date":
        return parse_date(value)
    if field.kind == "time":
        return parse_time(value, field.unit)
    return parse(value, field.unit, local=field.kind == "local_timestamp")


def wire_of_time(field: Field) -> Callable[[int], Any]:
    """Return a function for the canonical form on the wire of a date or time."""
    if field.wire != "iso-8601":
        factor = wire_factor(field)
        return lambda count: count // factor
    return text_of_time(field)


def text_of_time(field: Field) -> Callable[[int], str]:
    """Return a function for the text of a date or time."""
    if field.kind == "date":
        return date_text
    if field.kind == "time":
        return lambda count: time_text(count, field.unit)
    local = field.kind == "local_timestamp"
    return lambda count: text(count, field.unit, local=local)


def of_decimal(field: Field, value: Decimal | str) -> Decimal | Bad:
    """Return the number with the field's scale, or why it is none of the field's."""
    if isinstance(value, str):
        if len(value) > _MOST_SHOWN or not _NUMBER.fullmatch(value):
            return Bad("out_of_range", 'a decimal number in text, such as "12.50"')
        value = Decimal(value)
    number = with_scale(field)(value)
    if number is None:
        allowed = f"at most {field.precision} digits, {field.scale} of them decimals"
        return Bad("out_of_range", allowed)
    if not _in_range(field, number):
        return Bad("out_of_range", f"{field.minimum} to {field.maximum}")
    return number


def wire_of_decimal(field: Field) -> Callable[[Decimal], Any]:
    """Return a function for the canonical form on the wire of a decimal with its scale."""
    return (lambda number: f"{number:f}") if field.wire == "string" else lambda number: number


def of_bytes(field: Field, value: str) -> bytes | Bad:
    """Return the bytes of a base64 text (RFC 4648, with padding, of which there is one only)."""
    try:
        data = b64decode(value, validate=True)
        canonical = b64encode(data).decode() == value
    except (Error, ValueError):
        canonical, data = False, b""
    if not canonical:
        return Bad("invalid_base64", "base64 with padding, as in RFC 4648")
    if field.size and len(data) != field.size:
        return Bad("out_of_range", f"{field.size} bytes in base64")
    if field.max_length is not None and len(data) > field.max_length:
        return Bad("out_of_range", f"at most {field.max_length} bytes in base64")
    return data


def is_lost_in_32_bits(value: float) -> bool:
    """Return whether a number becomes 0 as a float of 32 bits, and is not."""
    return bool(value) and float(np.float32(value)) == 0


def _in_range(field: Field, value: Decimal) -> bool:
    least, most = field.minimum, field.maximum
    return (least is None or value >= least) and (most is None or value <= most)
