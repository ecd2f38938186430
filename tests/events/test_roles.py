"""Which fields are id, event time and version time, and types of control records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from pipeline.events.model import LONGEST_ID_BYTES, LONGEST_TEXT
from tests.events.trip_schema import SCHEMAS, TRIP, TYPES, assert_refused, load_all


def test_ids_of_no_one_and_several_fields(tmp_path: Path) -> None:
    def ids(declared: object) -> tuple[tuple[str, ...], int | None]:
        made = load_all(tmp_path, trip={**TRIP, "id": declared})["trip"]
        return made.id, made.field("type").max_length

    without = {key: value for key, value in TRIP.items() if key != "id"}
    assert load_all(tmp_path, trip=without)["trip"].id == ()
    assert ids(None) == ((), LONGEST_TEXT)
    assert ids("trip_id") == (("trip_id",), LONGEST_TEXT)
    assert ids("type") == (("type",), LONGEST_ID_BYTES)
    assert ids(["type"]) == (("type",), LONGEST_ID_BYTES)
    several = ["type", "trip_id", "vendor_id", "pickup_datetime"]
    assert ids(several) == (tuple(several), LONGEST_TEXT)


@pytest.mark.parametrize("declared", [None, ...])
def test_without_a_version_time_the_order_of_arrival_counts(
    declared: object, tmp_path: Path
) -> None:
    schema = {**TRIP, "versionTime": declared}
    if declared is ...:
        del schema["versionTime"]
    assert load_all(tmp_path, trip=schema)["trip"].version_time == ""


_CONTROL: dict[str, Any] = json.loads((SCHEMAS / "watermark.avsc").read_text())


def test_control_types_are_no_event_types() -> None:
    (control,) = TYPES.control
    assert (control.name, control.version) == ("watermark", 1)
    assert [field.name for field in control.fields] == ["watermark", "type"]
    assert TYPES.get("watermark") is None and "watermark" not in TYPES.names
    assert control.fields[0].minimum == 0


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("double", ["field n: type", "double", "string, timestamp, int32"]),
        ({"type": "array", "items": "int"}, ["field n: type", "array"]),
        (
            {"type": "long", "logicalType": "timestamp-millis", "wire": "epoch-millis"},
            ["field n: type", "timestamp", "times as text"],
        ),
    ],
)
def test_control_types_have_plain_fields(declared: Any, words: list[str], tmp_path: Path) -> None:
    field = {"name": "n", "type": declared, "doc": "A field."}
    with pytest.raises(UserError) as refused:
        load_all(tmp_path, trip=TRIP, mark={**_CONTROL, "eventType": "m", "fields": [field]})
    assert [word for word in words if word not in str(refused.value)] == []


def test_control_types_alone_are_not_enough(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="control types only"):
        load_all(tmp_path, watermark=_CONTROL)
    with pytest.raises(UserError, match=r'b\.avsc.*"trip" is already taken'):
        load_all(tmp_path, a=TRIP, b={**_CONTROL, "eventType": "trip"})


_FAULTS: list[tuple[dict[str, Any], list[str]]] = [
    ({**TRIP, "id": "tripid"}, ["id", '"tripid"', "did you mean trip_id?"]),
    ({**TRIP, "id": "fare_amount"}, ["id", "int64 or string"]),
    ({**TRIP, "id": ["trip_id", "trip_id"]}, ["id", "list of 1 to 8 different"]),
    ({**TRIP, "id": []}, ["id", "[]", "list of 1 to 8 different"]),
    ({**TRIP, "id": [f"f{n}" for n in range(9)]}, ["id", "list of 1 to 8 different"]),
    ({**TRIP, "id": ["trip_id", "fare_amount"]}, ["id", "int32, int64, string, boolean, time"]),
    ({**TRIP, "id": ["trip_id", "passenger_count"]}, ["id", "not nullable"]),
    ({**TRIP, "id": ["trip_id", 7]}, ["id", "7", "the name of a field"]),
    ({**TRIP, "eventTime": "trip_id"}, ["eventTime", "a timestamp, not nullable"]),
    ({**TRIP, "eventTime": None}, ["eventTime", "null"]),
    ({**TRIP, "versionTime": "trip_id"}, ["versionTime", "a timestamp, not nullable"]),
    ({**TRIP, "control": "yes"}, ["control", '"yes"', "true or false"]),
    ({**TRIP, "control": True}, ["id", "partitionBy", "only of events, which are stored"]),
]


@pytest.mark.parametrize(("schema", "words"), _FAULTS, ids=lambda each: str(each)[-50:])
def test_a_fault_names_file_field_value_and_what_is_allowed(
    tmp_path: Path, schema: dict[str, Any], words: list[str]
) -> None:
    assert_refused(tmp_path, schema, words)
