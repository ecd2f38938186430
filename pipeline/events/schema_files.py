"""Read one schema file (`<type>.avsc`) into an `EventType`; reject what is not understood.

Every error names the file, the field, the value seen and what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from connectors.errors import UserError
from connectors.text_files import cut, parse_json, read_text
from pipeline.events.faults import Faults, did_you_mean, shown
from pipeline.events.fields import Fields
from pipeline.events.model import (
    EVENT_TYPE_NAME,
    LONGEST_ID_BYTES,
    LONGEST_TEXT,
    ControlType,
    EventType,
    Field,
    PartitionField,
)
from pipeline.events.partition_spec import read_partition_spec
from pipeline.events.roles import EVENT_TIME, ID, PART_OF_ID, VERSION_TIME, Role

RESERVED: Final = frozenset(
    "source_topic source_partition source_offset source_stream source_shard"
    " source_sequence_number arrival_time schema_version unknown_fields".split()
)
"""Names of columns that the job adds to the files; no field of an event may have one."""

MOST_ID_FIELDS: Final = 8
"""Fields that can be the id together."""
_RECORD_KEYS: Final = frozenset(
    "type name namespace doc aliases fields"
    " eventType version id eventTime versionTime partitionBy place control".split()
)
_OF_EVENTS: Final = ("id", "eventTime", "versionTime", "partitionBy", "place")


def read_event_type(path: Path) -> EventType | ControlType:
    """Return the event type, or type of control records, that a schema file describes.

    `<type>.mapping.json` beside it may hold a mapping to merge over the derived one.

    Raises:
        UserError: with every mistake that does not follow from another one.
    """
    return event_type_of(path, read_object(path))


def event_type_of(path: Path, record: Mapping[str, Any]) -> EventType | ControlType:
    """Return what `read_event_type` does, of the content of a file."""
    schema = _Schema(path, record)
    return schema.control_type() if schema.is_control() else schema.event_type()


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; UserError if there is none."""
    content = parse_json(read_text(path), str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds {shown(content)}; allowed: one JSON object")
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: has half of a character, \\ud800 to \\udfff; allowed: both halves"
                        " beside each other") from None  # fmt: skip
    return content


class _Schema:
    """One schema file."""

    def __init__(self, path: Path, record: Mapping[str, Any]) -> None:
        self._path = path
        self._record = record
        self._faults = Faults(path)
        self._fields = Fields(self._faults)

    def is_control(self) -> bool:
        control = self._record.get("control", False)
        if type(control) is not bool:
            self._faults.fault("control", control, "true or false")
        return control

    def control_type(self) -> ControlType:
        found = self._faults.found
        name, version, doc = self._description()
        for key in _OF_EVENTS:
            if key in self._record:
                allowed = "only of events, which are stored"
                found(self._faults.fault, key, self._record[key], allowed)
        fields = found(self._fields.of_record, self._record, frozenset())
        for field in fields or ():
            if field.kind not in _CONTROL_KINDS or field.wire not in ("", "iso-8601"):
                found(
                    self._faults.fault,
                    f"field {field.name}: type",
                    field.kind,
                    f"of control records {', '.join(_CONTROL_KINDS)}, and times as text",
                )
        self._faults.report()
        return ControlType(cast(str, name), cast(int, version), cast(str, doc), fields or ())

    def event_type(self) -> EventType:
        found = self._faults.found
        name, version, doc = self._description()
        fields = found(self._fields.of_record, self._record, RESERVED)
        by_name = {field.name: field for field in fields or ()}
        event_time = version_time = ""
        id_fields, partition_by = None, None
        if fields is not None:
            id_fields = found(self._id, by_name)
            event_time = found(self._role, "eventTime", by_name, EVENT_TIME) or ""
            if self._record.get("versionTime") is not None:
                version_time = found(self._role, "versionTime", by_name, VERSION_TIME) or ""
            partition_by = found(self._partition_by, by_name)
        mapping_override = found(self._mapping_override, name) if name else {}
        self._faults.report()
        return EventType(
            name=cast(str, name),
            version=cast(int, version),
            doc=cast(str, doc),
            fields=_with_bounded_id(fields or (), id_fields or ()),
            id=id_fields or (),
            event_time=event_time,
            version_time=version_time,
            partition_by=partition_by or (),
            mapping_override=mapping_override or {},
        )

    def _description(self) -> tuple[str | None, int | None, str | None]:
        found = self._faults.found
        self._faults.refuse_unknown("the record", self._record, _RECORD_KEYS)
        found(self._refuse_other_types)
        name, version = found(self._event_type_name), found(self._version)
        return name, version, found(self._fields.doc, "doc", self._record)

    def _refuse_other_types(self) -> None:
        if self._record.get("type") != "record":
            self._faults.fault("type", self._record.get("type"), '"record"')

    def _event_type_name(self) -> str:
        name = self._record.get("eventType")
        if not isinstance(name, str) or not EVENT_TYPE_NAME.fullmatch(name):
            self._faults.fault("eventType", name, f"text like {EVENT_TYPE_NAME.pattern}")
        return name

    def _version(self) -> int:
        version = self._record.get("version")
        if type(version) is not int or not 1 <= version < 2**31:
            self._faults.fault("version", version, "an integer from 1 up")
        return version

    def _id(self, fields: Mapping[str, Field]) -> tuple[str, ...]:
        """Return the names of the id's fields; none if the schema has no id."""
        declared = self._record.get("id")
        if declared is None:
            return ()
        if not isinstance(declared, list):
            return (self._named("id", declared, fields, ID),)
        different = len(set(map(str, declared))) == len(declared)
        if not 1 <= len(declared) <= MOST_ID_FIELDS or not different:
            allowed = f"a field, or a list of 1 to {MOST_ID_FIELDS} different ones"
            self._faults.fault("id", declared, allowed)
        role = PART_OF_ID if len(declared) > 1 else ID
        return tuple(self._named("id", name, fields, role) for name in declared)

    def _role(self, key: str, fields: Mapping[str, Field], role: Role) -> str:
        return self._named(key, self._record.get(key), fields, role)

    def _named(self, key: str, name: object, fields: Mapping[str, Field], role: Role) -> str:
        if isinstance(name, str) and name in self._fields.refused:
            return name
        if not isinstance(name, str) or name not in fields:
            guess = did_you_mean(str(name), fields)
            self._faults.fault(key, name, f"the name of a field that is {role.allowed}{guess}")
        if fields[name].optional or not role.fits(fields[name]):
            self._faults.fault(key, name, f"a required field that is {role.allowed}")
        return name

    def _partition_by(self, fields: Mapping[str, Field]) -> tuple[PartitionField, ...]:
        if "place" in self._record:
            allowed = (
                '"partitionBy"; docs/event-types.md#partitions has the one that keeps the'
                " folders of earlier versions"
            )
            self._faults.fault("place", self._record["place"], allowed)
        declared, refused = self._record.get("partitionBy"), self._fields.refused
        if refused and isinstance(declared, list):  # of them it is not known what they are
            named = [each.get("from") for each in declared if isinstance(each, dict)]
            if refused & {name for name in named if isinstance(name, str)}:
                return ()
        return read_partition_spec(declared, fields, RESERVED, self._faults.fault)

    def _mapping_override(self, name: str) -> dict[str, Any]:
        beside = self._path.with_name(f"{name}.mapping.json")
        if not beside.exists():
            return {}
        override = read_object(beside)
        _refuse_odd_properties(beside, "properties", override)
        return override


def _refuse_odd_properties(path: Path, where: str, definition: Mapping[str, Any]) -> None:
    """Raise UserError if `properties` of a mapping, at any depth, are no objects."""
    properties = definition.get("properties", {})
    if not isinstance(properties, dict):
        Faults(path).fault(where, properties, "an object with a definition for each field")
    for name, below in properties.items():
        if not isinstance(below, dict):
            Faults(path).fault(f"{where}.{cut(name)}", below, "an object, the field's definition")
        _refuse_odd_properties(path, f"{where}.{cut(name)}.properties", below)


_CONTROL_KINDS: Final = ("string", "timestamp", "int32", "int64", "boolean")


def _with_bounded_id(fields: tuple[Field, ...], names: tuple[str, ...]) -> tuple[Field, ...]:
    """Return the fields; a text that is the id has by default as many characters as an id."""

    def bounded(field: Field) -> Field:
        is_id = names == (field.name,) and field.kind == "string"
        default = is_id and field.max_length == LONGEST_TEXT
        return replace(field, max_length=LONGEST_ID_BYTES) if default else field

    return tuple(map(bounded, fields))
