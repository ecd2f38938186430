"""Schema files -> event types and the union of their columns; each fault has its own message."""

from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from pipeline.events.derive import flink_type, mapping
from pipeline.events.event_types import Column, load
from tests.decode.corpus import SCHEMAS, TYPES

_TRIP: dict[str, Any] = json.loads((SCHEMAS / "trip.avsc").read_text())


def _load(folder: Path, **files: object) -> Any:
    for name, schema in files.items():
        (folder / f"{name}.avsc").write_text(json.dumps(schema))
    return load(folder)


def _changed(of: str, /, **changes: object) -> dict[str, Any]:
    """The schema of trips with one field changed."""
    schema = copy.deepcopy(_TRIP)
    next(field for field in schema["fields"] if field["name"] == of).update(changes)
    return schema


def _by(*partition_by: dict[str, Any]) -> dict[str, Any]:
    """The schema of trips with other partitions."""
    return {**_TRIP, "partitionBy": list(partition_by)}


def _changed_by(partition: dict[str, Any], of: str, /, **changes: object) -> dict[str, Any]:
    return {**_changed(of, **changes), "partitionBy": [partition]}


def _as(event_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as that of another event type."""
    next(field for field in schema["fields"] if field["name"] == "type")["enum"] = [event_type]
    return {**schema, "eventType": event_type}


def test_the_types_can_travel_into_a_worker() -> None:
    assert pickle.loads(pickle.dumps(TYPES)) == TYPES


def test_fields_of_one_kind_share_a_column() -> None:
    names = [column.name for column in TYPES.columns]
    assert len(names) == len(set(names))
    assert (
        TYPES["trip"].field("fare_amount").column == TYPES["green_trip"].field("fare_amount").column
    )
    assert Column("ehail_fee", "double", nullable=True) in TYPES.columns
    for event_type in TYPES:
        kinds = {column.name: column.kind for column in TYPES.columns}
        assert all(kinds[field.column] == field.kind for field in event_type.fields)


def test_fields_of_two_kinds_have_two_columns(tmp_path: Path) -> None:
    other = _as("tram_trip", _changed("vendor_id", type="string"))
    vendor = next(field for field in other["fields"] if field["name"] == "vendor_id")
    del vendor["minimum"], vendor["maximum"]
    types = _load(tmp_path, trip=_TRIP, tram_trip=other)
    assert types["tram_trip"].field("vendor_id").column == "vendor_id"
    assert types["trip"].field("vendor_id").column == "vendor_id__trip"
    assert Column("vendor_id__trip", "int32", nullable=False) in types.columns


def test_a_column_is_nullable_if_any_type_says_so(tmp_path: Path) -> None:
    other = _as("atrip", _changed("extra", type=["null", "double"]))
    types = _load(tmp_path, trip=_TRIP, atrip=other)
    assert Column("extra", "double", nullable=True) in types.columns
    assert not types["trip"].field("extra").nullable


def test_flink_types() -> None:
    trip = TYPES["trip"]
    assert flink_type(trip.field("trip_id")) == "BIGINT"
    assert flink_type(trip.field("vendor_id")) == "INT"
    assert flink_type(trip.field("pickup_datetime")) == "TIMESTAMP_LTZ(3)"
    assert flink_type(trip.field("fare_amount")) == "DOUBLE"
    assert flink_type(trip.field("type")) == "STRING"


def test_mapping_is_strict_and_has_the_override_merged_in() -> None:
    made = mapping(TYPES["trip"])
    assert made["dynamic"] == "strict"
    assert set(made["properties"]) == {field.name for field in TYPES["trip"].fields}
    assert made["properties"]["trip_id"] == {"type": "long"}
    assert made["properties"]["pickup_datetime"] == {"type": "date", "format": "strict_date_time"}
    padding = {"type": "keyword", "index": False, "doc_values": False}
    assert made["properties"]["padding"] == padding


_FAULTS: list[tuple[dict[str, Any], list[str]]] = [
    ({**_TRIP, "type": "enum"}, ["type", '"enum"', '"record"']),
    ({**_TRIP, "eventType": "Trip"}, ["eventType", '"Trip"', "[a-z]"]),
    ({**_TRIP, "eventType": "../trip"}, ["eventType", '"../trip"']),
    ({**_TRIP, "eventType": "watermark"}, ["watermark", "control"]),
    ({**_TRIP, "version": 0}, ["version", "0", "from 1"]),
    ({**_TRIP, "doc": " "}, ["doc", "isn't empty"]),
    ({**_TRIP, "id": "tripid"}, ["id", '"tripid"', "did you mean trip_id?"]),
    ({**_TRIP, "id": "fare_amount"}, ["id", "int64 or string"]),
    ({**_TRIP, "eventTime": "trip_id"}, ["eventTime", "timestamp-millis"]),
    ({**_TRIP, "versionTime": None}, ["versionTime", "null"]),
    (
        {**_TRIP, "place": "pickup_location_id"},
        ["place", "partitionBy", "docs/event-types.md#partitions"],
    ),
    ({**_TRIP, "partitionBy": None}, ["partitionBy", "list of 1 to 8"]),
    ({**_TRIP, "partitionBy": []}, ["partitionBy", "list of 1 to 8"]),
    (_by({"name": "p"}), ["partitionBy[0]", "name and from are required"]),
    (_by({"name": "p", "from": "vendor_id", "width": 3}), ["partitionBy[0]", "an object of"]),
    (_by({"name": "P", "from": "vendor_id"}), ["partitionBy[0].name", "[a-z]"]),
    (_by({"name": "padding", "from": "vendor_id"}), ["partitionBy[0].name", "no field"]),
    (_by({"name": "source_topic", "from": "vendor_id"}), ["partitionBy[0].name", "column"]),
    (_by(*[{"name": "p", "from": "vendor_id"}] * 2), ["partitionBy[1].name", "no other partition"]),
    (_by({"name": "p", "from": "vendor"}), ["partitionBy[0].from", '"vendor"', "vendor_id"]),
    (_by({"name": "p", "from": "type"}), ["partitionBy[0].from", '"type"']),
    (_by({"name": "p", "from": ["extra"]}), ["partitionBy[0].from", '["extra"]']),
    (_by({"name": "p", "from": "trip_id", "transform": "truncate[0]"}), ["truncate[N]"]),
    (
        {
            **_changed("padding", default="x"),
            "partitionBy": [{"name": f"p{n}", "from": "padding"} for n in range(3)],
        },
        ["768 bytes", "700 bytes"],
    ),
    (
        _changed_by({"name": "p", "from": "padding"}, "padding", default=""),
        ["partitionBy[0].from", "text that is not empty"],
    ),
    (
        _changed_by(
            {"name": "p", "from": "padding"}, "padding", default="a", enum=["a", "y" * 300]
        ),
        ["partitionBy[0].from", "255 bytes"],
    ),
    (
        _changed_by(
            {"name": "p", "from": "trip_id", "transform": "truncate[10]"},
            "trip_id",
            minimum=-(2**63),
        ),
        ["partitionBy[0].transform", "a minimum of -9223372036854775800"],
    ),
    (_by({"name": "p", "from": "extra"}), ["partitionBy[0].transform", "another field"]),
    (_by({"name": "p", "from": "pickup_datetime"}), ["transform", "year, month, day, hour"]),
    (_by({"name": "p", "from": "vendor_id", "transform": "day"}), ["bucket", "for the int32"]),
    (_by({"name": "p", "from": "vendor_id", "transform": "bucket"}), ["bucket[N]"]),
    (_by({"name": "p", "from": "vendor_id", "transform": "bucket[0]"}), ["bucket[N]"]),
    (_by({"name": "p", "from": "vendor_id", "transform": "bucket[99999]"}), ["at most 10,000"]),
    (_by({"name": "p", "from": "vendor_id", "format": "%3d"}), ["format", "%03d"]),
    (_by({"name": "p", "from": "padding", "format": "%03d"}), ["format", "numbers and times"]),
    (
        _by({"name": "p", "from": "pickup_datetime", "transform": "year", "format": "%m"}),
        ["format", "%Y"],
    ),
    (
        _by({"name": "p", "from": "pickup_datetime", "transform": "year", "format": "%Y-%Y"}),
        ["format", "each once"],
    ),
    (
        _by({"name": "p", "from": "pickup_datetime", "transform": "day", "format": "%Y/%m"}),
        ["format", "joined by - or _"],
    ),
    ({**_TRIP, "evenTime": "pickup_datetime"}, ["evenTime", "did you mean eventTime?"]),
    ({**_TRIP, "fields": 7}, ["fields", "7"]),
    ({**_TRIP, "fields": _TRIP["fields"] * 2}, ["trip_id", "each name once"]),
    ({**_TRIP, "fields": _TRIP["fields"][2:]}, ["fields", "type"]),
    (_changed("trip_id", name="source_topic"), ["source_topic", "any other name"]),
    (_changed("trip_id", name="watermark"), ["watermark", "any other name"]),
    (_changed("trip_id", name="Trip"), ["field name", '"Trip"']),
    (_changed("trip_id", name="a__b"), ["field name", '"a__b"']),
    (_changed("trip_id", name="class"), ["field name", '"class"']),
    (_changed("type", enum=["trips"]), ["type", "trips", "trip"]),
    (_changed("type", default="trip"), ["type", "required string"]),
    (_changed("extra", type="float"), ["extra", '"float"', "double"]),
    (_changed("extra", type=["null", "int", "long"]), ["extra", "union"]),
    (_changed("extra", type={"type": "array", "items": "int"}), ["extra", "array"]),
    (_changed("extra", doc=""), ["extra", "doc"]),
    (_changed("extra", minimun=0), ["minimun", "did you mean minimum?"]),
    (_changed("extra", minimum="0"), ["extra", "minimum", '"0"']),
    (_changed("extra", maximum=1e300), ["extra", "maximum", "1e+300"]),
    (_changed("extra", minimum=1, maximum=0), ["extra", "minimum", "at most"]),
    (_changed("extra", maxLength=3), ["extra", "maxLength", "strings"]),
    (_changed("extra", pattern="x"), ["extra", "pattern", "string"]),
    (_changed("extra", enum=["x"]), ["extra", "enum", "string"]),
    (_changed("extra", default="0"), ["extra", "default", '"0"']),
    (_changed("extra", default=None), ["extra", "default", "null"]),
    (_changed("vendor_id", default=1.0), ["vendor_id", "default", "1.0"]),
    (_changed("vendor_id", minimum=-(2**31) - 1), ["vendor_id", "minimum", "int32"]),
    (_changed("pickup_datetime", minimum=0), ["pickup_datetime", "minimum", "numbers"]),
    (_changed("padding", maxLength=-1), ["padding", "maxLength", "-1"]),
    (_changed("padding", pattern="("), ["padding", "pattern", "regular expression"]),
    (_changed("padding", enum=[]), ["padding", "enum"]),
    (_changed("padding", enum=["a", "a"]), ["padding", "enum", "each value once"]),
    (_changed("padding", enum=["ab"], maxLength=1), ["padding", "enum", "maxLength 1"]),
    (_changed("padding", enum=["ab"], pattern="^b"), ["padding", "enum", "pattern ^b"]),
    (_changed("padding", type="string", default="ab", maxLength=1), ["default", "maxLength 1"]),
    (_changed("padding", type="string", default="c", enum=["ab"]), ["default", "enum ab"]),
    (_changed("padding", type="string", default="c\n", pattern="c$"), ["default", "pattern c"]),
    (_changed("extra", default=-1, minimum=0), ["extra", "default", "-1", "minimum 0"]),
    (_changed("vendor_id", default=2**31), ["vendor_id", "default", "maximum"]),
    (_changed("padding", maxLength=2**31), ["padding", "maxLength", "2147483647"]),
    (_changed("extra", name="a" * 129), ["field name", "at most 128"]),
    (_changed("extra", aliases=["Extra", "Extra"]), ["extra", "aliases", "extra has it"]),
    (_changed("extra", aliases=["vendor_id"]), ["extra", "aliases", "vendor_id has it"]),
    (
        {**_TRIP, "fields": [{**each, "aliases": ["One"]} for each in _TRIP["fields"]]},
        ["aliases", '"One"', "names that no other field has"],
    ),
    (_changed("pickup_datetime", type=["null", "long"]), ["pickup_datetime", "minimum"]),
]
_FAULTS[-1] = (
    _changed("pickup_datetime", type=["null", {"type": "long", "logicalType": "timestamp-millis"}]),
    ["eventTime", "timestamp-millis"],
)


@pytest.mark.parametrize(("schema", "words"), _FAULTS, ids=lambda each: str(each)[-50:])
def test_a_fault_names_file_field_value_and_what_is_allowed(
    tmp_path: Path, schema: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UserError) as refused:
        _load(tmp_path, faulty=schema)
    message = str(refused.value)
    assert "faulty.avsc" in message and "allowed" in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("name", ["trip.avsc", "trip.mapping.json"])
def test_a_key_given_twice_is_refused_with_both_lines(name: str, tmp_path: Path) -> None:
    (tmp_path / "trip.avsc").write_text(json.dumps(_TRIP))
    (tmp_path / name).write_text('{"type": "record",\n"doc": "a",\n"type": "record"}')
    with pytest.raises(UserError, match=f"{name}: the key 'type' is given twice, in line 1 and in"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("^B[0-9]$", "B1", True),
        ("^B[0-9]$", "B1\n", False),
        ("^(a|b$)", "b\n", False),
        ("^[$]$", "$", True),
        (r"^\$$", "$", True),
        (r"^[]$]\$$", "]$", True),
        (r"^[^]$]$", "a\n", False),
    ],
)
def test_the_dollar_of_a_pattern_is_the_end(
    pattern: str, value: str, fits: bool, tmp_path: Path
) -> None:
    schema = _changed("padding", pattern=pattern)
    del next(each for each in schema["fields"] if each["name"] == "padding")["default"]
    field = _load(tmp_path, trip=schema)["trip"].field("padding")
    assert field.pattern == pattern and bool(re.search(field.regex, value)) is fits


def test_a_message_is_short(tmp_path: Path) -> None:
    long = "x" * 100_000
    for changed in (
        {"name": long},
        {"doc": [long]},
        {"type": long},
        {"pattern": f"(?P<{long}>a"},
        {"enum": [long, long]},
    ):
        with pytest.raises(UserError) as refused:
            _load(tmp_path, trip=_changed("padding", **changed))
        assert len(str(refused.value)) < 1000


def test_two_files_with_one_event_type(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'b\.avsc.*"trip" is already taken by .*a\.avsc'):
        _load(tmp_path, a=_TRIP, b=_TRIP)


def test_no_schema_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no schema"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"\xff{}", b'{"a":' * 3000, b'{"type": NaN}', "{}".encode("utf-16")],
)
def test_not_a_json_object(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "trip.avsc").write_bytes(content)
    with pytest.raises(UserError, match=r"trip\.avsc"):
        load(tmp_path)


def test_a_mapping_of_no_event_type(tmp_path: Path) -> None:
    (tmp_path / "trips.mapping.json").write_text("{}")
    with pytest.raises(UserError, match=r"trips\.mapping\.json.*allowed: trip\.mapping\.json"):
        _load(tmp_path, trip=_TRIP)


def test_properties_of_ones_own_are_fine(tmp_path: Path) -> None:
    types = _load(tmp_path, trip={**_changed("extra", unit="USD"), "team": "taxis"})
    assert types.names == ("trip",)


def test_all_mistakes_of_all_schemas_are_told_at_once(tmp_path: Path) -> None:
    wrong = _changed("extra", type=["null", "float"], doc="", maximun=3)
    wrong["version"] = 0
    wrong["id"] = "extra"
    with pytest.raises(UserError) as caught:
        _load(tmp_path, trip=wrong, green=_changed("extra", minimum=9, maximum=1))
    first, *told = str(caught.value).splitlines()
    assert first == "5 problems:"
    assert [line.partition(".avsc: ")[2].partition(" isn't allowed")[0] for line in told] == [
        "field extra: minimum: 9",
        'field extra: property: "maximun"',
        'field extra: doc: ""',
        'field extra: type: "float"',
        "version: 0",
    ]
    assert all(line.startswith("- ") for line in told)


def test_of_very_many_mistakes_some_are_counted(tmp_path: Path) -> None:
    fields = [*_TRIP["fields"], *({"name": f"Field{n}"} for n in range(50))]
    with pytest.raises(UserError) as caught:
        _load(tmp_path, trip={**_TRIP, "fields": fields})
    lines = str(caught.value).splitlines()
    told = len(lines) - 2
    assert (lines[0], lines[-1]) == ("50 problems:", f"- and {50 - told} more")
    assert 10 < told and len(str(caught.value)) < 4100
