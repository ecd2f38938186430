"""The reference decoder: slow and exact; it decides what is an event, and says why one is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from pipeline.decode import json_text, leaves
from pipeline.decode.check import check_member
from pipeline.decode.fault import Fault
from pipeline.decode.json_text import Refused, refuse
from pipeline.decode.type_rule import BY_TYPE, TypeRule
from pipeline.events.faults import did_you_mean
from pipeline.events.folders import text_fields, unfit
from pipeline.events.identity import document_id
from pipeline.events.model import (
    LONGEST_ID_BYTES,
    ControlType,
    EventType,
    EventTypes,
    Field,
)

UnknownFields = Literal["refuse", "keep"]

_KPL_MAGIC: Final = b"\xf3\x89\x9a\xc2"


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
    type_rule: TypeRule = BY_TYPE


def examine(raw: bytes | None, rule: Rule, told: str | None = None) -> Accepted | Fault:
    """Return the record's members if it is an event or control, else why it is rejected.

    `told` is what its header or topic says of its type.
    """
    declared: EventType | ControlType | None = None
    try:
        document = json_text.read(_bytes(raw, rule))
        declared = _known(document.text_at(rule.type_rule.path) or told, rule)
        content = document.value(declared.fields if declared else ())
        if not isinstance(content, dict):
            refuse("not_an_object", "payload", content, "one JSON object")
        declared = declared or _refuse_type(content, told, rule)
        unknown = _unknown(content, declared.fields, rule)
        for field in declared.fields:
            check_member(content, field, "$", rule.now)
        if isinstance(declared, EventType):
            _check_id(content, declared)
            _check_partition(content, declared)
    except Refused as refused:
        known = isinstance(declared, EventType)
        name, version = (declared.name, declared.version) if declared and known else ("", 0)
        return Fault(refused.reason, refused.detail, name, version)
    members = {each.name: content[each.name] for each in declared.fields if each.name in content}
    return Accepted(declared.name, members, document.members_text(unknown) if unknown else "")


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


def _known(text: str | None, rule: Rule) -> EventType | ControlType | None:
    """Return the type that a record's text says, None if there is no such type."""
    if rule.type_rule.constant:
        return rule.types[rule.type_rule.constant]
    return next((each for each in _all(rule) if rule.type_rule.text(each.name) == text), None)


def _all(rule: Rule) -> tuple[EventType | ControlType, ...]:
    return (*rule.types, *rule.types.control)


def _refuse_type(content: Mapping[str, Any], told: str | None, rule: Rule) -> NoReturn:
    """Reject a record whose type is not known."""
    where = rule.type_rule.where
    texts = [rule.type_rule.text(each.name) for each in _all(rule)]
    allowed = ", ".join(texts)
    found: Any = content if rule.type_rule.path else told
    for name in rule.type_rule.path:
        if not isinstance(found, dict) or name not in found:
            raise Refused("missing_field", f"{where}: saw nothing; allowed: {allowed}")
        found = found[name]
    if found is None and not rule.type_rule.path:
        raise Refused("unknown_event_type", f"{where}: saw nothing; allowed: {allowed}")
    if not isinstance(found, str):
        refuse("wrong_type", where, found, f"text: {allowed}")
    refuse("unknown_event_type", where, found, f"{allowed}{did_you_mean(found, texts)}")


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


def _check_id(content: Mapping[str, Any], event_type: EventType) -> None:
    """Refuse an id that OpenSearch would."""
    fields = [event_type.field(name) for name in event_type.id]
    texts = [field for field in fields if field.kind == "string"]
    if not texts:
        return
    parts = {field.name: content[field.name] for field in fields}
    for field in fields:
        if field.kind == "timestamp":
            parts[field.name] = leaves.of_time(field, parts[field.name])
    made = document_id(event_type, parts)
    if not 0 < len(made.encode()) <= LONGEST_ID_BYTES:
        allowed = f"1 to {LONGEST_ID_BYTES} bytes of UTF-8 for an id"
        refuse("out_of_range", f"$.{texts[0].name}", content[texts[0].name], allowed)


def _check_partition(content: Mapping[str, Any], event_type: EventType) -> None:
    for field in text_fields(event_type):
        source = event_type.field(field.source)
        value = content.get(source.name, source.default)
        if value is not None and (allowed := unfit(field, value)):
            refuse("invalid_partition", f"$.{source.name}", value, allowed)
