"""Read the fields of a record of a schema: names, docs, defaults, and their types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from pipeline.events.avro_types import AvroTypes, Place, full_name
from pipeline.events.faults import Faults, did_you_mean
from pipeline.events.limits import LIMITS, broken_limit, texts
from pipeline.events.model import Field, Kind, Scalar

__all__ = ["FIELD_NAME", "Fields", "allowed_field_name", "did_you_mean"]

FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
_LONGEST_NAME: Final = 128
_KEYS: Final = frozenset(("name", "type", "doc", "aliases", "default", "order", *LIMITS))
_JSON: Final[Mapping[Kind, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "double": (int, float),
    "float": (int, float),
    "int32": (int,),
    "int64": (int,),
}
_FLOATS: Final = ("double", "float")
_EMPTY: Final[Mapping[Kind, object]] = {"array": [], "map": {}}


class Fields:
    """The fields of one schema file. `refused` has the names of those with mistakes."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._types = AvroTypes(faults, self._of_nested)
        self.refused: set[object] = set()

    def of_record(self, record: Mapping[str, Any], reserved: frozenset[str]) -> tuple[Field, ...]:
        """Return the fields without a mistake; those with mistakes are in `refused`."""
        full = full_name(record, Place(""), self._faults)
        place = Place("field ", full.rpartition(".")[0], open=(full,))
        return self._of(record, place, reserved)

    def doc(self, where: str, declared: Mapping[str, Any]) -> str:
        """Return the text that describes a record or field."""
        doc = declared.get("doc")
        if not isinstance(doc, str) or not doc.strip():
            self._faults.fault(where, doc, "text that isn't empty")
        return doc

    def _of_nested(self, record: Mapping[str, Any], place: Place) -> tuple[Field, ...]:
        below = Place(f"{place.where}.", place.namespace, place.depth, place.open)
        fields = self._of(record, below, frozenset())
        if record["fields"] == []:
            self._faults.fault(f"{place.where}: fields", [], "one or more fields")
        return fields

    def _of(
        self, record: Mapping[str, Any], place: Place, reserved: frozenset[str]
    ) -> tuple[Field, ...]:
        listed = record.get("fields")
        where = "fields" if place.where == "field " else f"{place.where.rstrip('.')}: fields"
        if not isinstance(listed, list) or not all(isinstance(field, dict) for field in listed):
            self._faults.fault(where, listed, "a list of Avro fields")
        found = self._faults.found
        fields = [field for each in listed if (field := self._found(each, place, reserved))]
        names: dict[str, str] = {}
        for field in fields:
            if names.setdefault(field.name.lower(), field.name) != field.name:
                other = names[field.name.lower()]
                allowed = f"names that differ not in case alone: {other} is one"
                found(self._faults.fault, where, field.name, allowed)
        listed_names = [field.name for field in fields]
        for name in {name: None for name in listed_names if listed_names.count(name) > 1}:
            found(self._faults.fault, where, name, "each name once")
        found(self._refuse_shared_aliases, place.where, fields)
        return tuple(fields)

    def _found(
        self, declared: Mapping[str, Any], place: Place, reserved: frozenset[str]
    ) -> Field | None:
        before = len(self._faults)
        field = self._faults.found(self._field, declared, place, reserved)
        if len(self._faults) == before:
            return field
        name = declared.get("name")
        if isinstance(name, str) and place.depth == 0:
            self.refused.add(name)
        return None

    def _field(self, declared: Mapping[str, Any], place: Place, reserved: frozenset[str]) -> Field:
        name, found = declared.get("name"), self._faults.found
        if allowed := allowed_field_name(name, reserved):
            at = "" if place.where == "field " else f"{place.where.rstrip('.')}: "
            self._faults.fault(f"{at}field name", name, allowed)
        where = f"{place.where}{name}"
        self._faults.refuse_unknown(where, declared, _KEYS)
        doc = ""
        if "doc" in declared or not place.depth:
            doc = found(self.doc, f"{where}: doc", declared) or ""
        aliases: tuple[str, ...] = ()
        if "aliases" in declared:
            listed = declared["aliases"]
            aliases = found(texts, listed, f"{where}: aliases", self._faults) or ()
        if "logicalType" in declared:
            allowed = 'in the type alone, such as "type": {"type": "long", "logicalType": ...}'
            self._faults.fault(f"{where}: logicalType", declared["logicalType"], allowed)
        limits = {key: declared[key] for key in LIMITS if key in declared}
        inner = Place(where, place.namespace, place.depth, place.open)
        before = len(self._faults)
        typed = self._types.read(declared.get("type"), limits, inner)
        field = replace(typed, name=str(name), doc=doc, aliases=aliases)
        if len(self._faults) == before:
            default = found(self._default, where, field, declared)
            field = replace(field, optional="default" in declared, default=default)
            if field.default not in (None, ()) and (limit := broken_limit(field, field.default)):
                self._faults.fault(f"{where}: default", field.default, f"a value with {limit}")
        return field

    def _refuse_shared_aliases(self, where: str, fields: Sequence[Field]) -> None:
        owners = {field.name: field.name for field in fields}
        for field in fields:
            for alias in field.aliases:
                if alias in owners:
                    allowed = f"names that no other field has; {owners[alias]} has it"
                    self._faults.fault(f"{where}{field.name}: aliases", alias, allowed)
                owners[alias] = field.name

    def _default(self, where: str, field: Field, declared: Mapping[str, Any]) -> Scalar:
        if "default" not in declared:
            return None
        default, avro = declared["default"], declared["type"]
        while isinstance(avro, dict):  # a type may be an object with the type alone
            avro = avro["type"]
        first_is_null = isinstance(avro, list) and avro[0] == "null"
        if default is None and first_is_null:
            return None
        if default == _EMPTY.get(field.kind, default) and not first_is_null:
            if field.kind in _EMPTY:
                return ()
            if type(default) in _JSON.get(field.kind, ()):
                return _as_double(default) if field.kind in _FLOATS else cast(Scalar, default)
        allowed = "a value of the (first) Avro type; of complex and logical ones null, [] or {}"
        self._faults.fault(f"{where}: default", default, allowed)


def _as_double(number: float) -> Scalar:
    """Return the number as a double; one that is too large stays, as it is beyond the maximum."""
    try:
        return float(number)
    except OverflowError:
        return number


def allowed_field_name(name: object, reserved: frozenset[str] = frozenset()) -> str:
    """Return what is allowed in place of this name of a field; empty if it is allowed."""
    if not isinstance(name, str) or not FIELD_NAME.fullmatch(name):
        return f"text like {FIELD_NAME.pattern}"
    if len(name) > _LONGEST_NAME:
        return f"at most {_LONGEST_NAME} characters"
    return "any other name: the job has a column of that name" if name.lower() in reserved else ""
