"""All of Avro's types: both decoders agree, and columns have the values of the events."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.arrow_types import arrow_type
from pipeline.decode.decoder import Decoder, Event, Reject
from pipeline.decode.fault import Fault
from pipeline.decode.reference import Rule, examine
from pipeline.decode.type_rule import TypeRule
from pipeline.events.event_types import of
from pipeline.events.model import EventType
from pipeline.events.schema_files import event_type_of
from tests.decode.kinds import Pair, encoded, schemas

NOW = 1_600_000_000_000
RULE = TypeRule(field="", constant="event")


def _decoder(event_type: EventType) -> Decoder:
    return Decoder(of([event_type]), type_rule=RULE, documents=True, now=lambda: NOW)


def _rule(event_type: EventType) -> Rule:
    return Rule(of([event_type]), 1_000_000, "refuse", NOW, RULE)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_columns_have_the_values_of_the_events(data: st.DataObject) -> None:
    event_type, events = data.draw(schemas())
    rows: list[Pair] = data.draw(st.lists(events, min_size=1, max_size=5))
    raws = [encoded(event) for event, _ in rows]
    decoder, rule = _decoder(event_type), _rule(event_type)
    decoded = decoder.decode_batch(raws)
    assert set(decoded.kind.tolist()) == {"event"}, decoded.detail.tolist()
    assert not [verdict for raw in raws if isinstance(verdict := examine(raw, rule), Fault)]
    for field in event_type.fields:
        expected = pa.array([row[field.name] for _, row in rows], arrow_type(field))
        found = decoded.tables["event"].columns[field.name]
        found.validate(full=True)
        assert found.to_pylist() == expected.to_pylist()
    again = decoder.decode_batch(decoded.document.tolist())
    assert again.document.tolist() == decoded.document.tolist()
    for name, column in decoded.tables["event"].columns.items():
        assert again.tables["event"].columns[name].to_pylist() == column.to_pylist()


_ODD = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 1.5, 2**31, 2**63, -(2**63) - 1, 1e300, -0.0, 1e-50),
        *("", "x", "A", "1.5", "2018-01-01", "00:00:00", "2018-01-01T00:00:00Z", "QQ==", "QQ"),
        *("2018-01-01T00:00:00", "2018-01-01T00:00:00.0000000001Z", "9999-12-31T23:59:59Z"),
        *([], [None], [1, "x"], {}, {"a": 1}, {"x": None}),
    ]
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below: list[tuple[Any, ...]] = []
    pairs: list[tuple[Any, Any]] = list(value.items()) if isinstance(value, dict) else []
    pairs = list(enumerate(value)) if isinstance(value, list) else pairs
    for key, inner in pairs:
        below += [(*path, key), *_places(inner, (*path, key))]
    return below


@st.composite
def _changed(draw: st.DrawFn, event: Any) -> bytes:
    """Return an event with one value changed, left out or added."""
    copied = msgspec.json.decode(encoded(event))
    path = draw(st.sampled_from(_places(copied)))
    inner = copied
    for key in path[:-1]:
        inner = inner[key]
    what = draw(st.sampled_from(["set", "delete", "add", "twice"]))
    if what == "delete":
        del inner[path[-1]]
    elif what == "add" and isinstance(inner, dict):
        inner["unknown"] = copy.deepcopy(draw(_ODD))
    else:
        inner[path[-1]] = copy.deepcopy(draw(_ODD))
    raw = json.dumps(copied).encode()
    if what == "twice" and isinstance(path[-1], str):
        key = json.dumps(path[-1]).encode() + b": "
        raw = raw.replace(key, key + b"1, " + key, 1)
    return raw


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_both_decoders_agree_on_changed_events(data: st.DataObject) -> None:
    event_type, events = data.draw(schemas())
    raws = [data.draw(_changed(data.draw(events)[0])) for _ in range(4)]
    raws += [encoded(data.draw(events)[0])]
    rule = _rule(event_type)
    decoded = _decoder(event_type).decode_batch(raws)
    for row, raw in enumerate(raws):
        verdict = examine(raw, rule)
        if isinstance(verdict, Fault):
            assert (decoded.reason[row], decoded.detail[row]) == (verdict.reason, verdict.detail)
        else:
            assert decoded.kind[row] == "event", (raw, decoded.detail[row])


TIME = {"type": "long", "logicalType": "timestamp-millis"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}


def _of(kind: Any, **more: Any) -> EventType:
    """An event type with one field `v` of the kind."""
    record = {
        "type": "record", "name": "E", "doc": "x", "eventType": "event", "version": 1,
        "id": "id", "eventTime": "t",
        "partitionBy": [{"name": "day", "from": "t", "transform": "day"}],
        "fields": [
            {"name": "id", "type": "long", "doc": "x"},
            {"name": "t", "type": TIME, "doc": "x"},
            {"name": "v", "type": kind, "doc": "x", **more},
        ],
    }  # fmt: skip
    made = event_type_of(Path("event.avsc"), record)
    assert isinstance(made, EventType)
    return made


@pytest.mark.parametrize(
    ("kind", "more", "value", "reason", "allowed"),
    [
        ("bytes", {}, '"QQ"', "invalid_base64", "RFC 4648"),
        ("bytes", {}, '"QR=="', "invalid_base64", "RFC 4648"),
        ("bytes", {"maxLength": 1}, '"QUE="', "out_of_range", "at most 1 bytes"),
        ({"type": "fixed", "name": "F", "size": 2}, {}, '"QQ=="', "out_of_range", "2 bytes"),
        (DECIMAL, {}, "1.005", "out_of_range", "at most 5 digits, 2 of them decimals"),
        (DECIMAL, {}, "1000", "out_of_range", "at most 5 digits"),
        (DECIMAL, {}, "1e400", "out_of_range", "at most 5 digits"),
        (DECIMAL, {}, "1e99999999999999999999", "out_of_range", "a decimal can hold"),
        (DECIMAL, {}, '"1.5"', "wrong_type", "a number"),
        (DECIMAL, {"wire": "string"}, "1.5", "wrong_type", "a decimal number in text"),
        (DECIMAL, {"wire": "string"}, '" 1"', "out_of_range", "a decimal number in text"),
        (DECIMAL, {"maximum": "1.50"}, "1.51", "out_of_range", "to 1.50"),
        ("float", {}, "1e-50", "out_of_range", "32 bits do not round to 0"),
        ("float", {}, "16777217", "out_of_range", "-16777216 to 16777216"),
        (TIME, {"wire": "epoch-millis"}, '"2018-01-01T00:00:00Z"', "wrong_type", "epoch-millis"),
        (TIME, {"wire": "epoch-millis"}, "1514764800", "timestamp_out_of_range", "2009-01-01"),
        (TIME, {}, '"2018-01-01T00:00:00.0001Z"', "timestamp_precision", "milliseconds"),
        ({"type": "int", "logicalType": "date"}, {}, '"2018-02-30"', "invalid_timestamp", "date"),
        (["int", "string"], {}, "1.5", "wrong_type", "an integer or text"),
        ({"type": "map", "values": "int"}, {}, '{"a": 1, "a": 2}', "duplicate_key", "once"),
    ],
)
def test_what_is_no_value_of_its_kind(
    kind: Any, more: dict[str, Any], value: str, reason: str, allowed: str
) -> None:
    """At the top and below an array of records; the detail has the path."""
    item = {"type": "record", "name": "Item", "fields": [{"name": "v", "type": kind, **more}]}
    cases = [(_of(kind, **more), value, "$.v")]
    cases.append((_of({"type": "array", "items": item}), f'[{{"v": {value}}}]', "$.v[0].v"))
    for event_type, written, path in cases:
        raw = f'{{"id": 1, "t": "2018-01-01T00:00:00.000Z", "v": {written}}}'
        outcome = _decoder(event_type).decode(raw.encode())
        assert isinstance(outcome, Reject)
        assert outcome.reason == reason, outcome.detail
        assert outcome.detail.startswith(path)
        assert allowed in outcome.detail


def _reading(**members: Any) -> bytes:
    return encoded({"id": 1, "t": "2018-01-01T00:00:00.000Z", **members})


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "int", "logicalType": "date"},
        {"type": "long", "logicalType": "time-micros"},
        {"type": "long", "logicalType": "timestamp-micros"},
        {"type": "long", "logicalType": "local-timestamp-nanos"},
        TIME,
    ],
)
def test_texts_that_are_no_times_move_no_others(kind: Any) -> None:
    """Of another length, empty, or beyond the year 9999, before, between and behind good ones."""
    good = {
        "date": "2018-01-02", "time-micros": "01:02:03.000004",
        "timestamp-micros": "2018-01-02T03:04:05.000006Z",
        "local-timestamp-nanos": "2018-01-02T03:04:05.000006007",
        "timestamp-millis": "2018-01-02T03:04:05.006Z",
    }[kind["logicalType"]]  # fmt: skip
    odd = ["", "x", "9999-12-31T23:59:59-14:00", "10000-01-01T00:00:00Z", good + "!" * 9]
    values = [odd[0], good, *odd, good, *odd * 5, good]
    event_type = _of({"type": "array", "items": kind})
    for wrapped in (False, True):
        of_kind = event_type if wrapped else _of(kind)
        raws = [_reading(v=[value] if wrapped else value) for value in values]
        decoded = _decoder(of_kind).decode_batch(raws)
        assert [kind == "event" for kind in decoded.kind] == [value == good for value in values]
        rows = [row for row, value in enumerate(values) if value == good]
        alone = _decoder(of_kind).decode_batch([raws[row] for row in rows])
        assert decoded.document[rows].tolist() == alone.document.tolist()
        assert set(alone.document.tolist()) == {raws[rows[0]]}
        found = decoded.tables["event"].columns["v"].to_pylist()
        assert found == alone.tables["event"].columns["v"].to_pylist()
        assert len(found) == len(rows)


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        (DECIMAL, 1),
        ({"type": "int", "logicalType": "time-millis"}, "00:00:00"),
        ("bytes", "QQ=="),
        ("float", 1),
    ],
)
def test_null_and_no_member_are_the_same_document(kind: Any, other: Any) -> None:
    item = {"name": "v", "type": ["null", kind], "default": None}
    nested = _of({"type": "record", "name": "R", "fields": [item]})
    for of_kind, wrap in ((_of(["null", kind], default=None), False), (nested, True)):
        raws = [
            _reading(**({"v": members} if wrap else members))
            for members in ({"v": None}, {}, {"v": other})
        ]
        documents = _decoder(of_kind).decode_batch(raws).document.tolist()
        assert documents[0] == documents[1] != documents[2]
        assert b"null" not in documents[0]


def test_integers_of_more_than_64_bits_are_doubles_where_these_may_be_so_large() -> None:
    large = 2**64 + 2**40
    for kind in ("double", "float"):
        event_type = _of(kind, maximum=1e30)
        outcome = _decoder(event_type).decode(_raw(large))
        assert isinstance(outcome, Event)
        assert outcome.values["v"] == pytest.approx(float(large))
        assert not isinstance(examine(_raw(large), _rule(event_type)), Fault)
        usual = _of(kind)
        rejected = _decoder(usual).decode(_raw(large))
        assert isinstance(rejected, Reject)
        assert rejected.reason == "integer_overflow"


def _raw(number: int) -> bytes:
    return f'{{"id": 1, "t": "2018-01-01T00:00:00.000Z", "v": {number}}}'.encode()
