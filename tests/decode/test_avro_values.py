"""Single values of Avro in JSON: exact, or such that the decoder or a fault rejects them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from pipeline.decode.fault import Fault
from tests.decode.avro_writers import INSTANT, LOGICAL, event_types, exact, record, records, written


def json_of(field: dict[str, Any], avro: Any, value: Any) -> Any:
    """The JSON of one member that a writer of type `avro` wrote; its text for a fault."""
    schema = record("W", (field["name"], avro))
    raw = written(schema, {field["name"]: value})
    found = records(schema, event_types(field)).json_of(raw, "event")
    return found if isinstance(found, Fault) else exact(found)[field["name"]]


MILLIS = {"name": "v", "type": INSTANT}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
NANOS = {"type": "long", "logicalType": "timestamp-nanos"}
LOCAL = {"type": "long", "logicalType": "local-timestamp-millis"}
DATE = {"type": "int", "logicalType": "date"}
TIME = {"type": "int", "logicalType": "time-millis"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}
OURS = {"name": "v", "type": DECIMAL}


@pytest.mark.parametrize(
    ("field", "avro", "value", "expected"),
    [
        (MILLIS, MICROS, 1_514_764_800_123_456, "2018-01-01T00:00:00.123456Z"),
        (MILLIS, NANOS, 1_514_764_800_123_456_789, "2018-01-01T00:00:00.123456789Z"),
        (MILLIS, LOCAL, 1_514_764_800_000, "2018-01-01T00:00:00.000"),
        (MILLIS, DATE, 17_532, "2018-01-01"),
        (MILLIS, TIME, 1, "00:00:00.001"),
        (MILLIS, "long", 5, 5),
        (MILLIS, "string", "2018-01-01T00:00:00Z", "2018-01-01T00:00:00Z"),
        (MILLIS, INSTANT, -(2**63), -(2**63)),
        ({**MILLIS, "wire": "epoch-millis"}, MICROS, 1_000, 1),
        ({**MILLIS, "wire": "epoch-millis"}, MICROS, 1_001, "1970-01-01T00:00:00.001001Z"),
        ({**MILLIS, "wire": "epoch-seconds"}, MICROS, -1_000_000, -1),
        ({**MILLIS, "wire": "epoch-millis"}, LOCAL, 0, "1970-01-01T00:00:00.000"),
        ({"name": "v", "type": MICROS, "wire": "epoch-micros"}, INSTANT, 7, 7_000),
        ({"name": "v", "type": DATE, "wire": "epoch-days"}, DATE, -1, -1),
        ({"name": "v", "type": DATE, "wire": "epoch-days"}, INSTANT, 0, "1970-01-01T00:00:00.000Z"),
        ({"name": "v", "type": TIME}, TIME, 86_400_000, 86_400_000),
        ({"name": "v", "type": TIME}, TIME, -1, -1),
        ({"name": "v", "type": "long"}, MICROS, 5, 5),
        ({"name": "v", "type": "string"}, INSTANT, 5, 5),
        (OURS, DECIMAL, Decimal("-0.05"), Decimal("-0.05")),
        ({**OURS, "wire": "string"}, DECIMAL, Decimal("12345678901234567.80"),
         "12345678901234567.80"),
        (OURS, "double", 0.5, Decimal("0.5")),
        (OURS, "double", 0.1, Decimal(0.1)),
        (OURS, "long", 2**62, 2**62),
        ({"name": "v", "type": "double"}, "long", 2**53 + 1, 2**53 + 1),
        ({"name": "v", "type": "double"}, "double", math.nan, "<NaN>"),
        ({"name": "v", "type": "double"}, "float", -math.inf, "<-Infinity>"),
        ({"name": "v", "type": "float"}, "double", 0.5, Decimal("0.5")),
        ({"name": "v", "type": "bytes"}, "string", "ab", "YWI="),
        ({"name": "v", "type": "bytes"}, DECIMAL, Decimal("0.01"), "AQ=="),
        ({"name": "v", "type": "string"}, "bytes", b"ab", "ab"),
        ({"name": "v", "type": "string"}, "string", "\0\x1f\ud7ff", "\0\x1f\ud7ff"),
        ({"name": "v", "type": "string"}, LOGICAL[11], b"\0" * 15 + b"\1",
         "00000000-0000-0000-0000-000000000001"),
        ({"name": "v", "type": "string"}, ["null", "int"], None, None),
    ],
)  # fmt: skip
def test_values_are_exact_or_such_as_the_decoder_rejects(
    field: dict[str, Any], avro: Any, value: Any, expected: Any
) -> None:
    assert json_of(field, avro, value) == expected


FIXED = {"type": "fixed", "name": "F", "size": 3}
ENUM = {"type": "enum", "name": "E", "symbols": ["AAAA"]}
NUMBER_OR_TEXT = {"name": "v", "type": ["long", "string"]}


@pytest.mark.parametrize(
    ("field", "avro", "value", "detail"),
    [
        ({**OURS, "wire": "string"}, "bytes", b"\xd7m\xf8", "bytes that are no decimal"),
        ({"name": "v", "type": "string"}, FIXED, b"abc", "fixed that are no decimal"),
        ({"name": "v", "type": "string"}, DECIMAL, Decimal(1), "a decimal"),
        ({"name": "v", "type": "double"}, DECIMAL, Decimal(1), "a decimal"),
        ({"name": "v", "type": "float"}, "double", 0.1, "allowed: a number that a float holds"),
        ({"name": "v", "type": "bytes"}, ENUM, "AAAA", "an enum"),
        ({"name": "v", "type": "string"}, "bytes", b"\xff", "not UTF-8"),
        ({"name": "v", "type": ["boolean", "string"]}, "long", 1, "long of the writer's schema"),
        (NUMBER_OR_TEXT, "boolean", True, "allowed: long (int64), string (string)"),
        ({"name": "v", "type": {"type": "map", "values": "int"}}, record("P", ("a", "int")),
         {"a": 1}, "a record"),
        ({"name": "v", "type": record("P", ("a", "int"))}, {"type": "map", "values": "int"},
         {"a": 1}, "a map"),
    ],
)  # fmt: skip
def test_what_json_could_take_for_another_value_is_a_fault(
    field: dict[str, Any], avro: Any, value: Any, detail: str
) -> None:
    found = json_of(field, avro, value)
    assert isinstance(found, Fault), found
    assert detail in found.detail
    assert found.reason == ("invalid_utf8" if "UTF-8" in detail else "avro_undecodable")


def test_branches_of_ours_take_the_writer_s() -> None:
    assert json_of(NUMBER_OR_TEXT, ["null", "string", "int"], "x") == "x"
    assert json_of(NUMBER_OR_TEXT, INSTANT, 5) == 5
    either = {"name": "v", "type": [INSTANT, "int"]}
    assert json_of(either, MICROS, 5) == "1970-01-01T00:00:00.000005Z"
    assert json_of(either, "int", 5) == 5
