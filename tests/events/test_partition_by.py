"""`partitionBy` of a schema: what it can be, and what each mistake says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.events.trip_schema import TRIP, assert_refused, by, changed, changed_by, load_all


def test_partitions_may_be_by_type(tmp_path: Path) -> None:
    (partition,) = load_all(tmp_path, trip=by({"name": "p", "from": "type"}))["trip"].partition_by
    assert str(partition) == "p=identity(type)"


_FAULTS: list[tuple[dict[str, Any], list[str]]] = [
    (
        {**TRIP, "place": "pickup_location_id"},
        ["place", "partitionBy", "docs/event-types.md#partitions"],
    ),
    ({**TRIP, "partitionBy": None}, ["partitionBy", "list of 1 to 8"]),
    ({**TRIP, "partitionBy": []}, ["partitionBy", "list of 1 to 8"]),
    (by({"name": "p"}), ["partitionBy[0]", "name and from are required"]),
    (by({"name": "p", "from": "vendor_id", "width": 3}), ["partitionBy[0]", "an object of"]),
    (by({"name": "P", "from": "vendor_id"}), ["partitionBy[0].name", "[a-z]"]),
    (by({"name": "padding", "from": "vendor_id"}), ["partitionBy[0].name", "no field"]),
    (by({"name": "source_topic", "from": "vendor_id"}), ["partitionBy[0].name", "column"]),
    (by(*[{"name": "p", "from": "vendor_id"}] * 2), ["partitionBy[1].name", "no other partition"]),
    (by({"name": "p", "from": "vendor"}), ["partitionBy[0].from", '"vendor"', "vendor_id"]),
    (by({"name": "p", "from": ["extra"]}), ["partitionBy[0].from", '["extra"]']),
    (by({"name": "p", "from": "trip_id", "transform": "truncate[0]"}), ["truncate[N]"]),
    (
        {
            **changed("padding", default="x"),
            "partitionBy": [{"name": f"p{n}", "from": "padding"} for n in range(3)],
        },
        ["768 bytes", "700 bytes"],
    ),
    (
        changed_by({"name": "p", "from": "padding"}, "padding", default=""),
        ["partitionBy[0].from", "text that is not empty"],
    ),
    (
        changed_by({"name": "p", "from": "padding"}, "padding", default="a", enum=["a", "y" * 300]),
        ["partitionBy[0].from", "255 bytes"],
    ),
    (
        changed_by(
            {"name": "p", "from": "trip_id", "transform": "truncate[10]"},
            "trip_id",
            minimum=-(2**63),
        ),
        ["partitionBy[0].transform", "a minimum of -9223372036854775800"],
    ),
    (by({"name": "p", "from": "extra"}), ["partitionBy[0].transform", "another field"]),
    (by({"name": "p", "from": "pickup_datetime"}), ["transform", "year, month, day, hour"]),
    (by({"name": "p", "from": "vendor_id", "transform": "day"}), ["bucket", "for the int32"]),
    (by({"name": "p", "from": "vendor_id", "transform": "bucket"}), ["bucket[N]"]),
    (by({"name": "p", "from": "vendor_id", "transform": "bucket[0]"}), ["bucket[N]"]),
    (by({"name": "p", "from": "vendor_id", "transform": "bucket[99999]"}), ["at most 10,000"]),
    (by({"name": "p", "from": "vendor_id", "format": "%3d"}), ["format", "%03d"]),
    (by({"name": "p", "from": "padding", "format": "%03d"}), ["format", "numbers and times"]),
    (
        by({"name": "p", "from": "pickup_datetime", "transform": "year", "format": "%m"}),
        ["format", "%Y"],
    ),
    (
        by({"name": "p", "from": "pickup_datetime", "transform": "year", "format": "%Y-%Y"}),
        ["format", "each once"],
    ),
    (
        by({"name": "p", "from": "pickup_datetime", "transform": "day", "format": "%Y/%m"}),
        ["format", "joined by - or _"],
    ),
]


@pytest.mark.parametrize(("schema", "words"), _FAULTS, ids=lambda each: str(each)[-50:])
def test_a_fault_names_file_field_value_and_what_is_allowed(
    tmp_path: Path, schema: dict[str, Any], words: list[str]
) -> None:
    assert_refused(tmp_path, schema, words)
