"""Event types as msgspec structs: what the fast decoder checks while it parses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from keyword import iskeyword
from operator import or_
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from pipeline.decode.bounds import hard_range, wire_factor
from pipeline.decode.type_rule import TypeRule
from pipeline.events.avro_types import json_form
from pipeline.events.model import PLAIN, ControlType, EventType, EventTypes, Field

TAG_QUOTES: Final = 4
"""Quotation marks of the member that tells the type: two for the key, two for the value."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A struct and what the batch decoder needs of it; `event_type` is None for control.

    The struct keeps `timestamps` as on the wire. `others` are the fields of kinds that are not
    plain. `quotes` is the smallest number of quotation marks in an event's JSON without the others;
    `uncertain` names the plain fields that add to it when they are present. `tag` is the field that
    tells the type and has no member in the struct, and `tag_text` what it says; both may be empty.
    """

    name: str
    struct: type[Struct]
    event_type: EventType | None
    timestamps: tuple[Field, ...]
    others: tuple[Field, ...]
    quotes: int
    uncertain: tuple[str, ...]
    tag: str
    tag_text: str


def attribute(name: str) -> str:
    """Return the name of a field's attribute in a struct; no field's name ends so."""
    return f"{name}_" if iskeyword(name) else name


def shapes(types: EventTypes, rule: TypeRule, *, strict: bool) -> tuple[Shape, ...]:
    """Return one shape for each event type and control type."""
    return tuple(_shape(each, rule, strict=strict) for each in (*types, *types.control))


def _shape(declared: EventType | ControlType, rule: TypeRule, *, strict: bool) -> Shape:
    event_type = declared if isinstance(declared, EventType) else None
    tag, text = rule.tag, rule.text(declared.name)
    fields = tuple(field for field in declared.fields if field.name != tag)
    id_name = event_type.id[0] if event_type and len(event_type.id) == 1 else ""
    tagged = (tag, text) if tag else (None, None)
    struct = _struct(declared.name, fields, strict=strict, id_name=id_name, tagged=tagged)
    plain = [field for field in fields if field.kind in PLAIN]
    certain = [field for field in plain if not _uncertain(field)]
    quotes = (TAG_QUOTES if tag else 0) + sum(4 if _quoted(field) else 2 for field in certain)
    return Shape(
        name=declared.name,
        struct=struct,
        event_type=event_type,
        timestamps=tuple(field for field in plain if field.kind == "timestamp"),
        others=tuple(field for field in fields if field.kind not in PLAIN),
        quotes=quotes,
        uncertain=tuple(field.name for field in plain if _uncertain(field)),
        tag=tag,
        tag_text=text if tag else "",
    )


def _struct(
    name: str,
    fields: Sequence[Field],
    *,
    strict: bool,
    id_name: str = "",
    tagged: tuple[str | None, str | None] = (None, None),
) -> type[Struct]:
    return msgspec.defstruct(
        name,
        [_member(field, is_id=field.name == id_name) for field in fields],
        rename={attribute(field.name): field.name for field in fields if iskeyword(field.name)},
        forbid_unknown_fields=strict,
        kw_only=True,
        gc=False,
        tag_field=tagged[0],
        tag=tagged[1],
    )


def _quoted(field: Field) -> bool:
    return field.kind == "string" or field.wire == "iso-8601"


def _uncertain(field: Field) -> bool:
    return field.optional or (field.nullable and _quoted(field))


def _member(field: Field, *, is_id: bool) -> tuple[str, Any, Any]:
    annotation = _annotation(field, is_id=is_id)
    if field.nullable:
        annotation = annotation | None
    if field.optional:
        return attribute(field.name), annotation | UnsetType, UNSET
    return attribute(field.name), annotation, msgspec.NODEFAULT


def _annotation(field: Field, *, is_id: bool = False) -> Any:
    if field.enum:
        return Literal[field.enum]
    match field.kind:
        case "boolean":
            return bool
        case "string":
            least = 1 if is_id else None
            limits = Meta(min_length=least, max_length=field.max_length, pattern=field.regex)
            return Annotated[str, limits]
        case "float" | "double":
            return Annotated[float, _range(field)]
        case "int32" | "int64":
            return Annotated[int, _range(field)]
        case "decimal" if field.wire == "number":
            return Decimal
        case "record":
            # What it doesn't know is refused in any case: no column keeps a part of a record.
            return _struct(field.name or "item", field.children, strict=True)
        case "array":
            return list[_item(field.children[0])]  # type: ignore[misc]
        case "map":
            return dict[str, _item(field.children[0])]  # type: ignore[misc]
        case "union":
            return reduce(or_, map(_annotation, field.children))
    return _whole(field) if json_form(field) == "number" else str


def _item(field: Field) -> Any:
    annotation = _annotation(field)
    return annotation | None if field.nullable else annotation


def _range(field: Field) -> Meta:
    least, most = cast("tuple[float, float]", (field.minimum, field.maximum))
    return Meta(ge=least, le=most)


def _whole(field: Field) -> Any:
    """Return a number of the wire that fits into 64 bits in the field's unit."""
    (least, most), factor = hard_range(field), wire_factor(field)
    least, most = -(-least // factor), most // factor
    return Annotated[int, Meta(ge=least, le=most)]
