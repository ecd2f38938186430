"""Flink and OpenSearch types, derived from an event type's schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.events.model import Column, EventType, Field, Kind

_FLINK: Final[Mapping[Kind, str]] = {
    "int32": "INT",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "string": "STRING",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP_LTZ(3)",
}
_OPENSEARCH: Final[Mapping[Kind, Mapping[str, Any]]] = {
    "int32": {"type": "integer"},
    "int64": {"type": "long"},
    "double": {"type": "double"},
    "string": {"type": "keyword"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "date", "format": "strict_date_time"},
}


def flink_type(field: Field | Column) -> str:
    """Return the field's type in Flink SQL, without its nullability."""
    return _FLINK[field.kind]


def mapping(event_type: EventType) -> dict[str, Any]:
    """Return the mapping of the event type's index: strict, one property per field.

    `schemas/<type>.mapping.json` is merged over it, object by object.
    """
    derived = {
        "dynamic": "strict",
        "properties": {field.name: dict(_OPENSEARCH[field.kind]) for field in event_type.fields},
    }
    return _merged(derived, event_type.mapping_override)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return result
