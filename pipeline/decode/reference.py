"""The reference decoder: slow and exact; it decides what is an event, and says why one is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.decode import json_text, timestamps
from pipeline.decode.json_text import Refused, refuse
from pipeline.events.folders import text_fields, unfit
from pipeline.events.model import LONGEST_ID_BYTES, WATERMARK, EventType, EventTypes, Field
from pipeline.events.faults import did_you_mean

UnknownFields = Literal["refuse", "keep"]

_WATERMARK_FIELDS: Final = (
    Field("watermark", "timestamp", doc="Event time up to which all events have been sent."),
    Field("type", "string", enum=(WATERMARK,), max_length=len(WATERMARK), doc="Always watermark."),
)
_JSON_TYPES: Final[Mapping[str, tuple[str, tuple[type, ...]]]] = {
    "int32": ("an integer", (int,)),
    "int64": ("an integer", (int,)),
    "double": ("a number", (int, float)),
    "string": ("text", (str,)),
    "boolean": ("true or false", (bool,)),
    "timestamp": ("ISO-8601 text", (str,)),
}
"""What a field of each kind is called in details, and the Python types of its JSON."""
_KPL_MAGIC: Final = b"\xf3\x89\x9a\xc2"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record is rejected. Type and version are "" and 0 where they are not known."""

    reason: str
    detail: str
    event_type: str = ""
    schema_version: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted record: its members by name; those outside the schema as JSON, "" for none."""

    event_type: str
    members: Mapping[str, Any]
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a record is checked against. `now` is in epoch milliseconds."""

    types: EventTypes
    max_record_bytes: int
    unknown_fields: UnknownFields
    now: int


def examine(raw: bytes | None, rule: Rule) -> Accepted | Fault:
    """Return the record's members if it is an event or a watermark, else why it is rejected."""
    event_type: EventType | None = None
    try:
        document = json_text.read(_bytes(raw, rule))
        event_type = rule.types.get(document.text_of("type"))
        content = document.value()
        if not isinstance(content, dict):
            refuse("not_an_object", "payload", content, "one JSON object")
        name = _type_name(content, rule.types)
        fields = event_type.fields if event_type else _WATERMARK_FIELDS
        unknown = _unknown(content, fields, rule)
        for field in fields:
            _check_member(content, field, event_type, rule)
        if event_type:
            _check_partition(content, event_type)
    except Refused as refused:
        name, version = (event_type.name, event_type.version) if event_type else ("", 0)
        return Fault(refused.reason, refused.detail, name, version)
    known = {each.name: content[each.name] for each in fields if each.name in content}
    return Accepted(name, known, document.members_text(unknown) if unknown else "")


def _bytes(raw: bytes | None, rule: Rule) -> bytes:
    if not raw:
        observed = "no value (a Kafka tombstone)" if raw is None else "no bytes"
        raise Refused("empty_payload", f"payload: saw {observed}; allowed: one JSON object")
    # Checked before the size: no limit, however high, makes an event of it.
    if raw.startswith(_KPL_MAGIC):
        observed = (
            f"{len(raw)} bytes (begins like an aggregated record of the Kinesis Producer Library)"
        )
        raise Refused("kpl_aggregated", f"payload: saw {observed}; allowed: one JSON object")
    if len(raw) > rule.max_record_bytes:
        allowed = f"allowed: {rule.max_record_bytes} (max_record_bytes)"
        raise Refused("record_too_large", f"payload: saw {len(raw)} bytes; {allowed}")
    return raw


def _type_name(content: Mapping[str, Any], types: EventTypes) -> str:
    allowed = ", ".join((*types.names, WATERMARK))
    if "type" not in content:
        raise Refused("missing_field", f"$.type: saw nothing; allowed: {allowed}")
    name = content["type"]
    if not isinstance(name, str):
        refuse("wrong_type", "$.type", name, f"text: {allowed}")
    if name != WATERMARK and types.get(name) is None:
        guess = did_you_mean(name, (*types.names, WATERMARK))
        refuse("unknown_event_type", "$.type", name, f"{allowed}{guess}")
    return name


def _unknown(content: Mapping[str, Any], fields: Iterable[Field], rule: Rule) -> list[str]:
    known = {field.name for field in fields}
    unknown = [key for key in content if key not in known]
    if unknown and rule.unknown_fields == "refuse":
        first = unknown[0]
        aliases = {alias.lower(): field.name for field in fields for alias in field.aliases}
        guess = aliases.get(first.lower())
        hint = f" (did you mean {guess}?)" if guess else did_you_mean(first, known)
        refuse("unknown_field", "$", first, f"the schema's fields{hint}")
    return unknown


def _check_member(
    content: Mapping[str, Any], field: Field, event_type: EventType | None, rule: Rule
) -> None:
    kind, types = _JSON_TYPES[field.kind]
    allowed = f"{kind} or null" if field.nullable else kind
    if field.name not in content:
        if not field.optional:
            raise Refused("missing_field", f"$.{field.name}: saw nothing; allowed: {allowed}")
        return
    value = content[field.name]
    if value is None and field.nullable:
        return
    if type(value) not in types:
        refuse("wrong_type", f"$.{field.name}", value, allowed)
    if field.kind == "timestamp":
        _check_timestamp(value, field, event_type, rule)
    elif field.kind == "string":
        _check_text(value, field, is_id=event_type is not None and field.name == event_type.id)
    elif field.minimum is not None and field.maximum is not None:
        if not field.minimum <= value <= field.maximum:
            refuse("out_of_range", f"$.{field.name}", value, f"{field.minimum} to {field.maximum}")


def _check_partition(content: Mapping[str, Any], event_type: EventType) -> None:
    for field in text_fields(event_type):
        source = event_type.field(field.source)
        value = content.get(source.name, source.default)
        if value is not None and (allowed := unfit(field, value)):
            refuse("invalid_partition", f"$.{source.name}", value, allowed)


def _check_timestamp(value: str, field: Field, event_type: EventType | None, rule: Rule) -> None:
    path = f"$.{field.name}"
    millis = timestamps.parse(value)
    if isinstance(millis, timestamps.BadTimestamp):
        refuse(millis.reason, path, value, millis.allowed)
    # A replayed watermark of a shard without events is 1970-01-01; it is never stored.
    earliest = timestamps.EARLIEST if event_type else 0
    if not earliest <= millis <= rule.now + timestamps.AHEAD:
        allowed = f"{timestamps.text(earliest)} until one day ahead of the clock"
        refuse("timestamp_out_of_range", path, value, allowed)


def _check_text(value: str, field: Field, *, is_id: bool) -> None:
    path = f"$.{field.name}"
    if field.enum and value not in field.enum:
        refuse("out_of_range", path, value, f"one of {', '.join(field.enum)}")
    if field.max_length is not None and len(value) > field.max_length:
        refuse("out_of_range", path, value, f"at most {field.max_length} characters")
    if field.regex is not None and not re.search(field.regex, value):
        refuse("out_of_range", path, value, f"text matching {field.pattern}")
    if is_id and not 0 < len(value.encode()) <= LONGEST_ID_BYTES:
        refuse("out_of_range", path, value, f"1 to {LONGEST_ID_BYTES} bytes of UTF-8 for an id")
