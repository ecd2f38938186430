"""Writers of Avro for tests: fastavro's, with schemas made of event types' fields."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any, Final

import fastavro

from connectors.schema_registry.schema import Unknown, WriterSchema, parse
from pipeline.decode import leaves
from pipeline.decode.avro_records import AvroRecords
from pipeline.events.event_types import of
from pipeline.events.model import EventType, EventTypes, Field
from pipeline.events.schema_files import event_type_of

ID: Final = 7
HEADER: Final = b"\0" + ID.to_bytes(4, "big")
INSTANT: Final = {"type": "long", "logicalType": "timestamp-millis"}
_UNITS: Final = {"ms": "millis", "us": "micros", "ns": "nanos"}
_PRIMITIVES: Final = {"int32": "int", "int64": "long"}
_NOTHING: Final = EventTypes((), ())


LOGICAL: list[Any] = [
    *({"type": "int", "logicalType": each} for each in ("date", "time-millis")),
    *({"type": "long", "logicalType": f"{local}timestamp-{unit}"}
      for unit in ("millis", "micros", "nanos") for local in ("", "local-")),
    {"type": "long", "logicalType": "time-micros"},
    {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
    {"type": "fixed", "name": "D", "size": 16, "logicalType": "decimal", "precision": 4},
    {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"},
    {"type": "string", "logicalType": "uuid"},
]  # fmt: skip


def event_types(*fields: dict[str, Any]) -> EventTypes:
    """The type `event` with these fields beside an id and a time."""
    record = {
        "type": "record", "name": "Event", "doc": "x", "eventType": "event", "version": 3,
        "id": "id", "eventTime": "t",
        "partitionBy": [{"name": "day", "from": "t", "transform": "day"}],
        "fields": [
            {"name": "id", "type": "long", "doc": "x"},
            {"name": "t", "type": INSTANT, "doc": "x"},
            *({"doc": "x", **field} for field in fields),
        ],
    }  # fmt: skip
    made = event_type_of(Path("event.avsc"), record)
    assert isinstance(made, EventType)
    return of([made])


def record(name: str, *fields: tuple[str, Any]) -> dict[str, Any]:
    """A writer's record."""
    return {
        "type": "record", "name": name,
        "fields": [{"name": each, "type": avro} for each, avro in fields],
    }  # fmt: skip


def exact(text: bytes) -> Any:
    """JSON with all its digits."""
    return json.loads(text, parse_float=Decimal, parse_constant=lambda name: f"<{name}>")


def parsed(schema: Any) -> WriterSchema:
    """Return a schema as a registry gives it."""
    found = parse(json.dumps(schema))
    assert isinstance(found, WriterSchema), found
    return found


def written(schema: Any, value: Any) -> bytes:
    """Return a framed record."""
    buffer = BytesIO()
    fastavro.schemaless_writer(buffer, schema, value)
    return HEADER + buffer.getvalue()


def records(schema: Any, types: EventTypes = _NOTHING, **more: Any) -> AvroRecords:
    """Return a reader of records of one schema, whose id is `ID`."""
    known = parsed(schema)
    unknown = Unknown("schema id: none")
    return AvroRecords(types, lambda number: known if number == ID else unknown, **more)


def schema_of(fields: tuple[Field, ...]) -> dict[str, Any]:
    """Return the plain schema of a writer of these fields, with names of its own."""
    return _record(fields, (f"W{number}" for number in count()))


def _record(fields: tuple[Field, ...], names: Iterator[str]) -> dict[str, Any]:
    members = [{"name": field.name, "type": _of(field, names)} for field in fields]
    return {"type": "record", "name": next(names), "fields": members}


def _of(field: Field, names: Iterator[str]) -> Any:
    nullable = field.nullable or field.optional
    if field.kind == "union":
        branches = [_plain(child, names) for child in field.children]
        return ["null", *branches] if nullable else branches
    return ["null", _plain(field, names)] if nullable else _plain(field, names)


def _plain(field: Field, names: Iterator[str]) -> Any:
    kind, unit = field.kind, _UNITS[field.unit]
    if kind == "record":
        return _record(field.children, names)
    if kind == "array":
        return {"type": "array", "items": _of(field.children[0], names)}
    if kind == "map":
        return {"type": "map", "values": _of(field.children[0], names)}
    if kind == "decimal":
        digits = {"precision": field.precision, "scale": field.scale}
        return {"type": "bytes", "logicalType": "decimal", **digits}
    if kind in ("timestamp", "local_timestamp"):
        return {"type": "long", "logicalType": f"{kind.replace('_', '-')}-{unit}"}
    if kind == "time":
        return {"type": "int" if unit == "millis" else "long", "logicalType": f"time-{unit}"}
    if kind == "date":
        return {"type": "int", "logicalType": "date"}
    if field.size:
        return {"type": "fixed", "name": next(names), "size": field.size}
    if field.enum:
        return {"type": "enum", "name": next(names), "symbols": list(field.enum)}
    return _PRIMITIVES.get(kind, kind)


def native(value: Any, field: Field) -> Any:
    """Return what fastavro writes for a value in JSON of a field."""
    if value is None:
        return None
    match field.kind:
        case "record":
            return {each.name: native(value.get(each.name), each) for each in field.children}
        case "array":
            return [native(item, field.children[0]) for item in value]
        case "map":
            return {key: native(item, field.children[0]) for key, item in value.items()}
        case "bytes":
            return b64decode(value)
        case "decimal":
            return Decimal(value)
        case "timestamp" | "local_timestamp" | "date" | "time":
            return leaves.of_time(field, value)
        case _:
            return value


def filled(value: Any, field: Field) -> Any:
    """Return the value with null for each field that it leaves out."""
    if value is None:
        return None
    match field.kind:
        case "record":
            return {each.name: filled(value.get(each.name), each) for each in field.children}
        case "array":
            return [filled(item, field.children[0]) for item in value]
        case "map":
            return {key: filled(item, field.children[0]) for key, item in value.items()}
        case _:
            return value
