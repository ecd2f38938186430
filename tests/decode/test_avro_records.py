"""Avro records become the JSON of their events: exactly, by our names, and never with an error."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.decode.avro_records import named_by
from pipeline.decode.decoder import Decoder, Reject
from pipeline.decode.fault import Fault
from pipeline.decode.outcome import Event
from pipeline.decode.type_rule import TypeRule
from pipeline.events.event_types import of
from pipeline.events.model import Field
from tests.decode.avro_writers import (
    HEADER,
    ID,
    INSTANT,
    LOGICAL,
    event_types,
    exact,
    filled,
    native,
    record,
    records,
    schema_of,
    written,
)
from tests.decode.kinds import encoded, schemas

NOW = 1_600_000_000_000
RULE = TypeRule(field="", constant="event")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_events_of_all_types_have_the_json_that_a_sender_of_json_writes(
    data: st.DataObject,
) -> None:
    event_type, events = data.draw(schemas())
    event, _ = data.draw(events)
    whole = Field("", "record", children=event_type.fields)
    schema = schema_of(event_type.fields)
    raw = written(schema, native(event, whole))
    found = records(schema, of([event_type])).json_of(raw, "event")
    assert isinstance(found, bytes), found
    assert exact(found) == exact(encoded(filled(event, whole)))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_decoder_makes_the_same_event_of_both(data: st.DataObject) -> None:
    event_type, events = data.draw(schemas())
    event, _ = data.draw(events)
    whole = Field("", "record", children=event_type.fields)
    event = filled(event, whole)
    schema = schema_of(event_type.fields)
    found = records(schema, of([event_type])).json_of(
        written(schema, native(event, whole)), "event"
    )
    assert isinstance(found, bytes), found
    decoder = Decoder(of([event_type]), type_rule=RULE, documents=True, now=lambda: NOW)
    decoded = decoder.decode_batch([found, encoded(event)])
    assert decoded.document.tolist()[0] == decoded.document.tolist()[1]
    assert decoded.kind.tolist() == ["event", "event"]


FLAT = st.sampled_from(["int", "long", "float", "double", "string", "boolean"])
WIDER = {"int": ["int", "long", "double"], "long": ["long"], "float": ["float", "double"]}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "string": TEXT,
    "boolean": st.booleans(),
}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_fastavro_resolves_to_the_same_values(data: st.DataObject) -> None:
    writers, ours, values = [], [], {}
    for number, kind in enumerate(data.draw(st.lists(FLAT, min_size=1, max_size=5))):
        name, form = f"f{number}", data.draw(st.sampled_from(["same", "alias", "gone", "null"]))
        wider: Any = data.draw(st.sampled_from(WIDER.get(kind, [kind])))
        avro: Any = kind
        if form in ("gone", "null"):
            wider = ["null", wider]
        if form == "null":
            avro = data.draw(st.sampled_from([[kind, "null"], ["null", kind], kind]))
        default = {"default": None} if form == "gone" else {}
        ours.append({"name": name, "type": wider, "aliases": [f"old{number}"], **default})
        if form != "gone":
            written_as = f"old{number}" if form == "alias" else name
            writers.append((written_as, avro))
            values[written_as] = data.draw(VALUES[kind])
    schema = record("W", *data.draw(st.permutations(writers)))
    found = records(schema, event_types(*ours)).json_of(written(schema, values), "event")
    assert isinstance(found, bytes)
    reader = {"type": "record", "name": "W", "fields": ours}
    read: Any = fastavro.schemaless_reader(BytesIO(written(schema, values)[5:]), schema, reader)
    assert {name: json.loads(found).get(name) for name in read} == read


NODE = record("Node", ("v", "int"), ("next", ["null", "Node"]))
WRITERS: list[Any] = [
    "null", "boolean", "int", "long", "float", "double", "string", "bytes", ["null", "int"],
    {"type": "array", "items": "null"}, {"type": "map", "values": ["long", "string"]},
    {"type": "array", "items": {"type": "array", "items": record("Empty")}}, NODE,
    record("A", ("e", {"type": "enum", "name": "E", "symbols": ["A", "B"]}), ("m", {
        "type": "map", "values": {"type": "fixed", "name": "F", "size": 3},
    })),
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(WRITERS), st.binary(max_size=40))
@example(WRITERS[9], b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01")
@example(WRITERS[9], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00")
@example(NODE, b"\x02\x02" * 100_000)
def test_what_is_accepted_fastavro_reads_alike(schema: Any, body: bytes) -> None:
    found = records(schema).json_of(HEADER + body)
    if isinstance(found, bytes):
        buffer = BytesIO(body)
        read: Any = fastavro.schemaless_reader(buffer, schema)
        assert buffer.tell() == len(body)
        assert comparable(exact(found)) == comparable(as_json(read))


def as_json(value: Any) -> Any:
    """What fastavro read, as JSON should have it."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "<NaN>", "inf": "<Infinity>", "-inf": "<-Infinity>"}[str(value)]
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    return [as_json(each) for each in value] if isinstance(value, list) else value


def comparable(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*WRITERS, *LOGICAL]), st.binary(max_size=60), st.booleans())
def test_no_bytes_raise(schema: Any, body: bytes, framed: bool) -> None:
    types = event_types({"name": "v", "type": "double"})
    found = records(schema, types).json_of(HEADER + body if framed else body, "event")
    assert isinstance(found, bytes | Fault)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_raises(data: st.DataObject) -> None:
    event_type, events = data.draw(schemas())
    event, _ = data.draw(events)
    schema = schema_of(event_type.fields)
    whole = Field("", "record", children=event_type.fields)
    raw = bytearray(written(schema, native(event, whole)))
    at = data.draw(st.integers(5, len(raw) - 1))
    raw[at:] = data.draw(st.binary(max_size=9)) + raw[at + data.draw(st.integers(0, 3)) :]
    found = records(schema, of([event_type])).json_of(bytes(raw), "event")
    assert isinstance(found, bytes | Fault)
    if isinstance(found, Fault):
        assert found.event_type == "event" and len(found.detail) < 600


@pytest.mark.parametrize(
    ("raw", "reason", "detail"),
    [
        (None, "empty_payload", "a Kafka tombstone"),
        (b"", "empty_payload", "saw no bytes"),
        (b'{"type":"event"}', "avro_magic", r'saw "{\"type\"'),
        (b"Obj\1", "avro_magic", r'saw "Obj\u0001" (begins like an Avro file)'),
        (b"\0\0\0\0", "avro_magic", "saw 4 bytes"),
        (b"\0\0\0\0\1\0", "avro_unknown_schema", "payload: schema id: none"),
        (HEADER, "avro_undecodable", "byte 5: saw the end"),
        (HEADER + b"\x04\x00\x00", "avro_undecodable", "byte 6: saw 2 more bytes"),
        (HEADER + b"\x80\x80", "avro_undecodable", "byte 7: saw the end"),
        (HEADER + b"\x80\x80\x80\x80\x10", "avro_undecodable", "saw the int 2147483648"),
        (HEADER + b"\x80" * 9 + b"\x02", "avro_undecodable", "an integer of more bits"),
        (HEADER + b"\x80" * 12 + b"\x00", "avro_undecodable", "an integer of more bits"),
        (HEADER + b"\0" * 200, "record_too_large", "saw 205 bytes; allowed: 100"),
    ],
)
def test_every_fault_of_the_frame(raw: bytes | None, reason: str, detail: str) -> None:
    made = records("int", event_types(), max_record_bytes=100).json_of(raw, "event")
    assert isinstance(made, Fault)
    assert (made.reason, made.event_type, made.schema_version) == (reason, "event", 3)
    assert detail in made.detail


@pytest.mark.parametrize(
    ("schema", "body", "detail"),
    [
        ("boolean", b"\x02", "saw the boolean 2"),
        ("float", b"\x00\x00\x00", "saw 3 more bytes; allowed: 4"),
        ("double", b"", "saw 0 more bytes; allowed: 8"),
        ("string", b"\x01abc", "saw the length -1"),
        ("bytes", b"\x0aabc", "saw 3 more bytes; allowed: 5"),
        (["null", "int"], b"\x01\x02", "saw branch -1; allowed: 0 to 1"),
        (["null", "int"], b"\x04", "saw branch 2; allowed: 0 to 1"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x01", "saw symbol -1"),
        ({"type": "array", "items": "null"}, b"\xa0\x1f\x00", "saw a block of 2000 items"),
        ({"type": "array", "items": "null"}, b"\xb8\x17" + b"\0" * 600, "a further item without"),
        ({"type": "array", "items": "int"}, b"\x03\x06\x02\x02\x00", "block that ends at byte 9"),
        ({"type": "array", "items": "int"}, b"\x01\x01\x02\x00", "saw a block of -1 bytes"),
        ({"type": "array", "items": "int"}, b"\x01\x20\x02\x00", "saw a block of 16 bytes"),
        (LOGICAL[9], b"\x82\x04" + b"\1" * 257, "saw a decimal of 257 bytes"),
    ],
)
def test_every_fault_of_the_bytes(schema: Any, body: bytes, detail: str) -> None:
    made = records(schema).json_of(HEADER + body)
    assert isinstance(made, Fault) and made.reason == "avro_undecodable"
    assert detail in made.detail and f"schema id {ID}, " in made.detail


def test_faults_that_json_has_too() -> None:
    deep = records(NODE).json_of(HEADER + b"\x02\x02" * 40)
    twice = records({"type": "map", "values": "int"}).json_of(HEADER + b"\x04\x02a\0\x02a\0\0")
    broken = records("string").json_of(HEADER + b"\x04a\xff")
    assert [each.reason for each in (deep, twice, broken) if isinstance(each, Fault)] == [
        "nested_too_deep", "duplicate_key", "invalid_utf8",
    ]  # fmt: skip
    within = b"\x02\x02" * 31 + b"\x02\x00"
    assert isinstance(records(NODE).json_of(HEADER + within), bytes)


def test_records_in_records_without_bytes_end() -> None:
    schema: Any = record("R0")
    for number in range(1, 30):
        schema = record(f"R{number}", ("a", schema), ("b", f"R{number - 1}"))
    found = records(schema).json_of(HEADER)
    assert isinstance(found, Fault) and "at most 8 fields for each byte" in found.detail
    endless = record("R", ("r", "R"))
    found = records(endless).json_of(HEADER)
    assert isinstance(found, Fault) and found.reason == "nested_too_deep"


MICROS = {"type": "long", "logicalType": "timestamp-micros"}
NANOS = {"type": "long", "logicalType": "timestamp-nanos"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}


def test_names_of_records_are_not_compared_and_fields_within_have_aliases_too() -> None:
    inner = {"type": "record", "name": "Ours", "fields": [
        {"name": "b", "type": "long", "aliases": ["old_b"]},
        {"name": "c", "type": "int", "default": 1},
    ]}  # fmt: skip
    types = event_types({"name": "a", "type": {"type": "array", "items": ["null", inner]}})
    theirs = record("com.other.Theirs", ("new", "string"), ("old_b", "int"))
    schema = record("com.other.W", ("a", {"type": "array", "items": theirs}))
    raw = written(schema, {"a": [{"new": "x", "old_b": 4}]})
    found = records(schema, types).json_of(raw, "event")
    assert found == b'{"a":[{"new":"x","b":4}]}'


def test_a_name_goes_before_an_alias() -> None:
    types = event_types({"name": "a", "type": "int", "aliases": ["b", "c"]})
    schema = record("W", ("b", "int"), ("a", "int"), ("c", "int"))
    found = records(schema, types).json_of(written(schema, {"a": 1, "b": 2, "c": 3}), "event")
    assert found == b'{"b":2,"a":1,"c":3}'
    schema = record("W", ("c", "int"), ("b", "int"))
    found = records(schema, types).json_of(written(schema, {"b": 2, "c": 3}), "event")
    assert found == b'{"c":3,"a":2}'


def test_the_decoder_judges_what_only_one_schema_has() -> None:
    types = event_types({"name": "new", "type": ["null", "int"], "default": None})
    decoder = Decoder(types, type_rule=RULE, now=lambda: NOW)
    base = [("id", "int"), ("t", INSTANT)]
    event = {"id": 1, "t": 1_514_764_800_000}

    def outcome(schema: Any, value: Any) -> Event | str:
        found = records(schema, types).json_of(written(schema, value), "event")
        decoded = decoder.decode(found) if isinstance(found, bytes) else found
        assert isinstance(decoded, Event | Reject)
        return decoded if isinstance(decoded, Event) else f"{decoded.reason}: {decoded.detail}"

    known = outcome(record("W", *base), event)
    assert isinstance(known, Event) and known.values["new"] is None and known.values["id"] == 1
    more = str(outcome(record("W", *base, ("x", "int")), {**event, "x": 1}))
    less = str(outcome(record("W", *base[:1]), event))
    finer = str(outcome(record("W", base[0], ("t", MICROS)), {**event, "t": 1_514_764_800_000_001}))
    text = str(outcome(record("W", ("id", "string"), base[1]), {**event, "id": "1"}))
    assert more.startswith('unknown_field: $: saw "x"')
    assert less.startswith("missing_field: $.t: saw nothing")
    assert finer.startswith('timestamp_precision: $.t: saw "2018-01-01T00:00:00.000001Z"')
    assert text.startswith('wrong_type: $.id: saw "1"')


def test_a_record_can_tell_its_type() -> None:
    types = event_types({"name": "v", "type": INSTANT, "wire": "epoch-millis", "aliases": ["w"]})
    schema = record("W", ("meta", record("Meta", ("type", ["null", "string"]))), ("w", INSTANT))
    made = records(schema, types, name_of=named_by("meta.type"))
    told = written(schema, {"meta": {"type": "event"}, "w": 5})
    assert made.json_of(told) == b'{"meta":{"type":"event"},"v":5}'
    assert made.json_of(told, "other") == (
        b'{"meta":{"type":"event"},"w":"1970-01-01T00:00:00.005Z"}'
    )
    for name in ("other", None):
        raw = written(schema, {"meta": {"type": name}, "w": 5})
        assert exact(made.json_of(raw))["w"] == "1970-01-01T00:00:00.005Z"  # type: ignore[arg-type]
    assert named_by("a.b")({"a": "x"}) is None and named_by("a")({"a": 1}) is None


def test_unknown_events_are_json_without_any_form() -> None:
    schema = record("W", ("d", DECIMAL), ("b", "bytes"), ("u", LOGICAL[11]), ("n", NANOS))
    raw = written(schema, {"d": Decimal("1.50"), "b": b"ab", "u": b"\1" * 16, "n": 1})
    assert records(schema).json_of(raw) == (
        b'{"d":1.50,"b":"YWI=","u":"01010101-0101-0101-0101-010101010101",'
        b'"n":"1970-01-01T00:00:00.000000001Z"}'
    )
    assert records("string").json_of(written("string", "x")) == b'"x"'


def test_an_array_of_wide_records_without_bytes_ends() -> None:
    wide = record("W", *((f"f{number}", "null") for number in range(500)))
    body = b"\xd0\x0f" + b"\0" * 100  # a block of 1000 items
    found = records({"type": "array", "items": wide}).json_of(HEADER + body)
    assert isinstance(found, Fault) and "fields for each byte" in found.detail
