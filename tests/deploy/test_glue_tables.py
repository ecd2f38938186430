"""Glue's tables list each kind of partition as the lake writes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import botocore.session
import pyarrow as pa
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from connectors.errors import UserError
from dev.templates.tables import glue_tables
from pipeline.collect.columns import lake_schema
from pipeline.config.model import Source
from pipeline.decode.partition import partition
from pipeline.events.event_types import of
from pipeline.events.folders import HIVE_NULL
from pipeline.events.model import EventType, Field, PartitionField
from tests import every_kind
from tests.decode.corpus import TYPES

UNITS = ("ms", "us", "ns")
FIELDS = (
    Field("zone", "int32", minimum=-5, maximum=999),
    Field("code", "int32", minimum=1, maximum=999),
    Field("since", "timestamp", minimum=-1, maximum=1_893_456_000_000),
    Field("flag", "string", enum=("Y", "N/A")),
    Field("name", "string", max_length=9),
    Field("maybe", "int32", nullable=True, minimum=0, maximum=9),
    Field("is_full", "boolean"),
    Field("at", "timestamp"),
    Field("maybe_flag", "string", nullable=True, enum=("Y", "N")),
    Field("maybe_at", "timestamp", nullable=True),
    Field("commas", "string", enum=("a,b", "c")),
    Field("any", "int32", minimum=-(2**31), maximum=2**31 - 1),
)


def event_type(field: PartitionField) -> EventType:
    trip = TYPES["trip"]
    return replace(trip, fields=(*trip.fields[:2], *FIELDS), event_time="at", partition_by=(field,))


def projection(field: PartitionField) -> dict[str, Any]:
    table = glue_tables(of([event_type(field)]))["TableTrip"]["Properties"]["TableInput"]
    assert table["PartitionKeys"] == [{"Name": "p", "Type": "string"}]
    start = "projection.p."
    return {
        key.removeprefix(start): value
        for key, value in table["Parameters"].items()
        if key.startswith(start)
    }


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (
            PartitionField("p", "code", format="%03d"),
            {"type": "integer", "range": "1,999", "digits": "3"},
        ),
        (PartitionField("p", "code", format="%02d"), {"type": "injected"}),
        (PartitionField("p", "zone", format="%03d"), {"type": "injected"}),
        (PartitionField("p", "zone", format="%d"), {"type": "integer", "range": "-5,999"}),
        (
            PartitionField("p", "zone", "truncate", 100, "%d"),
            {"type": "integer", "range": "-100,900", "interval": "100"},
        ),
        (
            PartitionField("p", "name", "bucket", 16, "%02d"),
            {"type": "integer", "range": "0,15", "digits": "2"},
        ),
        (
            PartitionField("p", "at", "bucket", 16, "%d"),
            {"type": "integer", "range": "0,15"},
        ),
        (PartitionField("p", "flag"), {"type": "enum", "values": "Y,N%2FA"}),
        (PartitionField("p", "flag", "truncate", 1), {"type": "injected"}),
        (PartitionField("p", "name"), {"type": "injected"}),
        (
            PartitionField("p", "maybe", format="%d"),
            {"type": "enum", "values": f"0,1,2,3,4,5,6,7,8,9,{HIVE_NULL}"},
        ),
        (
            PartitionField("p", "maybe", "truncate", 5, "%02d"),
            {"type": "enum", "values": f"00,05,{HIVE_NULL}"},
        ),
        (PartitionField("p", "commas"), {"type": "injected"}),
        (PartitionField("p", "any", format="%d"), {"type": "injected"}),
        (PartitionField("p", "at", "day", 0, "%m-%d"), {"type": "injected"}),
        (PartitionField("p", "at", "day", 0, "%Y-%d"), {"type": "injected"}),
        (
            PartitionField("p", "maybe", "bucket", 4, "%d"),
            {"type": "enum", "values": f"0,1,2,3,{HIVE_NULL}"},
        ),
        (PartitionField("p", "maybe", "bucket", 101, "%d"), {"type": "injected"}),
        (
            PartitionField("p", "maybe_at", "month", 0, "%m"),
            {"type": "enum", "values": f"01,02,03,04,05,06,07,08,09,10,11,12,{HIVE_NULL}"},
        ),
        (PartitionField("p", "maybe_at", "month", 0, "%Y-%m"), {"type": "injected"}),
        (PartitionField("p", "maybe_flag"), {"type": "enum", "values": f"Y,N,{HIVE_NULL}"}),
        (PartitionField("p", "is_full"), {"type": "enum", "values": "false,true"}),
        (
            PartitionField("p", "at", "year", 0, "%Y"),
            {"type": "integer", "range": "2009,2035", "digits": "4"},
        ),
        (
            PartitionField("p", "at", "hour", 0, "%H"),
            {"type": "integer", "range": "0,23", "digits": "2"},
        ),
        (
            PartitionField("p", "at", "day", 0, "%Y-%m-%d"),
            {
                "type": "date",
                "format": "yyyy-MM-dd",
                "range": "2009-01-01,NOW+1DAYS",
                "interval": "1",
                "interval.unit": "DAYS",
            },
        ),
        (
            PartitionField("p", "at", "hour", 0, "%Y-%m-%d-%H"),
            {
                "type": "date",
                "format": "yyyy-MM-dd-HH",
                "range": "2009-01-01-00,NOW+1DAYS",
                "interval": "1",
                "interval.unit": "HOURS",
            },
        ),
        (
            PartitionField("p", "since", "year", 0, "%Y"),
            {"type": "integer", "range": "1969,2030", "digits": "4"},
        ),
        (
            PartitionField("p", "since", "hour", 0, "%Y-%m"),
            {
                "type": "date",
                "format": "yyyy-MM",
                "range": "1969-12,2030-01",
                "interval": "1",
                "interval.unit": "MONTHS",
            },
        ),
    ],
)
def test_a_partition_s_projection(field: PartitionField, expected: dict[str, str]) -> None:
    assert projection(field) == expected


def test_the_range_of_truncated_numbers_begins_where_the_least_one_is() -> None:
    kind = event_type(PartitionField("p", "zone", "truncate", 100, "%d"))
    assert [partition(kind, {"zone": zone}) for zone in (-5, 999)] == ["trip/p=-100", "trip/p=900"]


def test_a_column_of_every_kind() -> None:
    trip = TYPES["trip"]
    with_all = replace(trip, fields=(*trip.fields, *every_kind.FIELDS))
    table = glue_tables(of([with_all]))["TableTrip"]["Properties"]["TableInput"]
    found = {each["Name"]: each["Type"] for each in table["StorageDescriptor"]["Columns"]}
    leaves = {
        "yes": "boolean",
        "small": "int",
        "large": "bigint",
        "single": "float",
        "twice": "double",
        "money": "decimal(38,10)",
        "cents": "decimal(9,2)",
        "word": "string",
        "blob": "binary",
        "digest": "binary",
        "day": "date",
        "clock_us": "bigint",
        **{f"{of_kind}_{unit}": "timestamp" for of_kind in ("at", "local") for unit in UNITS},
    }
    assert {name: found.get(name) for name in leaves} == leaves
    assert "clock_ms" not in found, "Trino does not read it"
    record = f"struct<{','.join(f'{name}:{kind}' for name, kind in leaves.items())}>"
    assert found["everything"] == record
    assert found["all_of_it"] == f"array<{record}>"
    assert found["by_key"] == f"map<string,{record}>"
    assert found["either"] == f"struct<long:bigint,everything:{record}>"


def test_names_are_in_lower_case_as_glue_wants_them() -> None:
    kind = event_type(PartitionField("p", "zone", format="%d"))
    kind = replace(kind, fields=(*kind.fields, Field("orderId", "int64")))
    table = glue_tables(of([kind]))["TableTrip"]["Properties"]["TableInput"]
    assert {"Name": "orderid", "Type": "bigint"} in table["StorageDescriptor"]["Columns"]


@pytest.mark.parametrize("names", [("archive",), ("trip1", "trip_1"), ("a_b", "a__b")])
def test_two_tables_are_not_one_resource(names: tuple[str, ...]) -> None:
    kinds = [replace(TYPES["trip"], name=name) for name in names]
    with pytest.raises(UserError, match="name the event type differently"):
        glue_tables(of(kinds))


def test_glue_takes_the_tables() -> None:
    """By its service's model: names, types and descriptions are of a length that it allows."""
    long = replace(TYPES["trip"], doc="long " * 1000)
    glue = botocore.session.get_session().get_service_model("glue")
    for resource in glue_tables(of([long])).values():
        table = resource["Properties"]["TableInput"]
        assert refusals(glue.shape_for("TableInput"), table) == []


def refusals(shape: Shape, value: Any) -> list[str]:
    """What a model's shape does not allow; an intrinsic function stands for its text."""
    if isinstance(value, dict) and list(value) == ["Fn::Sub"]:
        value = value["Fn::Sub"]
    found = []
    if isinstance(shape, StructureShape):
        members = [refusals(shape.members[name], each) for name, each in value.items()]
    elif isinstance(shape, MapShape):
        members = [refusals(shape.key, key) + refusals(shape.value, value[key]) for key in value]
    elif isinstance(shape, ListShape):
        members = [refusals(shape.member, each) for each in value]
    else:
        members = []
        least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 2**31)
        if not least <= len(value) <= most:
            found = [f"{shape.name}: {len(value)} characters"]
    return [*found, *(each for member in members for each in member)]


def test_partition_columns_come_last_and_once() -> None:
    kind = event_type(PartitionField("zone", "zone", format="%03d"))
    schema = lake_schema(kind, Source(kafka_topics=("any",)), keep_unknown=True)
    assert schema.names.count("zone") == 1
    assert (schema.names[-1], schema.types[-1]) == ("zone", pa.string())
    assert "unknown_fields" in schema.names
