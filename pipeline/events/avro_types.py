"""Read Avro's types into fields: primitive, logical, complex and named ones, and unions.

https://avro.apache.org/docs/1.12.0/specification/ has their names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pipeline.events.faults import Faults
from pipeline.events.limits import LIMITS, limited
from pipeline.events.model import Field, Kind, Unit

DEEPEST: Final = 16
"""Levels of records, arrays and maps; OpenSearch takes 20."""

_PRIMITIVES: Final[Mapping[str, Kind]] = {
    "boolean": "boolean",
    "int": "int32",
    "long": "int64",
    "float": "float",
    "double": "double",
    "string": "string",
    "bytes": "bytes",
}
LOGICAL_TIMES: Final[Mapping[tuple[str, str], tuple[Kind, Unit]]] = {
    ("int", "date"): ("date", "ms"),
    ("int", "time-millis"): ("time", "ms"),
    ("long", "time-micros"): ("time", "us"),
    ("long", "timestamp-millis"): ("timestamp", "ms"),
    ("long", "timestamp-micros"): ("timestamp", "us"),
    ("long", "timestamp-nanos"): ("timestamp", "ns"),
    ("long", "local-timestamp-millis"): ("local_timestamp", "ms"),
    ("long", "local-timestamp-micros"): ("local_timestamp", "us"),
    ("long", "local-timestamp-nanos"): ("local_timestamp", "ns"),
}
"""Kind and unit of the logical types of dates and times, by Avro's type and theirs."""

_NAMED: Final = ("record", "enum", "fixed")
_COMPLEX: Final = (*_NAMED, "array", "map")
_ALLOWED: Final = (
    f"{', '.join(_PRIMITIVES)}, {', '.join(_COMPLEX)}, the name of a type that was defined before,"
    f" a logicalType ({', '.join(name for _, name in LOGICAL_TIMES)}, decimal, uuid), or a union"
)
_KEYS: Final = frozenset(
    "type logicalType name namespace doc aliases fields symbols default items values size precision"
    " scale".split()
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FULL_NAME: Final = re.compile(rf"{_NAME.pattern}(?:\.{_NAME.pattern})*")
UUID: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_WITH_NAME: Final = "record, enum and fixed"
_MOST_DIGITS: Final = 38
_CLASSES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("record", "map"), "object"),
    **dict.fromkeys(("int32", "int64", "double", "float"), "number"),
    **dict.fromkeys(("string", "bytes"), "text"),
    "array": "array",
    "boolean": "boolean",
}


@dataclass(slots=True)
class Place:
    """Where a type stands: for messages, and how names in it are read."""

    where: str
    namespace: str = ""
    depth: int = 0
    open: tuple[str, ...] = field(default_factory=tuple)

    def below(self, suffix: str, *names: str, namespace: str | None = None) -> Place:
        """Return the place of a part; `names` are those of types that contain it."""
        inner = self.namespace if namespace is None else namespace
        return Place(f"{self.where}{suffix}", inner, self.depth + 1, (*self.open, *names))


class AvroTypes:
    """The types of one schema file, with those that have a name."""

    def __init__(self, faults: Faults, fields: Any) -> None:
        """Read records with `fields(declared, place)`, which returns their fields."""
        self._faults = faults
        self._fields = fields
        self._named: dict[str, Field] = {}

    def read(self, avro: object, limits: Mapping[str, Any], place: Place) -> Field:
        """Return a field without a name, of this type and with these limits."""
        if place.depth > DEEPEST:
            self._faults.fault(place.where, f"level {place.depth}", f"{DEEPEST} levels of nesting")
        if isinstance(avro, list):
            return self._union(avro, limits, place)
        if isinstance(avro, dict):
            return self._declared(avro, limits, place)
        kind = _PRIMITIVES.get(avro) if isinstance(avro, str) else None
        if kind:
            return self._limited(Field("", kind), limits, place)
        named = self._reference(avro, place) if isinstance(avro, str) else None
        if named is None:
            self._faults.fault(f"{place.where}: type", avro, _ALLOWED)
        return self._limited(named, limits, place)

    def _reference(self, name: str, place: Place) -> Field | None:
        for full in (_joined(place.namespace, name), name):
            if full in place.open:
                self._faults.fault(f"{place.where}: type", name, "no type that contains itself")
            if full in self._named:
                return self._named[full]
        return None

    def _declared(self, avro: Mapping[str, Any], limits: Mapping[str, Any], place: Place) -> Field:
        known = _KEYS | frozenset(LIMITS)
        self._faults.refuse_unknown(place.where, avro, known)
        inner = {key: avro[key] for key in LIMITS if key in avro}
        for key in sorted(inner.keys() & limits.keys()):
            self._faults.fault(f"{place.where}: {key}", inner[key], "it once")
        limits = {**limits, **inner}
        name = avro.get("type")
        if isinstance(name, str) and name in _COMPLEX:
            return self._complex(name, avro, limits, place)
        if "logicalType" not in avro:
            return self.read(name, limits, place)
        if not isinstance(name, str) or name not in _PRIMITIVES:
            allowed = "beside a primitive type, in the same object"
            self._faults.fault(f"{place.where}: logicalType", avro["logicalType"], allowed)
        return self._limited(self._logical(name, avro, place), limits, place)

    def _logical(self, name: str, avro: Mapping[str, Any], place: Place) -> Field:
        logical = avro["logicalType"]
        if (name, logical) == ("bytes", "decimal"):
            return self._decimal(avro, place)
        if (name, logical) == ("string", "uuid"):
            return Field("", "string", max_length=36, pattern=UUID)
        found = LOGICAL_TIMES.get((name, logical)) if isinstance(logical, str) else None
        if found is None:
            able = [each for base, each in LOGICAL_TIMES if base == name]
            able += {"bytes": ["decimal"], "string": ["uuid"]}.get(name, [])
            allowed = ", ".join(able) or f"none for {name}"
            self._faults.fault(f"{place.where}: logicalType", logical, allowed)
        kind, unit = found
        return Field("", kind, unit=unit)

    def _decimal(self, avro: Mapping[str, Any], place: Place) -> Field:
        precision, scale = avro.get("precision"), avro.get("scale", 0)
        if type(precision) is not int or not 1 <= precision <= _MOST_DIGITS:
            allowed = f"an integer from 1 to {_MOST_DIGITS}"
            self._faults.fault(f"{place.where}: precision", precision, allowed)
        if type(scale) is not int or not 0 <= scale <= precision:
            self._faults.fault(f"{place.where}: scale", scale, f"an integer from 0 to {precision}")
        return Field("", "decimal", precision=precision, scale=scale)

    def _complex(
        self, name: str, avro: Mapping[str, Any], limits: Mapping[str, Any], place: Place
    ) -> Field:
        if name != "fixed" and "logicalType" in avro:
            logical = avro["logicalType"]
            self._faults.fault(f"{place.where}: logicalType", logical, f"none for {name}")
        if name == "array":
            item = self.read(avro.get("items"), {}, place.below("[]"))
            made = Field("", "array", children=(replace(item, name="item"),))
        elif name == "map":
            value = self.read(avro.get("values"), {}, place.below("{}"))
            made = Field("", "map", children=(replace(value, name="value"),))
        else:
            full = self._full_name(avro, place)
            made = self._of_name(name, full, avro, place)
            before = len(self._faults)
            result = self._limited(made, limits, place)
            if len(self._faults) == before:
                made = self._with_own_limits(made, avro, place)
            self._named[full] = made
            return result
        return self._limited(made, limits, place)

    def _with_own_limits(self, made: Field, avro: Mapping[str, Any], place: Place) -> Field:
        """Return what the type's name stands for: with its own limits, not with the field's."""
        own = {key: avro[key] for key in LIMITS if key in avro}
        limited = self._limited(made, own, place)
        return limited if "wire" in own else replace(limited, wire="")

    def _of_name(self, name: str, full: str, avro: Mapping[str, Any], place: Place) -> Field:
        if name == "record":
            inner = place.below("", full, namespace=full.rpartition(".")[0])
            return Field("", "record", children=self._fields(avro, inner))
        if name == "enum":
            return self._enum(avro, place)
        return self._fixed(avro, place)

    def _enum(self, avro: Mapping[str, Any], place: Place) -> Field:
        symbols: Any = avro.get("symbols")
        proper = isinstance(symbols, list) and symbols and all(map(_is_name, symbols))
        if not proper or len(set(symbols)) < len(symbols):
            allowed = (
                f"a list of different texts like {_NAME.pattern}; for others take a string and"
                ' the property "enum"'
            )
            self._faults.fault(f"{place.where}: symbols", symbols, allowed)
        if avro.get("default", symbols[0]) not in symbols:
            self._faults.fault(f"{place.where}: default", avro["default"], "one of the symbols")
        return Field("", "string", enum=tuple(symbols), max_length=max(map(len, symbols)))

    def _fixed(self, avro: Mapping[str, Any], place: Place) -> Field:
        size = avro.get("size")
        if type(size) is not int or not 1 <= size < 2**20:
            self._faults.fault(f"{place.where}: size", size, f"an integer from 1 to {2**20 - 1}")
        if "logicalType" not in avro:
            return Field("", "bytes", size=size)
        if avro["logicalType"] != "decimal":
            self._faults.fault(f"{place.where}: logicalType", avro["logicalType"], "decimal")
        made = self._decimal(avro, place)
        if 10**made.precision > 2 ** (8 * size - 1):
            allowed = f"as many digits as fit into {size} bytes"
            self._faults.fault(f"{place.where}: precision", made.precision, allowed)
        return made

    def _full_name(self, avro: Mapping[str, Any], place: Place) -> str:
        name, full = avro.get("name"), full_name(avro, place, self._faults)
        if full.rpartition(".")[2] in _PRIMITIVES or full in _COMPLEX:
            self._faults.fault(f"{place.where}: name", name, "a name that no type of Avro has")
        if full in self._named or full in place.open:
            self._faults.fault(f"{place.where}: name", name, "a name that no other type has")
        return full

    def _union(self, avro: list[Any], limits: Mapping[str, Any], place: Place) -> Field:
        branches = [branch for branch in avro if branch != "null"]
        nullable = len(branches) < len(avro)
        if any(isinstance(_bare(branch), list) for branch in branches):
            self._faults.fault(f"{place.where}: type", avro, "no union in a union")
        if not branches or len(branches) + nullable != len(avro):
            allowed = 'a union of "null", once, and types that JSON tells apart'
            self._faults.fault(f"{place.where}: type", avro, allowed)
        if len(branches) == 1:
            return replace(self.read(branches[0], limits, place), nullable=nullable)
        fields = [self._branch(branch, place) for branch in branches]
        found: dict[str, str] = {}
        for branch in fields:
            if branch.kind == "decimal" and branch.wire == "number":
                # The fast decoder's parser takes the text of a number for a decimal, too.
                allowed = 'in a union with others a decimal with "wire": "string"'
                self._faults.fault(f"{place.where}: type", avro, allowed)
            if other := found.get(json_form(branch)):
                allowed = f"types that JSON tells apart: {branch.name} and {other} are not"
                self._faults.fault(f"{place.where}: type", avro, allowed)
            found[json_form(branch)] = branch.name
        if len({branch.name.lower() for branch in fields}) < len(fields):
            allowed = "types whose names differ, as each is a column of that name"
            self._faults.fault(f"{place.where}: type", avro, allowed)
        made = Field("", "union", nullable=nullable, children=tuple(fields))
        return self._limited(made, limits, place)

    def _branch(self, avro: Any, place: Place) -> Field:
        branch, name = self.read(avro, {}, place), _bare(avro)
        if isinstance(name, dict):
            name = name["name"] if name["type"] in _NAMED else name["type"]
        return replace(branch, name=str(name).rpartition(".")[2])

    def _limited(self, made: Field, limits: Mapping[str, Any], place: Place) -> Field:
        return limited(made, limits, place.where, self._faults)


def _bare(avro: Any) -> Any:
    """Return a type without objects around it that have a type alone."""
    while isinstance(avro, dict) and isinstance(avro.get("type"), dict | list):
        avro = avro["type"]
    return avro


def json_form(made: Field) -> str:
    """Return which form of JSON a field's values have: number, text, boolean, array or object."""
    if made.kind in _CLASSES:
        return _CLASSES[made.kind]
    return "text" if made.wire in ("iso-8601", "string") else "number"


def full_name(avro: Mapping[str, Any], place: Place, faults: Faults) -> str:
    """Return the name of a named type with its namespace, which it inherits by default."""
    name, namespace = avro.get("name"), avro.get("namespace", place.namespace)
    where = f"{place.where}: " if place.where else ""
    if not isinstance(name, str) or not _FULL_NAME.fullmatch(name):
        faults.fault(f"{where}name", name, f"text like {_FULL_NAME.pattern}, for each {_WITH_NAME}")
    if not isinstance(namespace, str) or not _FULL_NAME.fullmatch(namespace or "x"):
        faults.fault(f"{where}namespace", namespace, f"text like {_FULL_NAME.pattern}")
    return name if "." in name else _joined(namespace, name)


def _joined(namespace: str, name: str) -> str:
    return f"{namespace}.{name}" if namespace and "." not in name else name


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(_NAME.fullmatch(value))
