"""Limits of a schema's values: read from properties, and checked on values of the schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import cache
from typing import Any, Final, NoReturn

from connectors.text_files import cut
from pipeline.events.faults import Faults
from pipeline.events.instants import FRACTIONS, BadTimestamp, parse, parse_date
from pipeline.events.model import EXACT_IN_DOUBLE, LONGEST_TEXT, Field, Kind, Unit

LIMITS: Final = ("minimum", "maximum", "maxLength", "enum", "pattern", "wire")
"""Properties that a field or a type may have beside Avro's own."""
_BY_TYPE: Final = "no other limit: the enum, fixed or uuid is one already"

_INTEGERS: Final[Mapping[Kind, tuple[int, int]]] = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}
_FLOATS: Final[Mapping[Kind, tuple[int, float]]] = {
    # By default up to where every integer is exact, and at most what the type can hold.
    "double": (EXACT_IN_DOUBLE, 1.7976931348623157e308),
    "float": (2**24, 3.4028234663852886e38),
}
_NUMBERS: Final = ("int32", "int64", "double", "float")
_TIMES: Final = ("timestamp", "local_timestamp", "date")
_ONLY_ON: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "minimum": ("only on numbers, dates and timestamps", (*_NUMBERS, "decimal", *_TIMES)),
    "maximum": ("only on numbers, dates and timestamps", (*_NUMBERS, "decimal", *_TIMES)),
    "maxLength": ("only on strings and bytes", ("string", "bytes")),
    "enum": ("only on strings", ("string",)),
    "pattern": ("only on strings", ("string",)),
    "wire": (
        "only on times and decimals",
        ("timestamp", "local_timestamp", "date", "time", "decimal"),
    ),
}
EPOCH_FRACTIONS: Final[Mapping[str, int]] = {
    "epoch-seconds": 1,
    "epoch-millis": 1_000,
    "epoch-micros": 1_000_000,
    "epoch-nanos": 1_000_000_000,
}
"""How many of a second a number of each wire form counts."""
_OF_DAY: Final[Mapping[Unit, str]] = {"ms": "millis-of-day", "us": "micros-of-day", "ns": ""}
LEAST_NANOS: Final = -(2**63) + 1
"""Epoch nanoseconds of 64 bits reach from 1677 to 2262; the very least stands for none."""


def limited(made: Field, limits: Mapping[str, Any], where: str, faults: Faults) -> Field:
    """Return the field with its limits; those that its kind can't have are mistakes."""
    for key in limits:
        words, kinds = _ONLY_ON[key]
        if made.kind not in kinds:
            faults.found(faults.fault, f"{where}: {key}", limits[key], words)
        elif made.enum or made.size or made.pattern:
            faults.found(faults.fault, f"{where}: {key}", limits[key], _BY_TYPE)
    reader = _Limits(limits, where, faults)
    if made.kind in _ONLY_ON["wire"][1] and not made.wire:
        made = replace(made, wire=faults.found(reader.wire, made) or "")
    elif made.wire and "wire" in limits:
        faults.found(faults.fault, f"{where}: wire", limits["wire"], f"{made.wire}, as before")
    if made.kind in _ONLY_ON["minimum"][1]:
        low, high = faults.found(reader.range, made) or (made.minimum, made.maximum)
        made = replace(made, minimum=low, maximum=high)
    if made.kind == "string" and not made.enum and made.max_length is None:
        made = replace(made, max_length=faults.found(reader.max_length, LONGEST_TEXT))
    if made.kind == "bytes" and "maxLength" in limits:
        made = replace(made, max_length=faults.found(reader.max_length, 0))
    if "enum" in limits and made.kind == "string":
        made = replace(made, enum=faults.found(reader.texts, "enum") or ())
    if "pattern" in limits and made.kind == "string":
        made = replace(made, pattern=faults.found(reader.pattern))
    if "enum" in limits and made.enum:
        faults.found(reader.refuse_values_outside, made)
    return made


class _Limits:
    """Reads the limits of one field."""

    def __init__(self, limits: Mapping[str, Any], where: str, faults: Faults) -> None:
        self._limits = limits
        self._where = where
        self._faults = faults

    def wire(self, made: Field) -> str:
        forms = wire_forms(made)
        form = self._limits.get("wire", forms[0])
        if form not in forms:
            self._fault("wire", form, ", ".join(forms))
        return str(form)

    def max_length(self, default: int) -> int:
        length: Any = self._limits.get("maxLength", default)
        if type(length) is not int or not 0 <= length < 2**31:
            self._fault("maxLength", length, f"an integer from 0 to {2**31 - 1}")
        return int(length)

    def texts(self, key: str) -> tuple[str, ...]:
        return texts(self._limits[key], f"{self._where}: {key}", self._faults)

    def pattern(self) -> str:
        pattern: Any = self._limits["pattern"]
        try:
            re.compile(pattern)
            re.compile(str(Field("", "string", pattern=pattern).regex))
        except (re.error, TypeError, OverflowError, RecursionError) as error:
            self._fault("pattern", pattern, f"a regular expression ({cut(str(error))})")
        return str(pattern)

    def refuse_values_outside(self, made: Field) -> None:
        """Refuse an allowed value that the other limits refuse, or that is there twice."""
        for value in made.enum:
            if limit := broken_limit(replace(made, enum=()), value):
                self._fault("enum", value, f"values with {limit}")
        if len(set(made.enum)) < len(made.enum):
            self._fault("enum", made.enum, "each value once")

    def range(self, made: Field) -> tuple[Any, Any]:
        """Return the least and the largest value; of times None where the schema has none."""
        least, most = (self._end(made, key) for key in ("minimum", "maximum"))
        if least is not None and most is not None and least > most:
            low, high = self._limits.get("minimum", least), self._limits.get("maximum", most)
            self._fault("minimum", low, f"at most its maximum, {high}")
        return least, most

    def _end(self, made: Field, key: str) -> Any:
        if made.kind in _NUMBERS:
            return self._number(made.kind, key)
        if key not in self._limits:
            return getattr(made, key)
        value = self._limits[key]
        end = _decimal(made, value) if made.kind == "decimal" else _time(made, value)
        if end is None:
            self._fault(key, value, _ALLOWED_ENDS[made.kind])
        return end

    def _number(self, kind: Kind, key: str) -> int | float:
        at = 0 if key == "minimum" else 1
        if kind in _INTEGERS:
            lowest: float = _INTEGERS[kind][0]
            highest: float = _INTEGERS[kind][1]
            default: float = _INTEGERS[kind][at]
        else:
            usual, highest = _FLOATS[kind]
            lowest, default = -highest, (-usual, usual)[at]
        value = self._limits.get(key, default)
        number = type(value) is int or (kind in _FLOATS and type(value) is float)
        if not number or not lowest <= value <= highest:
            self._fault(key, value, f"{kind} from {lowest} to {highest}")
        return value  # type: ignore[no-any-return]

    def _fault(self, key: str, value: object, allowed: str) -> NoReturn:
        self._faults.fault(f"{self._where}: {key}", value, allowed)


_ALLOWED_ENDS: Final = {
    "decimal": 'an integer, or text such as "12.50", within its precision and scale',
    "timestamp": 'text such as "2018-01-01T00:00:00Z"',
    "local_timestamp": 'text such as "2018-01-01T00:00:00"',
    "date": 'text such as "2018-01-31"',
}


def wire_forms(made: Field) -> list[str]:
    """Return the forms of JSON that a field's values can have, the default first."""
    if made.kind == "decimal":
        return ["number", "string"]
    if made.kind == "date":
        return ["iso-8601", "epoch-days"]
    if made.kind == "time":
        return ["iso-8601", _OF_DAY[made.unit]]
    fits = [form for form, count in EPOCH_FRACTIONS.items() if count <= FRACTIONS[made.unit]]
    return ["iso-8601", *fits]


def texts(value: object, where: str, faults: Faults) -> tuple[str, ...]:
    """Return a list of texts that are not empty."""
    proper = isinstance(value, list) and all(isinstance(text, str) and text for text in value)
    if not proper or not value:
        faults.fault(where, value, "a list of texts")
    return tuple(value)  # type: ignore[arg-type]


def _decimal(made: Field, value: object) -> Decimal | None:
    try:
        number = Decimal(value) if type(value) is int or isinstance(value, str) else None
    except InvalidOperation:
        return None
    if number is None or not number.is_finite():
        return None
    return number if with_scale(made)(number) is not None else None


@cache
def with_scale(field: Field) -> Callable[[Decimal], Decimal | None]:
    """Return a function for a number with the field's scale; None if that would lose a digit."""
    scale = Decimal(1).scaleb(-field.scale)
    exact = Context(prec=field.precision, traps=[Inexact, InvalidOperation])

    def scaled(number: Decimal) -> Decimal | None:
        try:
            made = number.quantize(scale, context=exact)
        except (Inexact, InvalidOperation):
            return None
        if not made:
            return made.copy_abs()  # no -0
        return made if made.is_finite() else None

    return scaled


def _time(made: Field, value: object) -> int | None:
    if not isinstance(value, str):
        return None
    local = made.kind == "local_timestamp"
    count = parse_date(value) if made.kind == "date" else parse(value, made.unit, local=local)
    if isinstance(count, BadTimestamp) or (made.unit == "ns" and abs(count) > -LEAST_NANOS):
        return None
    return count


def broken_limit(made: Field, value: Any) -> str:
    """Return the limit of the field that refuses a value of its kind; empty if none does."""
    if made.enum and value not in made.enum:
        return f"enum {cut(', '.join(made.enum))}"
    if made.max_length is not None and len(value) > made.max_length:
        return f"maxLength {made.max_length}"
    if made.regex is not None and not re.search(made.regex, value):
        return f"pattern {cut(str(made.pattern))}"
    if made.minimum is not None and value < made.minimum:
        return f"minimum {made.minimum}"
    if made.maximum is not None and value > made.maximum:
        return f"maximum {made.maximum}"
    return ""
