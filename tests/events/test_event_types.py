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
from pipeline.events.derive import mapping
from pipeline.events.event_types import Column, load
from tests.events.trip_schema import TRIP, TYPES, as_type, assert_refused, changed, load_all


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
    other = as_type("tram_trip", changed("vendor_id", type="string"))
    vendor = next(field for field in other["fields"] if field["name"] == "vendor_id")
    del vendor["minimum"], vendor["maximum"]
    types = load_all(tmp_path, trip=TRIP, tram_trip=other)
    assert types["tram_trip"].field("vendor_id").column == "vendor_id"
    assert types["trip"].field("vendor_id").column == "vendor_id__trip"
    assert Column("vendor_id__trip", "int32", nullable=False) in types.columns


def test_a_column_is_nullable_if_any_type_says_so(tmp_path: Path) -> None:
    other = as_type("atrip", changed("extra", type=["null", "double"]))
    types = load_all(tmp_path, trip=TRIP, atrip=other)
    assert Column("extra", "double", nullable=True) in types.columns
    assert not types["trip"].field("extra").nullable


def test_mapping_is_strict_and_has_the_override_merged_in() -> None:
    made = mapping(TYPES["trip"])
    assert made["dynamic"] == "strict"
    assert set(made["properties"]) == {field.name for field in TYPES["trip"].fields}
    assert made["properties"]["trip_id"] == {"type": "long"}
    assert made["properties"]["pickup_datetime"] == {"type": "date", "format": "strict_date_time"}
    padding = {"type": "keyword", "index": False, "doc_values": False}
    assert made["properties"]["padding"] == padding


def test_no_field_has_a_meaning_by_its_name(tmp_path: Path) -> None:
    without = [field for field in TRIP["fields"] if field["name"] != "type"]
    types = load_all(tmp_path, trip={**TRIP, "fields": without})
    assert "type" not in {field.name for field in types["trip"].fields}
    schema = changed("type", type=["null", "long"], default=None)
    del next(field for field in schema["fields"] if field["name"] == "type")["enum"]
    kind = load_all(tmp_path, trip=schema)["trip"].field("type")
    assert (kind.kind, kind.nullable, kind.optional) == ("int64", True, True)


def test_a_type_may_be_called_watermark_and_be_an_event(tmp_path: Path) -> None:
    assert load_all(tmp_path, watermark=as_type("watermark", copy.deepcopy(TRIP))).names == (
        "watermark",
    )


@pytest.mark.parametrize("name", ["tripId", "TripID", "from", "class", "a1_B2", "x" * 128])
def test_names_of_fields(name: str, tmp_path: Path) -> None:
    types = load_all(tmp_path, trip={**changed("trip_id", name=name), "id": name})
    assert types["trip"].id == (name,)


_FAULTS: list[tuple[dict[str, Any], list[str]]] = [
    ({**TRIP, "type": "enum"}, ["type", '"enum"', '"record"']),
    ({**TRIP, "eventType": "Trip"}, ["eventType", '"Trip"', "[a-z]"]),
    ({**TRIP, "eventType": "../trip"}, ["eventType", '"../trip"']),
    ({**TRIP, "name": "no name"}, ["name", '"no name"', "[A-Za-z_]"]),
    ({**TRIP, "namespace": 7}, ["namespace", "7"]),
    ({**TRIP, "version": 0}, ["version", "0", "from 1"]),
    ({**TRIP, "doc": " "}, ["doc", "isn't empty"]),
    ({**TRIP, "evenTime": "pickup_datetime"}, ["evenTime", "did you mean eventTime?"]),
    ({**TRIP, "fields": 7}, ["fields", "7"]),
    ({**TRIP, "fields": TRIP["fields"] * 2}, ["trip_id", "each name once"]),
    (changed("trip_id", name="source_topic"), ["source_topic", "any other name"]),
    (changed("trip_id", name="Source_Topic"), ["Source_Topic", "any other name"]),
    (changed("trip_id", name="_trip"), ["field name", '"_trip"']),
    (changed("trip_id", name="a__b"), ["field name", '"a__b"']),
    (changed("trip_id", name="trip-id"), ["field name", '"trip-id"']),
    (changed("extra", name="Trip_Id"), ["Trip_Id", "differ not in case alone", "trip_id"]),
    (changed("extra", logicalType="date"), ["extra: logicalType", "in the type alone"]),
    (changed("extra", wire="iso-8601"), ["extra: wire", "only on times and decimals"]),
    (changed("extra", doc=""), ["extra", "doc"]),
    (changed("extra", minimun=0), ["minimun", "did you mean minimum?"]),
    (changed("extra", minimum="0"), ["extra", "minimum", '"0"']),
    (changed("extra", type="float", maximum=1e39), ["extra", "maximum", "1e+39", "float from"]),
    (changed("extra", maximum=2**1024), ["extra", "maximum", "1797693", "double from"]),
    (changed("extra", minimum=1, maximum=0), ["extra", "minimum", "at most"]),
    (changed("extra", maxLength=3), ["extra", "maxLength", "strings"]),
    (changed("extra", pattern="x"), ["extra", "pattern", "string"]),
    (changed("extra", enum=["x"]), ["extra", "enum", "string"]),
    (changed("extra", default="0"), ["extra", "default", '"0"']),
    (changed("extra", default=None), ["extra", "default", "null"]),
    (changed("vendor_id", default=1.0), ["vendor_id", "default", "1.0"]),
    (changed("vendor_id", minimum=-(2**31) - 1), ["vendor_id", "minimum", "int32"]),
    (changed("pickup_datetime", minimum=0), ["pickup_datetime", "minimum", "2018-01"]),
    (changed("pickup_datetime", maximum="2018"), ["pickup_datetime", "maximum", '"2018"']),
    (
        changed("pickup_datetime", minimum="2019-01-01T00:00:00Z", maximum="2018-01-01T00:00:00Z"),
        ["pickup_datetime", "at most its maximum, 2018-01-01T00:00:00Z"],
    ),
    (changed("padding", maxLength=-1), ["padding", "maxLength", "-1"]),
    (changed("padding", pattern="("), ["padding", "pattern", "regular expression"]),
    (changed("padding", pattern="a{9999999999}"), ["padding", "pattern", "too large"]),
    (changed("padding", pattern="(" * 9000), ["padding", "pattern", "regular expression"]),
    (changed("padding", pattern=["x"]), ["padding", "pattern", '["x"]']),
    (changed("padding", enum=[]), ["padding", "enum"]),
    (changed("padding", enum=["a", "a"]), ["padding", "enum", "each value once"]),
    (changed("padding", enum=["ab"], maxLength=1), ["padding", "enum", "maxLength 1"]),
    (changed("padding", enum=["ab"], pattern="^b"), ["padding", "enum", "pattern ^b"]),
    (changed("padding", type="string", default="ab", maxLength=1), ["default", "maxLength 1"]),
    (changed("padding", type="string", default="c", enum=["ab"]), ["default", "enum ab"]),
    (changed("padding", type="string", default="c\n", pattern="c$"), ["default", "pattern c"]),
    (changed("extra", default=-1, minimum=0), ["extra", "default", "-1", "minimum 0"]),
    (changed("vendor_id", default=2**31), ["vendor_id", "default", "maximum"]),
    (changed("extra", default=10**400), ["extra", "default", "maximum"]),
    (changed("padding", maxLength=2**31), ["padding", "maxLength", "2147483647"]),
    (changed("extra", name="a" * 129), ["field name", "at most 128"]),
    (changed("extra", aliases=["Extra", "Extra"]), ["extra", "aliases", "extra has it"]),
    (changed("extra", aliases=["vendor_id"]), ["extra", "aliases", "vendor_id has it"]),
    (
        {**TRIP, "fields": [{**each, "aliases": ["One"]} for each in TRIP["fields"]]},
        ["aliases", '"One"', "names that no other field has"],
    ),
    (changed("pickup_datetime", type=["null", "long"]), ["pickup_datetime", "minimum"]),
]
_FAULTS[-1] = (
    changed("pickup_datetime", type=["null", {"type": "long", "logicalType": "timestamp-millis"}]),
    ["eventTime", "a timestamp, not nullable"],
)


@pytest.mark.parametrize(("schema", "words"), _FAULTS, ids=lambda each: str(each)[-50:])
def test_a_fault_names_file_field_value_and_what_is_allowed(
    tmp_path: Path, schema: dict[str, Any], words: list[str]
) -> None:
    assert_refused(tmp_path, schema, words)


@pytest.mark.parametrize("name", ["trip.avsc", "trip.mapping.json"])
def test_a_key_given_twice_is_refused_with_both_lines(name: str, tmp_path: Path) -> None:
    (tmp_path / "trip.avsc").write_text(json.dumps(TRIP))
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
    schema = changed("padding", pattern=pattern)
    del next(each for each in schema["fields"] if each["name"] == "padding")["default"]
    field = load_all(tmp_path, trip=schema)["trip"].field("padding")
    assert field.pattern == pattern and bool(re.search(str(field.regex), value)) is fits


def test_a_message_is_short(tmp_path: Path) -> None:
    long = "x" * 100_000
    for change in (
        {"name": long},
        {"doc": [long]},
        {"type": long},
        {"pattern": f"(?P<{long}>a"},
        {"enum": [long, long]},
    ):
        with pytest.raises(UserError) as refused:
            load_all(tmp_path, trip=changed("padding", **change))
        assert len(str(refused.value)) < 1000


def test_two_files_with_one_event_type(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'b\.avsc.*"trip" is already taken by .*a\.avsc'):
        load_all(tmp_path, a=TRIP, b=TRIP)


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
        load_all(tmp_path, trip=TRIP)


@pytest.mark.parametrize("properties", [7, {"extra": 7}, {"extra": {"properties": []}}])
def test_a_mapping_that_is_none(properties: object, tmp_path: Path) -> None:
    (tmp_path / "trip.mapping.json").write_text(json.dumps({"properties": properties}))
    with pytest.raises(UserError, match=r"trip\.mapping\.json: properties.*allowed: an object"):
        load_all(tmp_path, trip=TRIP)


def test_half_a_character(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"trip\.avsc: has half of a character"):
        load_all(tmp_path, trip=changed("padding", doc="\ud83d"))


def test_properties_of_ones_own_are_fine(tmp_path: Path) -> None:
    types = load_all(tmp_path, trip={**changed("extra", unit="USD"), "team": "taxis"})
    assert types.names == ("trip",)


def test_all_mistakes_of_all_schemas_are_told_at_once(tmp_path: Path) -> None:
    wrong = changed("extra", type=["null", "number"], doc="", maximun=3)
    wrong["version"] = 0
    wrong["id"] = "extra"
    with pytest.raises(UserError) as caught:
        load_all(tmp_path, trip=wrong, green=changed("extra", minimum=9, maximum=1))
    first, *told = str(caught.value).splitlines()
    assert first == "5 problems:"
    assert [line.partition(".avsc: ")[2].partition(" isn't allowed")[0] for line in told] == [
        "field extra: minimum: 9",
        "version: 0",
        'field extra: property: "maximun"',
        'field extra: doc: ""',
        'field extra: type: "number"',
    ]
    assert all(line.startswith("- ") for line in told)


def test_of_very_many_mistakes_some_are_counted(tmp_path: Path) -> None:
    fields = [*TRIP["fields"], *({"name": f"Field-{n}"} for n in range(50))]
    with pytest.raises(UserError) as caught:
        load_all(tmp_path, trip={**TRIP, "fields": fields})
    lines = str(caught.value).splitlines()
    told = len(lines) - 2
    assert (lines[0], lines[-1]) == ("50 problems:", f"- and {50 - told} more")
    assert 10 < told and len(str(caught.value)) < 4100
