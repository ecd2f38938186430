"""Read one schema file (`<type>.avsc`) into an `EventType`; reject what is not understood.

Every error names the file, the field, the value seen and what is allowed.
"""

from __future__ import annotations

import difflib
import json
import keyword
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar, cast

from connectors.errors import Mistakes, UserError
from connectors.text_files import cut, parse_json, read_text
from pipeline.events.field_rules import ROLES, broken_limit, has_kind
from pipeline.events.model import (
    EVENT_TYPE_NAME,
    EXACT_IN_DOUBLE,
    LONGEST_ID_BYTES,
    LONGEST_TEXT,
    WATERMARK,
    EventType,
    Field,
    Kind,
    PartitionField,
    Scalar,
)
from pipeline.events.partition_spec import read_partition_spec

RESERVED: Final = frozenset(
    "source_topic source_partition source_offset arrival_time schema_version unknown_fields"
    " source_stream source_shard source_sequence_number stream shard sequence_number"
    " kind event_type document document_id document_version"
    " document_bytes raw_bytes is_event redrive_step redrive_replica own_headers"
    " step reason detail raw key headers topic partition offset watermark files index_batch".split()
)
"""Names of columns that the job adds; no field may have one."""

_RECORD_KEYS: Final = frozenset(
    "type name namespace doc aliases fields"
    " eventType version id eventTime versionTime partitionBy place".split()
)
_FIELD_KEYS: Final = frozenset(
    "name type doc aliases default order minimum maximum maxLength enum pattern".split()
)
_AVRO_KINDS: Final[Mapping[str, Kind]] = {
    "int": "int32",
    "long": "int64",
    "double": "double",
    "string": "string",
    "boolean": "boolean",
}
_BOUNDS: Final[Mapping[Kind, tuple[int, int]]] = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "double": (-EXACT_IN_DOUBLE, EXACT_IN_DOUBLE),
}
_ONLY_ON: Final = {
    "minimum": "numbers",
    "maximum": "numbers",
    "maxLength": "strings",
    "enum": "strings",
    "pattern": "strings",
}
Found = TypeVar("Found")
_LONGEST_NAME: Final = 128
FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def read_event_type(path: Path) -> EventType:
    """Return the event type that a schema file describes.

    `<type>.mapping.json` beside it may hold a mapping to merge over the derived one.

    Raises:
        UserError: with every mistake that does not follow from another one.
    """
    return _Schema(path, read_object(path)).event_type()


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; UserError if there is none."""
    content = parse_json(read_text(path), str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds {_shown(content)}; allowed: one JSON object")
    return content


def _shown(value: object) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."


class _Schema:
    """One schema file; its path is in every error message."""

    def __init__(self, path: Path, record: Mapping[str, Any]) -> None:
        self.path = path
        self.record = record
        self.mistakes = Mistakes()
        self.refused: set[object] = set()
        """The names of fields that have a mistake of their own."""

    def event_type(self) -> EventType:
        found = self._found
        self._refuse_unknown("the record", self.record, _RECORD_KEYS)
        found(self._refuse_other_types)
        name = found(self._event_type_name)
        fields = found(self._fields, name or "")
        by_name = {field.name: field for field in fields or ()}
        version, doc = found(self._version), found(self._doc, "doc", self.record)
        roles = {
            role: found(self._role, role, by_name, allowed, fits)
            for role, (allowed, fits) in ROLES.items()
            if fields is not None
        }
        partition_by = found(self._partition_by, by_name) if fields is not None else ()
        mapping_override = found(self._mapping_override, name) if name else {}
        self.mistakes.report()
        return EventType(
            name=cast(str, name),
            version=cast(int, version),
            doc=cast(str, doc),
            fields=fields or (),
            id=cast(str, roles["id"]),
            event_time=cast(str, roles["eventTime"]),
            version_time=cast(str, roles["versionTime"]),
            partition_by=partition_by or (),
            mapping_override=mapping_override or {},
        )

    def _found(self, read: Callable[..., Found], *arguments: Any) -> Found | None:
        """Return what a part of the schema says, or None and keep the mistake in it."""
        with self.mistakes.collected():
            return read(*arguments)
        return None

    def _refuse_other_types(self) -> None:
        if self.record.get("type") != "record":
            self._fault("type", self.record.get("type"), '"record"')

    def _event_type_name(self) -> str:
        name = self.record.get("eventType")
        if not isinstance(name, str) or not EVENT_TYPE_NAME.fullmatch(name):
            self._fault("eventType", name, f"text like {EVENT_TYPE_NAME.pattern}")
        if name == WATERMARK:
            self._fault("eventType", name, "any other name: watermark is the built-in control type")
        return name

    def _version(self) -> int:
        version = self.record.get("version")
        if type(version) is not int or not 1 <= version < 2**31:
            self._fault("version", version, "an integer from 1 up")
        return version

    def _doc(self, where: str, declared: Mapping[str, Any]) -> str:
        doc = declared.get("doc")
        if not isinstance(doc, str) or not doc.strip():
            self._fault(where, doc, "text that isn't empty")
        return doc

    def _role(
        self, role: str, fields: Mapping[str, Field], allowed: str, fits: Callable[[Field], bool]
    ) -> str:
        name = self.record.get(role)
        if isinstance(name, str) and name in self.refused:
            return name
        if not isinstance(name, str) or name not in fields:
            guess = did_you_mean(str(name), fields)
            self._fault(role, name, f"the name of a field that is {allowed}{guess}")
        if fields[name].optional or not fits(fields[name]):
            self._fault(role, name, f"a required field that is {allowed}")
        return name

    def _partition_by(self, fields: Mapping[str, Field]) -> tuple[PartitionField, ...]:
        if "place" in self.record:
            allowed = (
                '"partitionBy"; docs/event-types.md#partitions has the one that keeps the'
                " folders of earlier versions"
            )
            self._fault("place", self.record["place"], allowed)
        declared = self.record.get("partitionBy")
        if self.refused and isinstance(declared, list):  # of them it is not known what they are
            named = [each.get("from") for each in declared if isinstance(each, dict)]
            if self.refused & {name for name in named if isinstance(name, str)}:
                return ()
        return read_partition_spec(declared, fields, RESERVED, self._fault)

    def _mapping_override(self, name: str) -> dict[str, Any]:
        beside = self.path.with_name(f"{name}.mapping.json")
        return read_object(beside) if beside.exists() else {}

    def _fields(self, event_type: str) -> tuple[Field, ...]:
        listed = self.record.get("fields")
        if not isinstance(listed, list) or not all(isinstance(field, dict) for field in listed):
            self._fault("fields", listed, "a list of Avro fields")
        fields = [field for each in listed if (field := self._field_found(each, event_type))]
        names = [field.name for field in fields]
        for name in {name: None for name in names if names.count(name) > 1}:
            self._found(self._fault, "fields", name, "each name once")
        self._found(self._refuse_shared_aliases, fields)
        if "type" not in {*names, *self.refused}:
            allowed = 'a field "type" (string): it names the event type'
            self._found(self._fault, "fields", names, allowed)
        return tuple(fields)

    def _field_found(self, declared: Mapping[str, Any], event_type: str) -> Field | None:
        field = self._found(self._field, declared, event_type)
        name = declared.get("name")
        if field is None and isinstance(name, str):
            self.refused.add(name)
        return field

    def _refuse_shared_aliases(self, fields: Sequence[Field]) -> None:
        owners = {field.name: field.name for field in fields}
        for field in fields:
            for alias in field.aliases:
                if alias in owners:
                    allowed = f"names that no other field has; {owners[alias]} has it"
                    self._fault(f"field {field.name}: aliases", alias, allowed)
                owners[alias] = field.name

    def _field(self, declared: Mapping[str, Any], event_type: str) -> Field | None:
        """Return a field; None if it has mistakes, which are kept."""
        before, found = len(self.mistakes.messages), self._found
        name = self._field_name(declared.get("name"))
        self._refuse_unknown(f"field {name}", declared, _FIELD_KEYS)
        doc = found(self._doc, f"field {name}: doc", declared) or ""
        aliases = found(self._texts, name, "aliases", declared) or ()
        kind, nullable = self._kind(name, declared.get("type"))
        self._refuse_misplaced(name, kind, declared)
        if name == "type":
            self._check_type_field(declared, event_type, kind, nullable)
            field = Field(name, kind, max_length=len(event_type), enum=(event_type,), doc=doc,
                          aliases=aliases)  # fmt: skip
            return field if before == len(self.mistakes.messages) else None
        low, high = found(self._range, name, kind, declared) or (None, None)
        field = Field(
            name=name,
            kind=kind,
            nullable=nullable,
            optional="default" in declared,
            default=found(self._default, name, kind, nullable, declared),
            minimum=low,
            maximum=high,
            max_length=found(self._max_length, name, declared) if kind == "string" else None,
            enum=found(self._texts, name, "enum", declared) or (),
            pattern=found(self._pattern, name, declared),
            doc=doc,
            aliases=aliases,
        )
        if before < len(self.mistakes.messages):
            return None
        self._refuse_values_outside(field)
        return field

    def _refuse_misplaced(self, name: str, kind: Kind, declared: Mapping[str, Any]) -> None:
        own = "numbers" if kind in _BOUNDS else f"{kind}s"
        for key, allowed in _ONLY_ON.items():
            if key in declared and allowed != own:
                self._found(
                    self._fault, f"field {name}: {key}", declared[key], f"only on {allowed}"
                )

    def _refuse_values_outside(self, field: Field) -> None:
        """Refuse a default or an allowed value that the field's own limits refuse."""
        for value in field.enum:
            if limit := broken_limit(replace(field, enum=()), value):
                self._fault(f"field {field.name}: enum", value, f"values with {limit}")
        if len(set(field.enum)) < len(field.enum):
            self._fault(f"field {field.name}: enum", field.enum, "each value once")
        if field.default is not None and (limit := broken_limit(field, field.default)):
            self._fault(f"field {field.name}: default", field.default, f"a value with {limit}")

    def _field_name(self, name: object) -> str:
        if allowed := allowed_field_name(name):
            self._fault("field name", name, allowed)
        return str(name)

    def _check_type_field(
        self, declared: Mapping[str, Any], event_type: str, kind: Kind, nullable: bool
    ) -> None:
        if kind != "string" or nullable or "default" in declared:
            self._fault("field type", declared, "a required string")
        if event_type and declared.get("enum", [event_type]) != [event_type]:
            self._fault("field type: enum", declared["enum"], f"[{event_type!r}], its eventType")

    def _kind(self, name: str, avro: object) -> tuple[Kind, bool]:
        if isinstance(avro, list):
            inner = [branch for branch in avro if branch != "null"]
            if len(inner) != 1 or len(avro) != 2:
                self._fault(f"field {name}: type", avro, 'a union of "null" and one type')
            return self._kind(name, inner[0])[0], True
        if isinstance(avro, dict):
            if avro.get("logicalType") == "timestamp-millis" and avro.get("type") == "long":
                return "timestamp", False
            if set(avro) == {"type"}:
                return self._kind(name, avro["type"])
        if isinstance(avro, str) and avro in _AVRO_KINDS:
            return _AVRO_KINDS[avro], False
        allowed = f"{', '.join(_AVRO_KINDS)}, long with logicalType timestamp-millis"
        self._fault(f"field {name}: type", avro, f'{allowed}, or a union of "null" and one of them')

    def _range(
        self, name: str, kind: Kind, declared: Mapping[str, Any]
    ) -> tuple[int | float | None, int | float | None]:
        if kind not in _BOUNDS:
            return None, None
        lowest, highest = _BOUNDS[kind]
        low, high = declared.get("minimum", lowest), declared.get("maximum", highest)
        for key, value in (("minimum", low), ("maximum", high)):
            number = type(value) is int or (kind == "double" and type(value) is float)
            if not number or not lowest <= value <= highest:
                self._fault(f"field {name}: {key}", value, f"{kind} from {lowest} to {highest}")
        if low > high:
            self._fault(f"field {name}: minimum", low, f"at most its maximum, {high}")
        return low, high

    def _max_length(self, name: str, declared: Mapping[str, Any]) -> int:
        default = LONGEST_ID_BYTES if name == self.record.get("id") else LONGEST_TEXT
        length = declared.get("maxLength", default)
        if type(length) is not int or not 0 <= length < 2**31:
            self._fault(f"field {name}: maxLength", length, f"an integer from 0 to {2**31 - 1}")
        return length

    def _texts(self, name: str, key: str, declared: Mapping[str, Any]) -> tuple[str, ...]:
        if key not in declared:
            return ()
        texts = declared[key]
        proper = isinstance(texts, list) and all(isinstance(text, str) and text for text in texts)
        if not proper or not texts:
            self._fault(f"field {name}: {key}", texts, "a list of texts")
        return tuple(texts)

    def _pattern(self, name: str, declared: Mapping[str, Any]) -> str | None:
        if "pattern" not in declared:
            return None
        pattern: Any = declared["pattern"]
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            why = cut(str(error))
            self._fault(f"field {name}: pattern", pattern, f"a regular expression ({why})")
        return str(pattern)

    def _default(
        self, name: str, kind: Kind, nullable: bool, declared: Mapping[str, Any]
    ) -> Scalar:
        default = declared.get("default")
        if "default" not in declared:
            return None
        first_is_null = nullable and declared["type"][0] == "null"
        if (default is None) != first_is_null or not has_kind(default, kind):
            self._fault(f"field {name}: default", default, "a value of the (first) Avro type")
        if kind == "double" and default is not None:
            return float(default)
        return cast(Scalar, default)

    def _refuse_unknown(
        self, where: str, mapping: Mapping[str, Any], known: frozenset[str]
    ) -> None:
        for key in mapping:
            # Avro allows properties of one's own; ours to be caught are the near misses.
            if key not in known and difflib.get_close_matches(key, known, 1, 0.75):
                allowed = f"known ones{did_you_mean(key, known)}"
                self._found(self._fault, f"{where}: property", key, allowed)

    def _fault(self, where: str, value: object, allowed: str) -> NoReturn:
        raise UserError(f"{self.path}: {where}: {_shown(value)} isn't allowed; allowed: {allowed}")


def allowed_field_name(name: object) -> str:
    """Return what is allowed in place of this name of a field; empty if it is allowed."""
    if not isinstance(name, str) or not FIELD_NAME.fullmatch(name) or keyword.iskeyword(name):
        return f"text like {FIELD_NAME.pattern}, no keyword"
    if len(name) > _LONGEST_NAME:
        return f"at most {_LONGEST_NAME} characters"
    return "any other name: the job has a column of that name" if name in RESERVED else ""


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """Return " (did you mean x?)" with the known text that is closest, or an empty string."""
    close = difflib.get_close_matches(text[:64], sorted(known), 1, 0.6)
    return f" (did you mean {close[0]}?)" if close else ""
