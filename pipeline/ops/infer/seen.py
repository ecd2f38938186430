"""What sample events have: for each member its kinds, its extremes, and what is in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

from connectors.errors import UserError
from connectors.text_files import cut
from pipeline.events.avro_types import DEEPEST, UUID
from pipeline.events.instants import BadTimestamp, parse, parse_date, parse_time

INTEGER: Final = "integer"
NUMBER: Final = "number"
TEXT: Final = "text"
BOOLEAN: Final = "boolean"
OBJECT: Final = "object"
ARRAY: Final = "array"
NULL: Final = "null"
TOO_DEEP: Final = f"nested in more than {DEEPEST} levels"
_KINDS: Final[Mapping[type, str]] = {
    bool: BOOLEAN,
    int: INTEGER,
    float: NUMBER,
    Decimal: NUMBER,
    str: TEXT,
    type(None): NULL,
    dict: OBJECT,
    list: ARRAY,
}
_KEPT_WITHIN: Final = 100
"""Values that are kept of a member within another one; of others all, to see if they are unique."""
_SHOWN: Final = 200
_UUID: Final = re.compile(UUID)
_LONGEST_TIME: Final = 64
_EXACT_DIGITS: Final = 15
"""Every number of so many digits comes back from a double as it was."""


class Sample(NamedTuple):
    """Events of one type with their lines, and how many other lines are no JSON object."""

    events: list[dict[str, Any]]
    lines: list[bytes]
    bad: int


def read(lines: Iterable[bytes], event_type: str) -> Sample:
    """Return the events of a type, or of the only one; an event without `type` is of it, too.

    If the field `type` of no event has it, all events are of that type: something else tells it.

    Raises:
        UserError: the events have several types, and none is asked for.
    """
    parsed = [(line, _json(line)) for line in lines]
    known = [(line, event) for line, event in parsed if isinstance(event, dict)]
    types = dict.fromkeys(str(event["type"]) for _, event in known if "type" in event)
    if len(types) > 1 and not event_type:
        named = cut(", ".join(types), _SHOWN)
        raise UserError(f"the sample has events of the types {named}; give one as --type")
    chosen = [
        (line, event)
        for line, event in known
        if event_type not in types or str(event.get("type", event_type)) == event_type
    ]
    return Sample(
        [event for _, event in chosen], [line for line, _ in chosen], len(parsed) - len(known)
    )


def _json(line: bytes) -> Any:
    """Return the JSON value of a line with every digit of its numbers, None if there is none."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(line, parse_constant=refuse, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return None


class TextForm(NamedTuple):
    """What a text may be besides text; of times their nanoseconds and significant digits."""

    name: str
    digits: int = 0
    nanos: int = 0


@dataclass(slots=True)
class Seen:
    """What was seen of one member, item or value."""

    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    values: dict[Any, None] = field(default_factory=dict)
    least: int | Decimal | None = None
    most: int | Decimal | None = None
    digits: int = 0
    """Significant digits of a number, at most."""
    rounded: bool = False
    """Whether a number has more digits than the text of a double."""
    whole: int = 0
    scale: int = 0
    """Digits before and after the point, at most."""
    longest: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    fraction: int = 0
    first: int | None = None
    last: int | None = None
    """Nanoseconds since 1970 of the first and the last time."""
    members: dict[str, Seen] = field(default_factory=dict)
    items: Seen | None = None

    def add(self, value: Any, depth: int = 0) -> None:
        """Take note of a value that is below so many records, arrays and maps."""
        kind = _KINDS[type(value)]
        self.count += 1
        if kind in (OBJECT, ARRAY) and depth >= DEEPEST:
            kind = TOO_DEEP
        self.kinds[kind] += 1
        if kind == OBJECT:
            for name, member in value.items():
                self.members.setdefault(name, Seen()).add(member, depth + 1)
        elif kind == ARRAY:
            self.items = self.items or Seen()
            for item in value:
                self.items.add(item, depth + 1)
        elif kind in (INTEGER, NUMBER):
            self._add_number(value)
        elif kind == TEXT:
            self._add_text(value)
        plain = kind in (INTEGER, NUMBER, TEXT, BOOLEAN)
        if plain and (depth == 0 or len(self.values) < _KEPT_WITHIN):
            self.values.setdefault(value)

    def _add_number(self, value: int | float | Decimal) -> None:
        exact = Decimal(str(value)) if isinstance(value, float) else value
        self.least = exact if self.least is None else min(self.least, exact)
        self.most = exact if self.most is None else max(self.most, exact)
        _, digits, exponent = Decimal(exact).as_tuple()
        if not any(digits) or not isinstance(exponent, int):
            return
        significant = "".join(map(str, digits)).lstrip("0")
        zeros = len(significant) - len(significant.rstrip("0"))
        self.digits = max(self.digits, len(significant) - zeros)
        self.rounded |= len(significant) - zeros > _EXACT_DIGITS and _is_rounded(exact)
        self.whole = max(self.whole, len(significant) + exponent)
        self.scale = max(self.scale, -(exponent + zeros))

    def _add_text(self, value: str) -> None:
        self.longest = max(self.longest, len(value))
        form = text_form(value)
        self.forms[form.name] += 1
        if form.name in ("timestamp", "local-timestamp", "time"):
            self.fraction = max(self.fraction, form.digits)
            self.first = form.nanos if self.first is None else min(self.first, form.nanos)
            self.last = form.nanos if self.last is None else max(self.last, form.nanos)

    def merge(self, other: Seen) -> None:
        """Take note of what was seen of another member, as if it had been this one."""
        self.count += other.count
        self.kinds += other.kinds
        self.forms += other.forms
        for value in [*other.values][: max(0, _KEPT_WITHIN - len(self.values))]:
            self.values.setdefault(value)
        for name in ("digits", "rounded", "whole", "scale", "longest", "fraction"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        for name, extreme in (("least", min), ("most", max), ("first", min), ("last", max)):
            both = [getattr(each, name) for each in (self, other)]
            known = [each for each in both if each is not None]
            setattr(self, name, extreme(known) if known else None)
        for name, member in other.members.items():
            self.members.setdefault(name, Seen()).merge(member)
        if other.items is not None:
            self.items = self.items or Seen()
            self.items.merge(other.items)


def _is_rounded(number: int | Decimal) -> bool:
    """Return whether a number is not the text of a double, which senders write in these forms."""
    try:
        double = float(number)
    except OverflowError:
        return True
    return all(
        Decimal(form) != number for form in (repr(double), f"{double:.16g}", f"{double:.17g}")
    )


def observe(events: Iterable[Mapping[str, Any]]) -> dict[str, Seen]:
    """Return what was seen of each member of the events."""
    seen: dict[str, Seen] = {}
    for event in events:
        for name, value in event.items():
            seen.setdefault(name, Seen()).add(value)
    return seen


def text_form(text: str) -> TextForm:
    """Return what a text may be: uuid, date, time, timestamp, local-timestamp, or text alone.

    >>> text_form("2018-01-01T00:21:05.50Z")
    TextForm(name='timestamp', digits=1, nanos=1514766065500000000)
    """
    if len(text) > _LONGEST_TIME:
        return TextForm(TEXT)
    if _UUID.match(text) and len(text) == 36:
        return TextForm("uuid")
    if not isinstance(parse_date(text), BadTimestamp):
        return TextForm("date")
    tried = {
        "timestamp": parse(text, "ns"),
        "local-timestamp": parse(text, "ns", local=True),
        "time": parse_time(text, "ns"),
    }
    for name, nanos in tried.items():
        if not isinstance(nanos, BadTimestamp):
            fraction = re.search(r"\.([0-9]+)", text)
            return TextForm(name, len(fraction[1].rstrip("0")) if fraction else 0, nanos)
        if nanos.reason == "timestamp_precision":
            return TextForm(f"{name} of more than 9 digits")
    return TextForm(TEXT)
