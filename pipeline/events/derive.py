"""OpenSearch mappings, derived from an event type's schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.events.instants import FRACTIONS
from pipeline.events.model import LONGEST_TEXT, EventType, Field, Kind

_OPENSEARCH: Final[Mapping[Kind, str]] = {
    "int32": "integer",
    "int64": "long",
    "float": "float",
    "double": "double",
    "string": "keyword",
    "boolean": "boolean",
    "bytes": "binary",
    "map": "flat_object",
}
_ISO: Final[Mapping[Kind, str]] = {
    "date": "strict_date",
    "timestamp": "strict_date_time",
    "local_timestamp": "strict_date_hour_minute_second_fraction",
}
_NUMBERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "epoch-days": {"type": "integer"},
    "millis-of-day": {"type": "integer"},
    "micros-of-day": {"type": "long"},
    "epoch-seconds": {"type": "date", "format": "epoch_second"},
    "epoch-millis": {"type": "date", "format": "epoch_millis"},
    # OpenSearch 2.19 has no format of finer ones.
    "epoch-micros": {"type": "long"},
    "epoch-nanos": {"type": "long"},
}
_EXACT_DIGITS: Final = 15
"""A decimal with more would be rounded by a double, which `scaled_float` computes with."""
_CONTAINERS: Final = ("record", "array", "map")


def mapping(event_type: EventType) -> dict[str, Any]:
    """Return the mapping of the event type's index: strict, one property per field.

    `schemas/<type>.mapping.json` is merged over it, object by object.
    """
    derived = {"dynamic": "strict", "properties": _properties(event_type.fields)}
    return _merged(derived, event_type.mapping_override)


def _properties(fields: tuple[Field, ...]) -> dict[str, Any]:
    return {field.name: _property(field) for field in fields}


def _property(field: Field) -> dict[str, Any]:
    """Return the definition of a field, or of an array's items: an index has arrays of anything."""
    match field.kind:
        case "record":
            return {"dynamic": "strict", "properties": _properties(field.children)}
        case "array":
            (item,) = field.children
            nested = {"type": "nested"} if item.kind == "record" else {}
            return {**nested, **_property(item)}
        case "union":
            return _of_union(field)
        case "decimal":
            return _of_decimal(field)
        case "date" | "time" | "timestamp" | "local_timestamp":
            return _of_time(field)
    return {"type": _OPENSEARCH[field.kind]}


def _of_union(field: Field) -> dict[str, Any]:
    """Return a keyword if all branches are scalars; others are kept and cannot be searched."""
    kinds = {branch.kind for branch in field.children}
    if kinds & set(_CONTAINERS):
        return {"type": "object", "enabled": False}
    # Bytes have no default limit, and Lucene refuses a document with a term that is too long.
    limit = {"ignore_above": LONGEST_TEXT} if "bytes" in kinds else {}
    return {"type": "keyword", **limit}


def _of_decimal(field: Field) -> dict[str, Any]:
    if field.precision > _EXACT_DIGITS:
        return {"type": "keyword"}
    # Our indices coerce nothing else: a decimal as text is the same number.
    coerce = {"coerce": True} if field.wire == "string" else {}
    return {"type": "scaled_float", "scaling_factor": float(10**field.scale), **coerce}


def _of_time(field: Field) -> dict[str, Any]:
    if field.wire in _NUMBERS:
        return dict(_NUMBERS[field.wire])
    if field.kind == "time":
        return {"type": "keyword"}
    fine = field.unit != "ms" and _fits_nanos(field)
    return {"type": "date_nanos" if fine else "date", "format": _ISO[field.kind]}


def _fits_nanos(field: Field) -> bool:
    """Return whether all times of the field are from 1970 to 2262, as `date_nanos` takes them.

    Those of other fields are a `date`, which finds and sorts them by milliseconds.
    """
    if field.kind == "local_timestamp" and None in (field.minimum, field.maximum):
        return False  # from the year 1 to 9999
    least, most = field.minimum or 0, field.maximum or 0
    return least >= 0 and most * (10**9 // FRACTIONS[field.unit]) < 2**63


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return result
