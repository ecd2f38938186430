"""Which changes within records, arrays, maps and unions, and of control types, are allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.events.compatibility import changes
from pipeline.events.event_types import EventTypes, load
from tests.events.reading_schema import AT, BASE, decimal, logical, record
from tests.events.trip_schema import SCHEMAS

LAT = {"name": "lat", "type": "double", "minimum": -90, "maximum": 90}
MORE = {"name": "more", "type": ["null", "string"], "default": None}
TAG = {"type": "string", "maxLength": 10, "enum": ["a", "b"]}
TYPES: dict[str, Any] = {
    "position": record("Position", LAT, {"name": "high", "type": record("High", LAT)}),
    "items": {"type": "array", "items": record("Item", LAT)},
    "tags": {"type": "array", "items": TAG},
    "labels": {"type": "map", "values": "int"},
    "value": ["null", "long", "string"],
    "three": ["null", "boolean", "long", "string"],
    "either": ["null", "long", record("Either", LAT)],
    "price": decimal(9, 2),
    "narrow": decimal(20, 2, minimum=0),
    "date": {**logical("int", "date"), "minimum": "2018-01-01"},
    "blob": {"type": "bytes", "maxLength": 9},
    "code": {"type": "fixed", "name": "Code", "size": 4},
    "n": "int",
    "ratio": "float",
    "word": "string",
    "fine": {
        **logical("long", "local-timestamp-nanos"),
        "minimum": "2018-01-01T00:00:00",
        "maximum": "2200-01-01T00:00:00",
    },
}
Edit = Callable[[dict[str, Any]], object]
WATERMARK: dict[str, Any] = json.loads((SCHEMAS / "watermark.avsc").read_text())


def made(folder: Path, types: dict[str, Any], version: int) -> EventTypes:
    folder.mkdir()
    fields = [AT, *({"name": name, "type": each, "doc": "A."} for name, each in types.items())]
    schema = {**BASE, "fields": fields, "version": version}
    (folder / "reading.avsc").write_text(json.dumps(schema))
    return load(folder)


def told(folder: Path, edit: Edit) -> tuple[list[str], list[str]]:
    """What is allowed and what is refused if the types are edited."""
    types = json.loads(json.dumps(TYPES))  # without parts that are one object
    edit(types)
    old, new = made(folder / "old", TYPES, 1), made(folder / "new", types, 2)
    found = list(changes(old, new))
    return (
        [str(each) for each in found if not each.refused],
        [str(each) for each in found if each.refused],
    )


def to(name: str, declared: Any) -> Edit:
    return lambda types: types.update({name: declared})


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda types: types["position"]["fields"].append(MORE), "position.more: added"),
        (lambda types: types["items"]["items"]["fields"].append(MORE), "items[].more: added"),
        (lambda types: types["either"][2]["fields"].append(MORE), "either|Either.more: added"),
        (
            lambda types: types["position"]["fields"][1]["type"]["fields"][0].update(minimum=-100),
            "position.high.lat: minimum was -90, is -100",
        ),
        (lambda types: types["tags"]["items"].update(maxLength=20), "tags[]: max_length was 10"),
        (lambda types: types["tags"]["items"]["enum"].append("c"), "tags[]: enum was ['a', 'b']"),
        (to("labels", {"type": "map", "values": ["null", "int"]}), "labels{}: may be null"),
        (lambda types: types["value"].append("boolean"), "value|boolean: added"),
        (lambda types: types["either"].append("boolean"), "either|boolean: added"),
        (lambda types: types["value"].reverse(), ""),
        (to("value", ["null", "string", {"type": "long"}]), ""),
        (to("narrow", decimal(20, 2)), "narrow: minimum was 0, is none"),
        (to("blob", "bytes"), "blob: max_length was 9, is none"),
        (to("date", logical("int", "date")), "date: minimum was 2018-01-01, is none"),
        (to("position", ["null", TYPES["position"]]), "position: may be null"),
    ],
)
def test_what_is_allowed(tmp_path: Path, edit: Edit, what: str) -> None:
    allowed, refused = told(tmp_path, edit)
    assert refused == []
    assert len(allowed) == bool(what) and what in "".join(allowed)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (
            lambda types: types["position"]["fields"].append({"name": "more", "type": "int"}),
            "position.more: added; archived records lack it, so give it a default",
        ),
        (lambda types: types["position"]["fields"].pop(0), "position.lat: removed; old readers"),
        (
            lambda types: types["items"]["items"]["fields"][0].update(maximum=10),
            "items[].lat: maximum was 90, is 10; archived",
        ),
        (
            lambda types: types["items"]["items"]["fields"].__setitem__(
                0, {"name": "lat", "type": "string"}
            ),
            "items[].lat: type was double, is string; files of two types",
        ),
        (to("tags", {"type": "array", "items": {**TAG, "enum": ["a"]}}), "tags[]: enum was"),
        (to("labels", {"type": "map", "values": "long"}), "labels{}: type was int32, is int64"),
        (lambda types: types["three"].remove("string"), "three|string: removed; old readers"),
        (to("three", ["null", "boolean", "string"]), "three|long: removed"),
        (lambda types: types["value"].remove("null"), "value: may no longer be null"),
        (to("value", ["null", "long"]), "value: type was union, is int64"),
        (
            lambda types: types["value"].append({"type": "map", "values": "int"}),
            "mapping: value is {'type': 'keyword'}, must be {'type': 'object'",
        ),
        (to("price", decimal(12, 2)), "price: precision was 9, is 12; files of two types"),
        (to("price", decimal(9, 3)), "price: scale was 2, is 3; files of two types"),
        (to("price", decimal(9, 2, wire="string")), "price: wire was number, is string; archived"),
        (to("price", decimal(9, 2, minimum=0)), "price: minimum was none, is 0; archived"),
        (to("blob", {"type": "bytes", "maxLength": 8}), "max_length was 9, is 8; archived"),
        (to("code", {"type": "fixed", "name": "Code", "size": 5}), "code: size was 4, is 5"),
        (to("date", {**logical("int", "date"), "wire": "epoch-days"}), "date: wire was iso-8601"),
        (to("n", "float"), "n: type was int32, is float; Avro would read int32 as float, but"),
        (to("ratio", "double"), "Avro would read float as double, but files of two types"),
        (to("word", "bytes"), "Avro would read string as bytes, but files of two types"),
        (to("blob", "string"), "Avro would read bytes as string, but files of two types"),
        (to("code", "string"), "code: type was bytes, is string; files of two types"),
        (
            lambda types: types["fine"].update(minimum="1960-01-01T00:00:00"),
            "mapping: fine is {'type': 'date_nanos'",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, edit: Edit, what: str) -> None:
    _, refused = told(tmp_path, edit)
    assert any(what in each for each in refused), refused
    assert len(refused) == 1


def control(folder: Path, **files: dict[str, Any]) -> EventTypes:
    folder.mkdir(exist_ok=True)
    for name, schema in {"reading": {**BASE, "fields": [AT]}, **files}.items():
        (folder / f"{name}.avsc").write_text(json.dumps(schema))
    return load(folder)


def test_control_types(tmp_path: Path) -> None:
    old = control(tmp_path / "old", watermark=WATERMARK)
    more = {"name": "more", "type": "int", "doc": "A."}
    widened = {**WATERMARK, "fields": [*WATERMARK["fields"], {**more, "default": 0}]}
    cases: dict[str, tuple[EventTypes, list[str]]] = {
        "none": (control(tmp_path / "0"), ["watermark: removed; its control records would"]),
        "same": (control(tmp_path / "1", watermark=WATERMARK), []),
        "other": (
            control(tmp_path / "2", watermark=widened),
            ["watermark.more: added", "watermark: version was 1, is 1; rows of two"],
        ),
        "required": (
            control(
                tmp_path / "3",
                watermark={**widened, "version": 2, "fields": [*WATERMARK["fields"], more]},
            ),
            ["watermark.more: added; archived records lack it"],
        ),
        "event": (
            control(tmp_path / "4", watermark={**BASE, "eventType": "watermark", "fields": [AT]}),
            ["watermark: is no control type any more; archived control records would"],
        ),
    }
    for new, expected in cases.values():
        found = [str(each) for each in changes(old, new)]
        assert len(found) == len(expected)
        assert all(map(str.startswith, found, expected)), found
    assert [str(each) for each in changes(cases["none"][0], old)] == ["watermark: added"]
    (back,) = changes(cases["event"][0], old)
    assert str(back) == "watermark: is a control type now; its events would not be stored"
