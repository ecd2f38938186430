"""What each mistake of a type, limit or default in a schema says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from tests.events.reading_schema import AT, decimal, enum, logical, read, record

X = {"name": "x", "type": "int"}
FAULTS: list[tuple[Any, str]] = [
    ("integer", 'type: "integer" .*int, long'),
    (None, "type: null"),
    (7, "type: 7"),
    ("null", 'type: "null"'),
    ({"type": "null"}, 'type: "null"'),
    ([], r"type: \[\] .*union"),
    (["null"], 'type: .*a union of "null"'),
    (["null", "null", "int"], '"null", once'),
    (["int", "long"], "JSON tells apart: long and int are not"),
    (["boolean", logical("bytes", "decimal", precision=4)], 'a decimal with "wire": "string"'),
    (["string", "bytes"], "bytes and string are not"),
    (["string", logical("string", "uuid")], "string and string are not"),
    (["string", AT["type"]], "long and string are not"),
    (["long", AT["type"]], "names differ"),
    ([{"type": "map", "values": "int"}, record("R", X)], "R and map are not"),
    (["string", {**record("String", X)}], "names differ"),
    (["int", ["string"]], "no union in a union"),
    (["null", ["null", "int"]], "no union in a union"),
    (["null", {"type": ["null", "int"]}], "no union in a union"),
    (["int", {"type": ["string", "boolean"]}], "no union in a union"),
    ({"type": "array"}, r"f\[\]: type: null"),
    ({"type": "map", "values": "x"}, r'f\{\}: type: "x"'),
    ({"type": "array", "items": "int", "itms": 1}, 'property: "itms" .*items'),
    ({"type": "array", "items": "int", "logicalType": "list"}, "logicalType: .*none for array"),
    ({"type": {"type": "long"}, "logicalType": "date"}, "logicalType: .*in the same object"),
    (logical("long", "date"), "logicalType: .*time-micros, timestamp-millis"),
    (logical("double", "date"), "none for double"),
    (logical("string", "decimal"), "allowed: uuid"),
    ({"type": "int", "logicalType": ["date"]}, r'logicalType: \["date"\] .*date, time-millis'),
    (record("R"), r"fields: \[\] .*one or more"),
    ({"type": "record", "name": "R"}, "f: fields: null .*list of Avro fields"),
    ({"type": "record", "fields": [X]}, "name: null .*for each record, enum and fixed"),
    (record("1R", X), 'name: "1R"'),
    (record("int", X), "a name that no type of Avro has"),
    (record("R", X, namespace="a b"), 'namespace: "a b"'),
    (record("Reading", X), "a name that no other type has"),
    (record("R", {"name": "r", "type": "R"}), r"f\.r: type: .*no type that contains itself"),
    (record("R", {"name": "r", "type": ["null", "home.R"]}), "no type that contains itself"),
    ("Reading", "no type that contains itself"),
    (record("R", X, {**X}), r"f: fields: \"x\" .*each name once"),
    (record("R", X, {**X, "name": "X"}), "differ not in case alone: x is one"),
    (record("R", {**X, "name": "x-y"}), 'f: field name: "x-y"'),
    (record("R", {**X, "doc": ""}), r"f\.x: doc"),
    (record("R", {**X, "minimum": "a"}), r'f\.x: minimum: "a"'),
    (record("R", {**X, "aliases": ["a", "a"]}), r"field f\.x: aliases"),
    (record("R", X, minimum=1), "minimum: 1 .*only on numbers"),
    (enum(), r"symbols: \[\]"),
    (enum("A", "A"), "symbols: .*different texts"),
    (enum("in progress"), 'symbols: .*the property "enum"'),
    (enum("A", default="B"), 'default: "B" .*one of the symbols'),
    (enum("A", maxLength=1), "maxLength: 1 .*no other limit"),
    (enum("A", enum=["A"]), "enum: .*no other limit"),
    (logical("string", "uuid", pattern="x"), "pattern: .*no other limit"),
    (logical("string", "uuid", wire="string"), "wire: .*only on times and decimals"),
    ({"type": "fixed", "name": "F"}, "size: null .*from 1 to 1048575"),
    ({"type": "fixed", "name": "F", "size": 2**20}, "size: 1048576"),
    ({"type": "fixed", "name": "F", "size": 2, "maxLength": 2}, "maxLength: 2 .*no other limit"),
    ({**logical("fixed", "duration"), "name": "F", "size": 12}, "logicalType: .*decimal"),
    (
        {**logical("fixed", "decimal", precision=10), "name": "F", "size": 4},
        "precision: 10 .*fit into 4 bytes",
    ),
    (decimal(None), "precision: null .*from 1 to 38"),
    (decimal(39), "precision: 39"),
    (decimal(3, 4), "scale: 4 .*from 0 to 3"),
    (decimal(3, True), "scale: true"),
    (decimal(4, 2, minimum="1.234"), 'minimum: "1.234" .*within its precision and scale'),
    (decimal(4, 2, maximum="100"), 'maximum: "100"'),
    (decimal(4, 2, maximum="NaN"), 'maximum: "NaN"'),
    (decimal(4, 2, maximum="x"), 'maximum: "x"'),
    (decimal(4, 2, maximum=1.5), "maximum: 1.5"),
    (decimal(4, 2, minimum=2, maximum=1), "minimum: 2 .*at most its maximum, 1"),
    (logical("int", "date", minimum="2018-02-30"), 'minimum: "2018-02-30"'),
    (logical("int", "date", minimum="2018-01-02", maximum="2018-01-01"), "maximum, 2018-01-01"),
    (logical("int", "time-millis", minimum="00:00:00"), "minimum: .*dates and timestamps"),
    (logical("long", "timestamp-nanos", minimum="1600-01-01T00:00:00Z"), 'minimum: "1600'),
    (logical("long", "timestamp-nanos", maximum="9999-01-01T00:00:00Z"), 'maximum: "9999'),
    (logical("long", "local-timestamp-millis", minimum="2018-01-01T00:00:00Z"), "minimum"),
    ({"type": "array", "items": {"type": "string", "enum": ["a", "a"]}}, r"f\[\]: enum"),
    ({"type": "array", "items": {"type": "string", "enum": ["ab"], "maxLength": 1}}, "maxLength 1"),
]


@pytest.mark.parametrize(("declared", "told"), FAULTS, ids=lambda each: str(each)[:60])
def test_a_fault_names_field_value_and_what_is_allowed(
    declared: Any, told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told) as refused:
        read(tmp_path, declared)
    message = str(refused.value)
    assert "reading.avsc: field f" in message and "isn't allowed; allowed: " in message
    assert "problems" not in message, "a mistake is told once"


@pytest.mark.parametrize(
    ("declared", "more", "told"),
    [
        ({"type": "int", "minimum": 1}, {"minimum": 2}, "minimum: 1 .*allowed: it once"),
        ({"type": {"type": "int", "minimum": 1}, "minimum": 1}, {}, "minimum: 1 .*it once"),
        (["int", "null"], {"default": None}, "default: null"),
        (["null", "int"], {"default": 1}, "default: 1"),
        ({"type": "array", "items": "int"}, {"default": [1]}, r"default: \[1\] .*null, \[\] or"),
        ({"type": "array", "items": "int"}, {"default": {}}, "default: {}"),
        (["null", {"type": "array", "items": "int"}], {"default": []}, r"default: \[\]"),
        (record("R", X), {"default": {}}, "default: {}"),
        ("bytes", {"default": ""}, 'default: ""'),
        (decimal(3), {"default": 1}, "default: 1"),
        (enum("A"), {"default": "B"}, 'default: "B" .*enum A'),
        ("boolean", {"default": 0}, "default: 0"),
        ("long", {"default": 2**63}, "default: .*maximum"),
        ("string", {"minimum": 1}, "minimum: 1 .*only on numbers"),
        ("boolean", {"wire": "number"}, "wire: .*only on times and decimals"),
        (["long", "string"], {"maxLength": 3}, "maxLength: 3 .*only on strings and bytes"),
    ],
    ids=str,
)
def test_faults_of_limits_and_defaults(
    declared: Any, more: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told) as refused:
        read(tmp_path, declared, **more)
    assert "problems" not in str(refused.value)
