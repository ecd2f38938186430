"""Document ids: of one field, of several joined, or of a record's position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pipeline.events.instants import text as instant_text
from pipeline.events.model import LONGEST_ID_BYTES, EventType, Field

_ESCAPED: Final = {ord("%"): "%25", ord("/"): "%2F"}
_LONGEST_NUMBER: Final = 32
"""Bytes of the longest part of an id that is no text: a timestamp."""


def joined(parts: Iterable[str]) -> str:
    """Return texts as one: different parts never make the same."""
    return "/".join(part.translate(_ESCAPED) for part in parts)


def part_text(field: Field, value: Any) -> str:
    """Return a value of a field as text; timestamps are given in the field's unit."""
    if field.kind == "timestamp":
        return instant_text(value, field.unit)
    if field.kind == "boolean":
        return "true" if value else "false"
    return str(value)


def room_for_texts(event_type: EventType, known: Mapping[str, str]) -> int:
    """Return how many bytes the texts of an id may have together as parts of it, maybe below 0.

    `known` has the texts of fields that are the same in all events, such as the type.
    """
    escapes = len(event_type.id) > 1
    room = LONGEST_ID_BYTES - max(0, len(event_type.id) - 1)
    for field in map(event_type.field, event_type.id):
        if field.name in known:
            text = known[field.name]
            room -= len((text.translate(_ESCAPED) if escapes else text).encode())
        elif field.kind != "string":
            room -= _LONGEST_NUMBER
    return room


def document_id(event_type: EventType, values: Mapping[str, Any]) -> str:
    """Return the id that an event's values make; the type has an id."""
    fields = [event_type.field(name) for name in event_type.id]
    texts = [part_text(field, values[field.name]) for field in fields]
    return texts[0] if len(texts) == 1 else joined(texts)
