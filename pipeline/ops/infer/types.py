"""Decide the Avro type of what was seen: the tightest that has all values, and say doubts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from connectors.text_files import cut
from pipeline.events import instants
from pipeline.events.fields import allowed_field_name
from pipeline.events.instants import FRACTIONS
from pipeline.events.model import EXACT_IN_DOUBLE, LONGEST_TEXT, Unit
from pipeline.ops.infer.seen import (
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    TOO_DEEP,
    Seen,
)

SHOWN: Final = 40
_EXAMPLES: Final = 3
_MOST_KEYS: Final = 20
_INT: Final = range(-(2**31), 2**31)
_LONG: Final = range(-(2**63), 2**63)
_MOST_DIGITS: Final = 38
_LARGEST: Final = 1.7976931348623157e308
_NANOS: Final = 10**9
_DAY: Final = timedelta(days=1)
_EARLIEST: Final = datetime(2009, 1, 1, tzinfo=UTC)
_NANOS_FROM, _NANOS_TO = 1678, 2261
"""Years that epoch nanoseconds of 64 bits have in full."""
_FIRST_SECOND: Final = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())
_LAST_SECOND: Final = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
_IS_TIME: Final = re.compile(r"(^|_)(at|ts)\Z|[a-z]At\Z|(?i:time)")
_PART: Final = re.compile(r"(_item|_value)+\Z")
_EPOCHS: Final[tuple[tuple[str, int, str], ...]] = (
    ("epoch-seconds", 1, "timestamp-millis"),
    ("epoch-millis", 10**3, "timestamp-millis"),
    ("epoch-micros", 10**6, "timestamp-micros"),
    ("epoch-nanos", 10**9, "timestamp-nanos"),
)
_UNITS: Final[tuple[tuple[int, str, Unit], ...]] = (
    (3, "millis", "ms"),
    (6, "micros", "us"),
    (9, "nanos", "ns"),
)
_CLASSES: Final = {INTEGER: NUMBER, NUMBER: NUMBER}
"""Kinds of which JSON's text does not tell the one from the other."""
_FORMS: Final = ("uuid", "date", "time", "timestamp", "local-timestamp")
_TAKEN: Final = (
    "null boolean int long float double bytes string record enum fixed array map".split()
)


class Declared(NamedTuple):
    """A type, and limits beside it."""

    avro: Any
    limits: Mapping[str, Any] = {}

    def inline(self) -> Any:
        """Return the type with the limits in it."""
        if not self.limits:
            return self.avro
        base = self.avro if isinstance(self.avro, dict) else {"type": self.avro}
        return {**base, **self.limits}


class Types:
    """Decides types; each record gets a name that no other one of the schema has."""

    def __init__(self, record_name: str, now: datetime) -> None:
        self.notes: list[str] = []
        self._taken = {*_TAKEN, record_name.lower()}
        self._latest = now + _DAY

    def note(self, path: str, text: str) -> None:
        """Keep what the user should look at."""
        self.notes.append(f"{cut(path, SHOWN)}: {text}")

    def field(self, path: str, name: str, seen: Seen, total: int) -> dict[str, Any] | None:
        """Return a field of a record that was seen so many times; None, with a note, if unknown."""
        declared = self.type(path, name, seen)
        if declared is None:
            return None
        is_optional = seen.count < total
        avro = declared.avro
        if is_optional or seen.kinds[NULL]:
            avro = ["null", *avro] if isinstance(avro, list) else ["null", avro]
        doc = f"Say what it is.{self.examples(seen, ' Seen: ')}"
        field = {"name": name, "type": avro, "doc": doc}
        if is_optional:
            field["default"] = None
            self.note(path, f"missing in {total - seen.count:,} of {total:,}: null there")
        return field | dict(declared.limits)

    def type(self, path: str, name: str, seen: Seen) -> Declared | None:
        """Return the type of all values but null; None, with a note, if it is not known."""
        kinds = {_CLASSES.get(kind, kind) for kind in seen.kinds if kind != NULL}
        if not kinds:
            where = "in all events" if seen.count else "as nothing was seen"
            self.note(path, f"left out: null {where}, so its type is not known")
            return None
        if TOO_DEEP in kinds:
            self.note(path, f"left out: it is {TOO_DEEP}")
            return None
        if len(kinds) > 1:
            return self._union(path, name, seen, sorted(kinds))
        return self._of_kind(kinds.pop(), path, name, seen)

    def _of_kind(self, kind: str, path: str, name: str, seen: Seen) -> Declared | None:
        match kind:
            case "boolean":
                return Declared("boolean")
            case "text":
                return self._text(path, seen)
            case "array":
                return self._array(path, name, seen)
            case "object":
                return self._object(path, name, seen)
        return self._epoch(path, name, seen) or self._number(path, seen)

    def _union(self, path: str, name: str, seen: Seen, kinds: list[str]) -> Declared | None:
        """Return a union with a branch for each form of JSON; its texts and numbers are plain."""
        branches: list[Any] = []
        for kind in kinds:
            if kind == TEXT:
                branch: Declared | None = self._string(seen)
            elif kind == NUMBER:
                branch = self._number(path, seen)
                if branch and isinstance(branch.avro, dict):
                    self.note(path, "left out: no union has such a decimal; send one form of it")
                    return None
            else:
                branch = self._of_kind(kind, path, name, seen)
            if branch is None:
                return None
            branches.append(branch.inline())
        numbers = seen.kinds[INTEGER] + seen.kinds[NUMBER]
        counts = {**seen.kinds, NUMBER: numbers}
        each = ", ".join(f"{kind} in {counts[kind]:,}" for kind in kinds)
        self.note(path, f"a union: {each}; a column with a field for each")
        return Declared(branches)

    def _array(self, path: str, name: str, seen: Seen) -> Declared | None:
        items = seen.items or Seen()
        if not items.count:
            self.note(path, "left out: empty in all events, so the type of its items is not known")
            return None
        item = self.type(f"{path}[]", f"{name}_item", items)
        if item is None:
            return None
        return Declared({"type": "array", "items": _nullable(item, items)})

    def _object(self, path: str, name: str, seen: Seen) -> Declared | None:
        if not seen.members:
            self.note(path, "left out: empty in all events, so what it has is not known")
            return None
        why = self._why_map(seen)
        merged = Seen()
        for member in seen.members.values() if why else ():
            merged.merge(member)
        if why and (_is_one_kind(merged) or not _can_be_record(seen)):
            self.note(path, f"a map: {why}; make it a record if its keys are few and known")
            value = self.type(f"{path}{{}}", f"{name}_value", merged)
            avro = {"type": "map", "values": _nullable(value, merged)} if value else None
            return Declared(avro) if avro else None
        return self._record(path, name, seen)

    def _why_map(self, seen: Seen) -> str:
        """Return why an object's keys are data and not names; empty if they are names."""
        objects = seen.kinds[OBJECT]
        common = [member for member in seen.members.values() if member.count == objects]
        if not _can_be_record(seen):
            return "not all of its keys can be names of fields"
        if len(common) == len(seen.members):
            return ""
        if len(seen.members) > _MOST_KEYS:
            return f"it has {len(seen.members):,} different keys, not all in each event"
        return "" if common else "no key is in all events"

    def _record(self, path: str, name: str, seen: Seen) -> Declared | None:
        record = self._record_name(name)
        objects = seen.kinds[OBJECT]
        found = (
            self.field(f"{path}.{member}", member, each, objects)
            for member, each in seen.members.items()
        )
        fields = [field for field in found if field]
        if not fields:
            self.note(path, "left out: the type of none of its fields is known")
            return None
        return Declared({"type": "record", "name": record, "fields": fields})

    def _record_name(self, name: str) -> str:
        base = made = camel(name) or "Record"
        number = 1
        while made.lower() in self._taken:
            number += 1
            made = f"{base}{number}"
        self._taken.add(made.lower())
        return made

    def _epoch(self, path: str, name: str, seen: Seen) -> Declared | None:
        """Return a timestamp for integers that are times since 1970 by their name and value."""
        if seen.kinds[NUMBER] or not _IS_TIME.search(_PART.sub("", name)):
            return None
        least, most = seen.least or 0, seen.most or 0
        for wire, per_second, logical in _EPOCHS:
            earliest = int(_EARLIEST.timestamp()) * per_second
            if least >= earliest and most < int(self._latest.timestamp()) * per_second:
                self.note(path, f"a time as {wire}, by its name and values; if not, make it a long")
                return Declared({"type": "long", "logicalType": logical}, {"wire": wire})
        return None

    def _number(self, path: str, seen: Seen) -> Declared | None:
        least, most = seen.least or 0, seen.most or 0
        if not seen.kinds[NUMBER]:
            if least in _INT and most in _INT:
                return Declared("int")
            if least in _LONG and most in _LONG:
                return Declared("long")
        elif not seen.rounded:
            return self._double(path, seen)
        if seen.whole + seen.scale <= _MOST_DIGITS:
            self.note(path, f"a decimal: {seen.digits} digits, which neither a long nor a double"
                      " keeps; precision and scale cannot change later")  # fmt: skip
            return Declared(
                {
                    "type": "bytes",
                    "logicalType": "decimal",
                    "precision": _MOST_DIGITS,
                    "scale": seen.scale,
                }
            )
        self.note(path, f"more than {_MOST_DIGITS} digits: a double loses some; send it as text")
        return self._double(path, seen)

    def _double(self, path: str, seen: Seen) -> Declared | None:
        least, most = Decimal(seen.least or 0), Decimal(seen.most or 0)
        limit = Decimal(_LARGEST)
        if least < -limit or most > limit:
            self.note(path, "left out: no double can hold its numbers; send it as text")
            return None
        limits = {}
        if least < -EXACT_IN_DOUBLE:
            limits["minimum"] = -_LARGEST
        if most > EXACT_IN_DOUBLE:
            limits["maximum"] = _LARGEST
        if limits:
            self.note(path, f"beyond 2^53, so {' and '.join(limits)} are as wide as a double")
        return Declared("double", limits)

    def _text(self, path: str, seen: Seen) -> Declared:
        texts = seen.kinds[TEXT]
        others = seen.forms - Counter({TEXT: seen.forms[TEXT]})
        form, times = max(others.items(), key=lambda each: each[1], default=(TEXT, 0))
        if times == texts and form in _FORMS:
            return self._form(path, form, seen) or self._string(seen)
        if others:
            self.note(path, f"text: {times:,} of {texts:,} can be read as {form}")
        elif len(seen.values) <= _EXAMPLES and texts >= 10 * len(seen.values):
            self.note(path, f"only{self.examples(seen, ' ')[:-1]}: consider enum")
        return self._string(seen)

    def _string(self, seen: Seen) -> Declared:
        long = seen.longest > LONGEST_TEXT
        return Declared("string", {"maxLength": seen.longest} if long else {})

    def _form(self, path: str, form: str, seen: Seen) -> Declared | None:
        """Return the logical type of texts that all have a form; None if there is none."""
        if form == "uuid":
            return Declared({"type": "string", "logicalType": "uuid"})
        if form == "date":
            return Declared({"type": "int", "logicalType": "date"})
        _, name, unit = next(each for each in _UNITS if seen.fraction <= each[0])
        if form == "time":
            if unit == "ns":
                self.note(path, "text: Avro has no time of day with nanoseconds")
                return None
            base = "int" if unit == "ms" else "long"
            return Declared({"type": base, "logicalType": f"time-{name}"})
        limits = self._range(path, form, unit, seen)
        if limits is None:
            return None
        return Declared({"type": "long", "logicalType": f"{form}-{name}"}, limits)

    def _range(self, path: str, form: str, unit: Unit, seen: Seen) -> dict[str, str] | None:
        """Return limits for times that are not within those of all times; None if none can be."""
        first, last = (seen.first or 0) // _NANOS, (seen.last or 0) // _NANOS
        if not (_FIRST_SECOND <= first and last <= _LAST_SECOND):
            self.note(path, "text: there are times before the year 1 or after 9999, in UTC")
            return None
        years = [_year(first), _year(last)]
        if unit == "ns" and not (_NANOS_FROM <= years[0] and years[1] <= _NANOS_TO):
            self.note(path, "text: nanoseconds of 64 bits reach from 1677 to 2262 only")
            return None
        limits = {}
        local = form == "local-timestamp"
        if (seen.first or 0) < int(_EARLIEST.timestamp()) * _NANOS:
            limits["minimum"] = _limit(datetime(years[0], 1, 1, tzinfo=UTC), unit, local)
        if (seen.last or 0) >= int(self._latest.timestamp()) * _NANOS:
            limits["maximum"] = _limit(datetime(years[1], 12, 31, tzinfo=UTC), unit, local)
        if limits:
            words = " and ".join(f"{key} {value}" for key, value in limits.items())
            self.note(path, f"times before 2009 or after tomorrow: {words}")
        return limits

    def examples(self, seen: Seen, before: str) -> str:
        """Return some values as a sentence; empty if there are none."""
        shown = [
            cut(str(value), SHOWN) for value, _ in zip(seen.values, range(_EXAMPLES), strict=False)
        ]
        return f"{before}{', '.join(shown)}." if shown else ""


def camel(name: str) -> str:
    """Return a name as that of a record: `dropOff_place` -> `DropOffPlace`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _nullable(declared: Declared, seen: Seen) -> Any:
    avro = declared.inline()
    if not seen.kinds[NULL]:
        return avro
    return ["null", *avro] if isinstance(avro, list) else ["null", avro]


def _can_be_record(seen: Seen) -> bool:
    names = {name.lower() for name in seen.members}
    return len(names) == len(seen.members) and not any(map(allowed_field_name, seen.members))


def _is_one_kind(seen: Seen) -> bool:
    return len({_CLASSES.get(kind, kind) for kind in seen.kinds if kind != NULL}) == 1


def _year(seconds: int) -> int:
    return int(instants.text(seconds * 1000)[:4])


def _limit(day: datetime, unit: Unit, local: bool) -> str:
    """Return the start of a day that is the first of a year, or the end of one that is the last."""
    count = int((day - instants.EPOCH).total_seconds()) * FRACTIONS[unit]
    last = 0 if day.month == 1 else 86_400 * FRACTIONS[unit] - 1
    return instants.text(count + last, unit, local=local)
