"""Fields of a small schema, for the tests of Avro's types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.events.event_types import load
from pipeline.events.model import PLAIN, Field

BASE: dict[str, Any] = {
    "type": "record",
    "name": "Reading",
    "namespace": "home",
    "doc": "A reading.",
    "eventType": "reading",
    "version": 1,
    "eventTime": "at",
    "partitionBy": [{"name": "day", "from": "at", "transform": "day"}],
}
AT = {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "doc": "When."}


def fields_of(folder: Path, *declared: dict[str, Any], **changes: Any) -> tuple[Field, ...]:
    """The fields of a schema with these fields after the event's time."""
    fields = [AT, *({"doc": "A field.", **each} for each in declared)]
    (folder / "reading.avsc").write_text(json.dumps({**BASE, "fields": fields, **changes}))
    return load(folder)["reading"].fields[1:]


def read(folder: Path, declared: Any, **more: Any) -> Field:
    """The field `f` of this type."""
    (field,) = fields_of(folder, {"name": "f", "type": declared, **more})
    assert (field.name, bool(field.column)) == ("f", field.kind in PLAIN)
    return field


def logical(base: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": base, "logicalType": name, **more}


def record(name: str, *fields: Any, **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def decimal(precision: Any, scale: Any = 0, **more: Any) -> dict[str, Any]:
    return logical("bytes", "decimal", precision=precision, scale=scale, **more)
