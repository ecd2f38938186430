"""Turn Avro records in Confluent's framing into the JSON of events, which the decoder judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from connectors.schema_registry.schema import Unknown, WriterSchema
from pipeline.decode.avro_binary import Malformed, Source
from pipeline.decode.avro_readers import reader
from pipeline.decode.avro_values import Read
from pipeline.decode.fault import Fault
from pipeline.decode.json_text import shown
from pipeline.events.model import EventType, EventTypes

MAGIC: Final = 0
HEADER_BYTES: Final = 5
"""The magic byte, and the schema's id in four bytes."""

_OTHERS: Final = (
    (b"\x03\x00", "AWS Glue's schema registry"),
    (b"\x03\x05", "AWS Glue's schema registry, compressed"),
    (b"\xc3\x01", "Avro's single-object encoding"),
    (b"Obj\x01", "an Avro file"),
    (b"{", "JSON"),
)

NameOf = Callable[[Mapping[str, Any]], str | None]
"""Tells the event type of a record whose members have the writer's names."""
SchemaOf = Callable[[int], WriterSchema | Unknown]


class AvroRecords:
    """The records of Avro as JSON, by the schemas of their writers.

    `schema_of` returns the same schema for an id each time; it is asked once for each record.
    """

    def __init__(
        self,
        types: EventTypes,
        schema_of: SchemaOf,
        *,
        name_of: NameOf | None = None,
        max_record_bytes: int | None = None,
    ) -> None:
        """Ask `name_of` for the event type of records that come without one."""
        self._types = types
        self._schema_of = schema_of
        self._name_of = name_of
        self._most = max_record_bytes
        self._reads: dict[tuple[int, str], Read] = {}

    def json_of(self, raw: bytes | None, event_type: str | None = None) -> bytes | Fault:
        """Return a record's JSON, or why there is none; raises what `schema_of` raises.

        If the event type is unknown, the JSON has the writer's names and no field's form.
        """
        known = self._types.get(event_type) if event_type is not None else None
        fault = self._unframed(raw, known)
        if fault or raw is None:
            return fault or _fault("empty_payload", "", known)
        schema_id = int.from_bytes(raw[1:HEADER_BYTES], "big")
        schema = self._schema_of(schema_id)
        if isinstance(schema, Unknown):
            return _fault("avro_unknown_schema", f"payload: {schema.detail}", known)
        try:
            value = self._value(raw, schema_id, schema, known)
            if event_type is None and self._name_of and isinstance(value, dict):
                name = self._name_of(value)
                known = self._types.get(name) if isinstance(name, str) else None
                if known:
                    value = self._value(raw, schema_id, schema, known)
        except Malformed as error:
            detail = f"schema id {schema_id}, {error.detail}"
            return _fault(error.reason, detail, known)
        return msgspec.json.encode(value)

    def _value(
        self, raw: bytes, schema_id: int, schema: WriterSchema, known: EventType | None
    ) -> Any:
        key = (schema_id, known.name if known else "")
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = reader(schema, known.fields if known else None)
        source = Source(raw, HEADER_BYTES)
        value = read(source)
        source.end()
        return value

    def _unframed(self, raw: bytes | None, known: EventType | None) -> Fault | None:
        allowed = "allowed: byte 0, a schema id of 4 bytes, and one Avro record"
        if not raw:
            saw = "no value (a Kafka tombstone)" if raw is None else "no bytes"
            return _fault("empty_payload", f"payload: saw {saw}; {allowed}", known)
        if raw[0] != MAGIC:
            return _fault(
                "avro_magic", f"payload: saw {shown(raw[:20])}{_hint(raw)}; {allowed}", known
            )
        if len(raw) < HEADER_BYTES:
            return _fault("avro_magic", f"payload: saw {len(raw)} bytes; {allowed}", known)
        if self._most is not None and len(raw) > self._most:
            detail = f"payload: saw {len(raw)} bytes; allowed: {self._most} (max_record_bytes)"
            return _fault("record_too_large", detail, known)
        return None


def named_by(path: str) -> NameOf:
    """Return the text at a dotted path of a record; None where there is none.

    >>> named_by("meta.type")({"meta": {"type": "trip"}})
    'trip'
    """
    names = path.split(".")

    def name_of(members: Mapping[str, Any]) -> str | None:
        value: Any = members
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, str) else None

    return name_of


def _hint(raw: bytes) -> str:
    name = next((name for start, name in _OTHERS if raw.startswith(start)), None)
    return f" (begins like {name})" if name else ""


def _fault(reason: str, detail: str, known: EventType | None) -> Fault:
    return Fault(reason, detail, known.name if known else "", known.version if known else 0)
