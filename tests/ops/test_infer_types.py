"""Types of drafts: tight ones for plain values, nested ones, and what is said about doubts."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import UserError
from pipeline.events.event_types import load
from pipeline.ops.infer.drafter import Draft, Roles, infer, text
from pipeline.ops.infer.seen import read
from tests.ops.drafts import BASE, NOW, TIME, drafted, field, kind, loads


def logical(base: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": base, "logicalType": name, **more}


def decimal(scale: int) -> dict[str, Any]:
    return logical("bytes", "decimal", precision=38, scale=scale)


NANOS = logical("long", "timestamp-nanos")
UUID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, -5], "int"),
        ([1, 2**31], "long"),
        ([-(2**63), 2**63 - 1], "long"),
        ([1, 1.5], "double"),
        ([1.5], "double"),
        ([Decimal("1.50"), Decimal("-0.001")], "double"),
        ([Decimal("0E-400"), Decimal("1E+20")], "double"),
        ([0.1 + 0.2, Decimal("23.100000000000001")], "double"),
        ([Decimal("0.12345678901234567890")], decimal(19)),
        ([12345678901234567, Decimal("0.5")], decimal(1)),
        ([2**63], decimal(0)),
        ([-(10**37)], decimal(0)),
        ([10**38], "double"),
        ([True, False], "boolean"),
        (["a", ""], "string"),
        ([UUID, UUID.upper()], logical("string", "uuid")),
        ([UUID, "x"], "string"),
        (["2018-01-01T00:00:00Z", "2018-01-01T00:00:00.5-05:00"], TIME),
        (["2018-01-01T00:00:00.123456000Z"], logical("long", "timestamp-micros")),
        (["2018-01-01T00:00:00.1Z", "2018-01-01T00:00:00.1234567Z"], NANOS),
        (["2018-01-01T00:00:00.1234567891Z"], "string"),
        (["2018-01-01T00:00:00.0000001Z", "2300-01-01T00:00:00Z"], "string"),
        (["2018-01-01T00:00:00"], logical("long", "local-timestamp-millis")),
        (["2018-01-01T00:00:00.0001"], logical("long", "local-timestamp-micros")),
        (["2018-01-01T00:00:00.0000001"], logical("long", "local-timestamp-nanos")),
        (["2018-01-01T00:00:00Z", "2018-01-01T00:00:00"], "string"),
        (["0001-01-01T00:00:00+14:00"], "string"),
        (["9999-12-31T23:59:59-14:00"], "string"),
        (["2018-01-01T00:00:00Z", "2018-01-01 00:00:00"], "string"),
        (["2018-01-31", "0001-01-01"], logical("int", "date")),
        (["2018-01-31", "2018-02-30"], "string"),
        (["00:21:05", "23:59:59.999"], logical("int", "time-millis")),
        (["00:21:05.0001"], logical("long", "time-micros")),
        (["00:21:05.0000001"], "string"),
        ([None, 1], ["null", "int"]),
        (["x", None], ["null", "string"]),
        ([None, "2018-01-01T00:00:00Z"], ["null", TIME]),
        ([[1, 2], []], {"type": "array", "items": "int"}),
        ([[1, None]], {"type": "array", "items": ["null", "int"]}),
        ([[1, "x"]], {"type": "array", "items": ["int", "string"]}),
        ([[None, 1, "x"]], {"type": "array", "items": ["null", "int", "string"]}),
        ([[[1], [None]]], {"type": "array", "items": {"type": "array", "items": ["null", "int"]}}),
        ([["x" * 9000]], {"type": "array", "items": {"type": "string", "maxLength": 9000}}),
        ([1, "x", 2.5], ["double", "string"]),
        ([None, True, 1], ["null", "boolean", "int"]),
        ([1, "2018-01-31"], ["int", "string"]),
        ([1, [1]], [{"type": "array", "items": "int"}, "int"]),
        ([{"a-b": 1}, {"c": 2}], {"type": "map", "values": "int"}),
        ([{"": 1}], {"type": "map", "values": "int"}),
        ([{"a": 1, "A": 2}], {"type": "map", "values": "int"}),
        ([{"a": 1}, {"b": None}], {"type": "map", "values": ["null", "int"]}),
        ([{"a": 1}, {}], {"type": "map", "values": "int"}),
        ([{f"k{n}": n, "id": 1} for n in range(25)], {"type": "map", "values": "int"}),
        ([{"x y": 1, "z": "t"}], {"type": "map", "values": ["int", "string"]}),
    ],
    ids=lambda each: str(each)[:60],
)  # fmt: skip
def test_types_are_tight(values: list[Any], expected: Any, tmp_path: Path) -> None:
    draft = drafted(*({"f": value} for value in values), roles=Roles(event_time="at"))
    assert kind(draft, "f") == expected
    loads(draft, tmp_path)


def test_nested_records(tmp_path: Path) -> None:
    draft = drafted(
        {"place": {"lat": 1.5, "name": None}, "items": [{"sku": "a"}, {"sku": "b", "n": 1}]},
        {"place": {"lat": 2, "name": "x"}, "items": []},
    )
    place, items = kind(draft, "place"), kind(draft, "items")
    assert (place["type"], place["name"]) == ("record", "Place")
    assert [(each["name"], each["type"]) for each in place["fields"]] == [
        ("lat", "double"),
        ("name", ["null", "string"]),
    ]
    assert place["fields"][0]["doc"] == "Say what it is. Seen: 1.5, 2."
    assert "default" not in place["fields"][1]
    item = items["items"]
    assert (items["type"], item["name"]) == ("array", "ItemsItem")
    assert item["fields"][1]["type"] == ["null", "int"] and item["fields"][1]["default"] is None
    assert "items[].n: missing in 1 of 2: null there" in draft.notes
    loads(draft, tmp_path)


def test_names_of_records_differ(tmp_path: Path) -> None:
    inner = {"reading": {"n": 1}, "string": {"n": 1}}
    both = {"reading": inner, "other": inner}
    draft = drafted({**both, "string": "x"}, {**both, "string": {"n": 1}})
    names = [each["name"] for each in _records(draft.schema["fields"])]
    assert len({name.lower() for name in names}) == len(names) == 7
    loads(draft, tmp_path)


def _records(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [each for part in value for each in _records(part)]
    if not isinstance(value, dict):
        return []
    own = [value] if value.get("type") == "record" else []
    return own + [each for part in value.values() for each in _records(part)]


def test_a_wide_record_is_no_map(tmp_path: Path) -> None:
    same = {f"k{n}": n for n in range(25)}
    draft = drafted({"f": same}, {"f": same})
    assert (kind(draft, "f")["type"], len(kind(draft, "f")["fields"])) == ("record", 25)
    mixed = drafted({"f": {**same, "name": "x"}}, {"f": {**same, "flag": True}})
    assert kind(mixed, "f")["type"] == "record"
    loads(mixed, tmp_path)


@pytest.mark.parametrize(
    ("name", "values", "wire", "base"),
    [
        ("created_at", [1_700_000_000], "epoch-seconds", "timestamp-millis"),
        ("createdAt", [1_700_000_000_000, 1_230_768_000_000], "epoch-millis", "timestamp-millis"),
        ("eventTime", [1_700_000_000_000_000], "epoch-micros", "timestamp-micros"),
        ("ts", [1_700_000_000_000_000_000], "epoch-nanos", "timestamp-nanos"),
        ("timestamp", [1_769_990_000], "epoch-seconds", "timestamp-millis"),
    ],
)
def test_numbers_that_are_times(
    name: str, values: list[int], wire: str, base: str, tmp_path: Path
) -> None:
    draft = drafted(*({name: value} for value in values), roles=Roles(event_time="at"))
    declared = field(draft, name)
    assert (declared["type"], declared["wire"]) == (logical("long", base), wire)
    assert any(note.startswith(f"{name}: a time as {wire}, by its name") for note in draft.notes)
    loads(draft, tmp_path)
    (inner,) = kind(drafted({"f": {name: values[0]}}), "f")["fields"]
    assert (inner["type"], inner["wire"]) == (logical("long", base), wire)
    listed = kind(drafted({name: values}), name)
    assert listed["items"] == {**logical("long", base), "wire": wire}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount", 1_700_000_000),
        ("created_at", 1_200_000_000),
        ("created_at", 1_800_000_000),
        ("flat", 1_700_000_000),
        ("created_at", 1_700_000_000.5),
    ],
)
def test_numbers_that_are_no_times(name: str, value: Any) -> None:
    assert kind(drafted({name: value}), name) in ("int", "long", "double")


@pytest.mark.parametrize(
    ("change", "name", "limits"),
    [
        (["1999-05-01T00:00:00Z"], "minimum", "1999-01-01T00:00:00.000Z"),
        (["2099-05-01T00:00:00.00001Z"], "maximum", "2099-12-31T23:59:59.999999Z"),
        (["0001-05-01T00:00:00"], "minimum", "0001-01-01T00:00:00.000"),
        (["9999-12-31T23:59:59.999Z"], "maximum", "9999-12-31T23:59:59.999Z"),
        ([1e300], "maximum", 1.7976931348623157e308),
        ([-1e300, 1.5], "minimum", -1.7976931348623157e308),
    ],
)
def test_limits_hold_what_was_seen(
    change: list[Any], name: str, limits: Any, tmp_path: Path
) -> None:
    draft = drafted(*({"f": value} for value in change), roles=Roles(event_time="at"))
    assert field(draft, "f")[name] == limits
    loads(draft, tmp_path)


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([1, "x"], "f: a union: number in 1, text in 1; a column with a field for each"),
        ([{"a": 1}, {"b": 1}], "f: a map: no key is in all events; make it a record if"),
        ([{"a b": 1}], "f: a map: not all of its keys can be names of fields"),
        ([{f"k{n}": 1, "a": 1} for n in range(21)], "f: a map: it has 22 different keys"),
        ([2**63], "f: a decimal: 19 digits, which neither a long nor a"),
        ([Decimal("0." + "1" * 39)], "f: more than 38 digits: a double loses some"),
        (["2018-01-31", "x"], "f: text: 1 of 2 can be read as date"),
        (["2018-01-01T00:00:00.1234567891Z"], "text: 1 of 1 can be read as timestamp of more than"),
        (["00:00:00.0000001"], "f: text: Avro has no time of day with nanoseconds"),
        (["1600-01-01T00:00:00.0000001Z"], "f: text: nanoseconds of 64 bits reach from 1677"),
        (["0001-01-01T00:00:00+14:00"], "f: text: there are times before the year 1"),
        (["1999-01-01T00:00:00Z"], "f: times before 2009 or after tomorrow: minimum 1999-01-01"),
        ([Decimal("1E+400")], "f: left out: no double can hold its numbers"),
        (["Y", "N"] * 20, "f: only Y, N: consider enum"),
        ([[None]], "f[]: left out: null in all events"),
    ],
    ids=lambda each: str(each)[:60],
)
def test_notes(values: list[Any], note: str) -> None:
    draft = drafted(*({"f": value} for value in values))
    assert any(note in each for each in draft.notes), draft.notes


def test_the_deepest_type(tmp_path: Path) -> None:
    def lists(levels: int) -> Any:
        return [lists(levels - 1)] if levels else 1

    deepest = drafted({"f": lists(16)})
    assert kind(deepest, "f") is not None
    loads(deepest, tmp_path)
    too_deep = drafted({"f": lists(17)})
    assert kind(too_deep, "f") is None
    assert any("nested in more than 16 levels" in note for note in too_deep.notes)
    lines = [b'{"f":' + b"[" * 900 + b"]" * 900 + b"}", b'{"f":' + b"[" * 90_000]
    found = read(lines, "reading")
    assert found.bad >= 1
    infer([BASE, *found.events], Roles("reading"), NOW)


NAMES = st.text(max_size=4) | st.sampled_from(
    "a A b type id at ts createdAt from string Reading key".split() + ["x y", ""]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(1_600_000_000, 1_800_000_000),
    st.integers(-(10**45), 10**45),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.datetimes().map(lambda each: each.isoformat()),
    st.datetimes().map(lambda each: each.isoformat() + "Z"),
    st.dates().map(str),
    st.times().map(str),
    st.uuids().map(str),
    st.just("\ud800"),
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(NAMES, below, max_size=4),
    max_leaves=12,
)
EVENTS = st.lists(st.dictionaries(NAMES, VALUES, max_size=5), max_size=5)


LINES = VALUES.map(lambda value: json.dumps(value, default=str).encode())
ROLES = st.builds(
    Roles, st.sampled_from(["", "a", "B"]), st.lists(NAMES, max_size=3).map(tuple), NAMES, NAMES
)


def checked(draft: Draft) -> None:
    """Check that a draft with all that a schema needs is one."""
    json.dumps(draft.notes)
    if draft.schema["eventTime"] is not None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "draft.avsc").write_text(text(draft.schema))
            load(Path(folder))


@settings(max_examples=400, deadline=None)
@given(EVENTS, st.booleans())
def test_any_events_have_a_draft_that_loads(events: list[dict[str, Any]], timed: bool) -> None:
    if timed:
        events = [{**event, "the_time": "2026-01-01T00:00:00.5Z"} for event in events]
    roles = Roles("reading", event_time="the_time" if timed else "")
    try:
        checked(infer(events, roles, NOW))
    except UserError as error:
        assert not events and "no event of that type" in str(error)


@settings(max_examples=200, deadline=None)
@given(EVENTS, ROLES)
def test_any_roles_are_taken_or_refused(events: list[dict[str, Any]], roles: Roles) -> None:
    try:
        checked(infer(events, roles, NOW))
    except UserError as error:
        str(error).encode()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=20) | LINES))
def test_any_lines_are_read(lines: list[bytes]) -> None:
    found = read(lines, "reading")
    assert len(found.events) == len(found.lines)
