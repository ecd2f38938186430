"""Event types as msgspec structs: what the fast decoder checks while it parses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from pipeline.decode.reference import UnknownFields
from pipeline.events.model import WATERMARK, EventType, EventTypes, Field

TYPE_QUOTES: Final = 4
"""Quotation marks that the member `type` takes: two for the key, two for the value."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A struct and what the batch decoder needs of it; `event_type` is None for control.

    The struct keeps `timestamps` as text. `quotes` is the smallest number of quotation marks in an
    event's JSON; `uncertain` names the fields that add to it when they are present.
    """

    name: str
    struct: type[Struct]
    event_type: EventType | None
    timestamps: tuple[Field, ...]
    quotes: int
    uncertain: tuple[str, ...]


def shapes(types: EventTypes, unknown_fields: UnknownFields) -> tuple[Shape, ...]:
    """Return one shape for each event type, and one for watermarks."""
    strict = unknown_fields == "refuse"
    control = (Field("watermark", "timestamp"),)
    return (
        *(_shape(declared.name, declared, declared.fields, strict=strict) for declared in types),
        _shape(WATERMARK, None, control, strict=strict),
    )


def _shape(
    name: str, event_type: EventType | None, fields: tuple[Field, ...], *, strict: bool
) -> Shape:
    fields = tuple(field for field in fields if field.name != "type")
    id_name = event_type.id if event_type else None
    struct = msgspec.defstruct(
        name,
        [_member(field, is_id=field.name == id_name) for field in fields],
        tag_field="type",
        tag=name,
        forbid_unknown_fields=strict,
        kw_only=True,
        gc=False,
    )
    certain = [field for field in fields if not _uncertain(field)]
    quotes = TYPE_QUOTES + sum(4 if _quoted(field) else 2 for field in certain)
    uncertain = tuple(field.name for field in fields if _uncertain(field))
    timestamps = tuple(field for field in fields if field.kind == "timestamp")
    return Shape(name, struct, event_type, timestamps, quotes, uncertain)


def _quoted(field: Field) -> bool:
    return field.kind in ("string", "timestamp")


def _uncertain(field: Field) -> bool:
    return field.optional or (field.nullable and _quoted(field))


def _member(field: Field, *, is_id: bool) -> tuple[str, Any, Any]:
    annotation = _annotation(field, is_id=is_id)
    if field.nullable:
        annotation = annotation | None
    if field.optional:
        return field.name, annotation | UnsetType, UNSET
    return field.name, annotation, msgspec.NODEFAULT


def _annotation(field: Field, *, is_id: bool) -> Any:
    if field.enum:
        return Literal[field.enum]
    match field.kind:
        case "boolean":
            return bool
        case "timestamp":
            return str
        case "string":
            least = 1 if is_id else None
            limits = Meta(min_length=least, max_length=field.max_length, pattern=field.regex)
            return Annotated[str, limits]
        case "double":
            return Annotated[float, Meta(ge=field.minimum, le=field.maximum)]
        case _:
            return Annotated[int, Meta(ge=field.minimum, le=field.maximum)]
