"""Each event type is a table of the rows that count now, on either kind of store."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.ops.lake.content import Gone, Lake, Partition
from tests.ops.compact.lakes import GRACE, TRIPS, Lakes
from tests.ops.query.command import Query, answer, rows

ZONE_132 = "trip/pickup_location=132/year=2018/month=02"


def test_partition_columns_are_text_whatever_folders_there_are(lakes: Lakes) -> None:
    lakes.write("part-0", [1, 2], partition=ZONE_132)
    keys = "SELECT DISTINCT pickup_location, year, month FROM trip ORDER BY ALL"
    zone_132 = {"pickup_location": "132", "year": "2018", "month": "02"}
    assert rows(lakes, keys) == [zone_132]
    lakes.write("part-0", [3])
    zone_41 = {"pickup_location": "041", "year": "2018", "month": "01"}
    assert rows(lakes, keys) == [zone_41, zone_132]
    (counted,) = rows(lakes, "SELECT count(*) AS n FROM trip WHERE pickup_location = '041'")
    assert counted == {"n": 1}


def test_what_compaction_replaced_or_deleted_changes_no_answer(lakes: Lakes) -> None:
    for number in range(4):
        lakes.write(f"part-{number}", range(3 * number, 3 * number + 3))
    lakes.later = 60  # S3 gives the times of files in whole seconds
    ask = "SELECT source_offset AS n FROM trip ORDER BY n"
    every_row = [{"n": number} for number in range(12)]
    assert rows(lakes, ask) == every_row
    assert lakes.run().replaced_files == 4
    assert rows(lakes, ask) == every_row
    lakes.later += GRACE
    assert lakes.run(clean=True).deleted_files == 4
    lakes.write("part-9", [12])
    assert rows(lakes, ask) == [*every_row, {"n": 12}]


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_are_utc_whether_the_file_says_so_or_not(
    lakes: Lakes, query: Query, zone: str | None
) -> None:
    lakes.write("part-0", [1], {"arrival_time": at("2018-01-31T23:30:00", zone)})
    query.environment["TZ"] = "Asia/Tokyo"
    done = query.process(
        "SELECT arrival_time, typeof(arrival_time) AS kind, hour(arrival_time) AS hour,"
        " arrival_time AT TIME ZONE 'America/New_York' AS there FROM trip",
        "--json",
    )
    (row,) = json.loads(done.stdout)
    assert row == {
        "arrival_time": "2018-01-31T23:30:00.000Z",
        "kind": "TIMESTAMP WITH TIME ZONE",
        "hour": 23,
        "there": "2018-01-31T18:30:00.000",
    }


def test_files_of_both_kinds_of_times_are_one_table(lakes: Lakes) -> None:
    lakes.write("part-0", [1], {"arrival_time": at("2018-01-31T23:30:00", None)})
    lakes.write("part-1", [2], {"arrival_time": at("2018-01-31T23:30:00", "UTC")})
    found = rows(lakes, "SELECT DISTINCT arrival_time FROM trip")
    assert found == [{"arrival_time": "2018-01-31T23:30:00.000Z"}]


def test_a_type_without_files_has_the_schema_s_columns_and_no_row(
    lakes: Lakes, query: Query
) -> None:
    listed = {table["table"]: table for table in json.loads(query.printed("--json"))}
    assert (listed["trip"]["files"], listed["trip"]["bytes"]) == (0, 0)
    for table, entry in listed.items():
        described = rows(lakes, f"DESCRIBE {table}")
        assert {row["column_name"]: row["column_type"] for row in described} == entry["columns"]
    assert query.printed("FROM green_trip", "--csv").startswith("trip_id,type,vendor_id,")
    assert query.printed("FROM green_trip").endswith("\n(0 rows)\n")


def test_columns_that_files_lack_are_null_and_those_beyond_the_schema_come_last(
    lakes: Lakes,
) -> None:
    lakes.write("part-0", [1])
    lakes.write("part-1", [2], {"beyond": pa.array(["x"])})
    (first, second) = rows(lakes, "SELECT source_offset, fare_amount, beyond FROM trip ORDER BY 1")
    assert first == {"source_offset": 1, "fare_amount": None, "beyond": None}
    assert second == {"source_offset": 2, "fare_amount": None, "beyond": "x"}
    columns = [row["column_name"] for row in rows(lakes, "DESCRIBE trip")]
    assert columns[:2] == ["trip_id", "type"]
    assert columns[-4:] == ["pickup_location", "year", "month", "beyond"]


def test_files_of_many_row_groups_are_read_whole(lakes: Lakes) -> None:
    """Large enough that the footer is not all that is fetched at once."""
    count = 60_000
    table = pa.table({
        "trip_id": pa.array(range(count), pa.int64()),
        "fare_amount": pa.array([n * 0.25 for n in range(count)]),
        "source_topic": [f"topic {n * 7919}" for n in range(count)],
    })  # fmt: skip
    for number in range(3):
        sink = BytesIO()
        pq.write_table(table, sink, row_group_size=5_000, use_dictionary=False)
        lakes.store.write(f"{TRIPS}/part-{number}", sink.getvalue())
    (found,) = rows(
        lakes,
        "SELECT count(*) AS n, count(DISTINCT source_topic) AS topics, sum(trip_id) AS ids,"
        " sum(fare_amount) AS fares FROM trip",
    )
    ids = count * (count - 1) // 2
    assert found == {"n": 3 * count, "topics": count, "ids": 3 * ids, "fares": 3 * ids * 0.25}


def test_a_file_that_is_deleted_meanwhile_is_named(lakes: Lakes) -> None:
    lakes.write("part-0", [1])

    class Cleaned(Lake):
        """A file is deleted after the listing."""

        def partitions(self, below: str = "") -> list[Partition]:
            listed = super().partitions(below)
            lakes.store.delete(f"{TRIPS}/part-0")
            return listed

    with pytest.raises(Gone, match="part-0 was there when the lake was listed and is gone now"):
        answer(Cleaned(lakes.store), lakes.uri, "FROM trip")


def test_all_tables_are_listed_with_their_files(lakes: Lakes, query: Query) -> None:
    lakes.write("part-0", [1])
    size = lakes.lake.listing()[0].size
    shown = query.printed().splitlines()
    assert f"trip  (1 files, {size:,} bytes)" in shown
    assert any(line.split() == ["pickup_location", "VARCHAR"] for line in shown)
    tables = [row["name"] for row in rows(lakes, "SHOW TABLES")]
    assert tables == ["fhv_trip", "green_trip", "trip"]


def at(time: str, zone: str | None) -> pa.Array:
    instant = datetime.fromisoformat(time).replace(tzinfo=UTC)
    naive = pa.array([instant.replace(tzinfo=None)], pa.timestamp("ms"))
    return naive.cast(pa.timestamp("ms", tz=zone)) if zone else naive
