"""Avro's types as fields: every kind, named types, unions, limits, wire forms and defaults."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from pipeline.events.avro_types import DEEPEST
from pipeline.events.event_types import load
from tests.events.reading_schema import AT, BASE, decimal, enum, fields_of, logical, read, record


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("boolean", {"kind": "boolean"}),
        ("int", {"kind": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}),
        ("long", {"kind": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}),
        ("float", {"kind": "float", "minimum": -(2**24), "maximum": 2**24}),
        ("double", {"kind": "double", "minimum": -(2**53), "maximum": 2**53}),
        ("string", {"kind": "string", "max_length": 8191}),
        ("bytes", {"kind": "bytes", "max_length": None, "size": 0}),
        ({"type": "bytes", "maxLength": 9}, {"kind": "bytes", "max_length": 9}),
        (decimal(9, 2), {"kind": "decimal", "precision": 9, "scale": 2, "wire": "number"}),
        (logical("string", "uuid"), {"kind": "string", "max_length": 36}),
        ({"type": "fixed", "name": "F", "size": 16}, {"kind": "bytes", "size": 16}),
        (
            {**logical("fixed", "decimal", precision=9), "name": "F", "size": 4},
            {"kind": "decimal", "precision": 9, "scale": 0, "size": 0},
        ),
        (enum("A", "BB"), {"kind": "string", "enum": ("A", "BB"), "max_length": 2}),
        (enum("A", default="A"), {"kind": "string", "enum": ("A",)}),
        (logical("int", "date"), {"kind": "date", "wire": "iso-8601"}),
        (logical("int", "time-millis"), {"kind": "time", "unit": "ms", "wire": "iso-8601"}),
        (logical("long", "time-micros"), {"kind": "time", "unit": "us"}),
        (logical("long", "timestamp-millis"), {"kind": "timestamp", "unit": "ms"}),
        (logical("long", "timestamp-micros"), {"kind": "timestamp", "unit": "us"}),
        (logical("long", "timestamp-nanos"), {"kind": "timestamp", "unit": "ns"}),
        (logical("long", "local-timestamp-millis"), {"kind": "local_timestamp", "unit": "ms"}),
        (logical("long", "local-timestamp-micros"), {"kind": "local_timestamp", "unit": "us"}),
        (logical("long", "local-timestamp-nanos"), {"kind": "local_timestamp", "unit": "ns"}),
        ({"type": {"type": {"type": "int"}}}, {"kind": "int32"}),
        (["int"], {"kind": "int32", "nullable": False}),
        (["int", "null"], {"kind": "int32", "nullable": True}),
        ({"type": ["null", "int"]}, {"kind": "int32", "nullable": True}),
        (["null", logical("int", "date")], {"kind": "date", "nullable": True}),
    ],
    ids=str,
)
def test_kinds(declared: Any, expected: dict[str, Any], tmp_path: Path) -> None:
    field = read(tmp_path, declared)
    assert {name: getattr(field, name) for name in expected} == expected


def test_uuids(tmp_path: Path) -> None:
    pattern = str(read(tmp_path, logical("string", "uuid")).regex)
    assert re.search(pattern, "123e4567-E89B-12d3-a456-426614174000")
    for wrong in ("123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-426614174000\n"):
        assert not re.search(pattern, wrong)


def test_containers(tmp_path: Path) -> None:
    position = record(
        "Position",
        {"name": "lat", "type": "double", "minimum": -90, "maximum": 90},
        {"name": "lon", "type": ["null", "double"], "default": None, "doc": "East."},
    )
    field = read(tmp_path, {"type": "array", "items": {"type": "map", "values": position}})
    (item,) = field.children
    (value,) = item.children
    assert [field.kind, item.kind, value.kind] == ["array", "map", "record"]
    assert [item.name, value.name] == ["item", "value"]
    lat, lon = value.children
    assert (lat.name, lat.minimum, lat.maximum, lat.doc) == ("lat", -90, 90, "")
    assert (lon.nullable, lon.optional, lon.default, lon.doc) == (True, True, None, "East.")


def test_limits_of_items(tmp_path: Path) -> None:
    item = {"type": "string", "maxLength": 3, "pattern": "^a"}
    (child,) = read(tmp_path, {"type": "array", "items": item}).children
    assert (child.max_length, child.pattern) == (3, "^a")
    (child,) = read(tmp_path, {"type": "array", "items": ["null", "int"]}).children
    assert child.nullable


def test_named_types_are_referred_to(tmp_path: Path) -> None:
    point = record("Point", {"name": "x", "type": "int"}, namespace="geo")
    inner = record("Inner", {"name": "color", "type": enum("A")}, {"name": "p", "type": point})
    *fields, last = fields_of(
        tmp_path,
        {"name": "a", "type": inner},
        {"name": "b", "type": "E"},
        {"name": "c", "type": ["null", "home.E"]},
        {"name": "d", "type": {"type": "array", "items": "geo.Point"}},
        {"name": "e", "type": "Inner"},
    )
    a, b, c, d = fields
    assert b.enum == c.enum == a.children[0].enum == ("A",) and c.nullable
    assert d.children[0].children == a.children[1].children
    assert last.children == a.children


def test_names_inherit_a_namespace_and_may_have_none(tmp_path: Path) -> None:
    bare = record("Bare", {"name": "x", "type": enum("A")}, namespace="")
    fields = fields_of(
        tmp_path,
        {"name": "a", "type": bare},
        {"name": "b", "type": "Bare"},
        {"name": "c", "type": "E"},
        {"name": "d", "type": record("p.q.R", {"name": "x", "type": enum("B")})},
        {"name": "e", "type": "p.q.E"},
    )
    assert fields[1].children == fields[0].children
    assert (fields[2].enum, fields[4].enum) == (("A",), ("B",))
    del (changed := dict(BASE))["namespace"]
    (tmp_path / "reading.avsc").write_text(
        json.dumps(
            {
                **changed,
                "name": "house.Reading",
                "fields": [
                    AT,
                    {"name": "a", "doc": "A.", "type": enum("A")},
                    {"name": "b", "doc": "B.", "type": "house.E"},
                ],
            }
        )
    )
    assert load(tmp_path)["reading"].field("b").enum == ("A",)


def nested(levels: int) -> Any:
    made: Any = "int"
    for _ in range(levels):
        made = {"type": "array", "items": made}
    return made


def test_the_deepest_type(tmp_path: Path) -> None:
    assert read(tmp_path, nested(DEEPEST)).kind == "array"
    with pytest.raises(UserError, match=f"level {DEEPEST + 1}.*{DEEPEST} levels of nesting"):
        read(tmp_path, nested(DEEPEST + 1))


@pytest.mark.parametrize(
    ("branches", "names"),
    [
        (["long", "string"], ["long", "string"]),
        (["null", "double", "boolean"], ["double", "boolean"]),
        (["boolean", enum("A"), {"type": "array", "items": "int"}], ["boolean", "E", "array"]),
        (["string", {"type": "map", "values": "int"}], ["string", "map"]),
        (["string", record("a.R", {"name": "x", "type": "int"})], ["string", "R"]),
        ([logical("long", "timestamp-millis"), "double"], ["long", "double"]),
        ([{"type": {"type": "bytes"}}, "int"], ["bytes", "int"]),
        ([decimal(3, wire="string"), "int"], ["bytes", "int"]),
    ],
    ids=str,
)
def test_unions(branches: list[Any], names: list[str], tmp_path: Path) -> None:
    field = read(tmp_path, branches)
    assert [child.name for child in field.children] == names
    assert (field.kind, field.nullable) == ("union", "null" in branches)
    assert not any(child.nullable for child in field.children)


@pytest.mark.parametrize(
    ("kind", "declared", "least", "most"),
    [
        ("decimal", decimal(4, 2, minimum="-12.50", maximum=12), Decimal("-12.5"), Decimal(12)),
        ("timestamp", {**AT["type"], "minimum": "1970-01-01T00:00:01Z"}, 1000, None),  # type: ignore[dict-item]
        ("timestamp", {**AT["type"], "maximum": "1970-01-01T00:00:01+00:01"}, None, -59_000),  # type: ignore[dict-item]
        (
            "local_timestamp",
            logical("long", "local-timestamp-nanos", minimum="1970-01-01T00:00:00.000000001"),
            *(1, None),
        ),
        ("date", logical("int", "date", minimum="1969-12-31", maximum="1970-01-02"), -1, 1),
        ("float", {"type": "float", "minimum": 0.5, "maximum": 1e38}, 0.5, 1e38),
    ],
)
def test_bounds(kind: str, declared: Any, least: Any, most: Any, tmp_path: Path) -> None:
    field = read(tmp_path, declared)
    assert (field.kind, field.minimum, field.maximum) == (kind, least, most)


@pytest.mark.parametrize(
    ("declared", "forms"),
    [
        (decimal(3), ["number", "string"]),
        (logical("int", "date"), ["iso-8601", "epoch-days"]),
        (logical("int", "time-millis"), ["iso-8601", "millis-of-day"]),
        (logical("long", "time-micros"), ["iso-8601", "micros-of-day"]),
        (logical("long", "timestamp-millis"), ["iso-8601", "epoch-seconds", "epoch-millis"]),
        (
            logical("long", "timestamp-micros"),
            ["iso-8601", "epoch-seconds", "epoch-millis", "epoch-micros"],
        ),
        (
            logical("long", "local-timestamp-nanos"),
            ["iso-8601", "epoch-seconds", "epoch-millis", "epoch-micros", "epoch-nanos"],
        ),
    ],
)
def test_wire_forms(declared: dict[str, Any], forms: list[str], tmp_path: Path) -> None:
    assert read(tmp_path, declared).wire == forms[0]
    for form in forms:
        assert read(tmp_path, declared, wire=form).wire == form
        assert read(tmp_path, {**declared, "wire": form}).wire == form
    with pytest.raises(UserError) as refused:
        read(tmp_path, declared, wire="epoch-hours")
    assert str(refused.value).endswith(f"allowed: {', '.join(forms)}")


@pytest.mark.parametrize(
    ("declared", "default", "expected"),
    [
        ({"type": "array", "items": "int"}, [], ()),
        ([{"type": "array", "items": "int"}, "null"], [], ()),
        ({"type": "map", "values": "int"}, {}, ()),
        (["null", {"type": "map", "values": "int"}], None, None),
        (["null", "long", "string"], None, None),
        (["int", "null"], 3, 3),
        ("double", 3, 3.0),
        ("float", 0.5, 0.5),
        ("boolean", False, False),
        (enum("A", "B"), "B", "B"),
        ({"type": {"type": ["null", "int"]}}, None, None),
    ],
)
def test_defaults(declared: Any, default: Any, expected: Any, tmp_path: Path) -> None:
    field = read(tmp_path, declared, default=default)
    assert (field.optional, field.default) == (True, expected)
    assert type(field.default) is type(expected)


def test_a_named_type_keeps_its_wire_form(tmp_path: Path) -> None:
    money = {**logical("fixed", "decimal", precision=9, wire="string"), "name": "M", "size": 4}
    first, second = fields_of(
        tmp_path, {"name": "a", "type": money}, {"name": "b", "type": "M", "maximum": 5}
    )
    assert (first.wire, second.wire, second.maximum) == ("string", "string", Decimal(5))
    with pytest.raises(UserError, match="field b: wire: .*string, as before"):
        fields_of(tmp_path, {"name": "a", "type": money}, {"name": "b", "type": "M", "wire": "x"})


def test_names_that_differ_in_case_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='fields: "userid" .*differ not in case alone: userId'):
        fields_of(tmp_path, {"name": "userId", "type": "int"}, {"name": "userid", "type": "int"})
