"""`tap lake` on S3 and on local folders."""

from __future__ import annotations

import io
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.s3.store import Store, open_store
from dev.servers.s3 import create_bucket
from tests.ops.tap.harness import Place

BUCKET = "tap"
PICKUP = datetime(2018, 1, 1, 0, 21, 5, tzinfo=UTC)
PARTITION = "pickup_location=041/year=2018/month=01"
ABSURD_MS = 9_000_000_000_000_000
"""An arrival time that Kafka takes of a producer, and Python's datetime does not."""


def parquet(*ids: int, note: str = "N") -> bytes:
    """Return a file with some of the columns that the job writes."""
    columns: dict[str, Any] = {
        "type": pa.array(["trip"] * len(ids)),
        "trip_id": pa.array(ids, pa.int64()),
        "store_and_fwd_flag": pa.array([note] * len(ids)),
        "pickup_datetime": pa.array([PICKUP.replace(tzinfo=None)] * len(ids), pa.timestamp("ms")),
        "arrival_time": pa.array([ABSURD_MS] * len(ids), pa.timestamp("ms")),
    }
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target)
    return target.getvalue()


class Lake:
    """A lake of one test, and how to write to it."""

    def __init__(self, place: Place, tmp_path: Path, kind: Literal["s3", "folder"]) -> None:
        create_bucket(BUCKET, endpoint=place.environment["S3_ENDPOINT"])
        self.path = f"s3a://{BUCKET}/{place.name()}" if kind == "s3" else f"file://{tmp_path}/lake"
        self.store: Store = open_store(self.path, place.environment)
        self.config = place.config(lake={"path": self.path})

    def write(self, name: str, content: bytes, folder: str = f"trip/{PARTITION}") -> None:
        self.store.write(f"{folder}/{name}", content)


@pytest.fixture(params=["s3", "folder"])
def lake(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Lake:
    return Lake(place, tmp_path, request.param)


@pytest.fixture
def folder(place: Place, tmp_path: Path) -> Lake:
    return Lake(place, tmp_path, "folder")


def test_the_files_that_come_are_shown_with_some_rows(lake: Lake, place: Place) -> None:
    lake.write("part-0", parquet(1, 2))
    with place.tap("lake", lake.config, "--json", "--rows", "2", "--limit", "3") as running:
        assert running.until_it_follows().startswith(f"following the lake {lake.path}; ")
        lake.write(".part-1.inprogress", parquet(3))
        lake.write("part-2", parquet(4), folder=f"_compacted/trip/{PARTITION}")
        lake.write("part-3", parquet(5, 6, 7))
        shown = [running.line() for _ in range(2)]
        lake.write("part-4", parquet(8), folder="green_trip/pickup_location=001/year=2018/month=02")
        ended = running.ended()
    assert ended.code == 0, ended.notes
    rows = ended._replace(stdout="".join(shown) + ended.stdout).shown
    assert [(row["event_type"], row["partition"], row["id"]) for row in rows] == [
        ("trip", PARTITION, 5),
        ("trip", PARTITION, 6),
        ("green_trip", "pickup_location=001/year=2018/month=02", 8),
    ]
    assert rows[0]["file"] == f"trip/{PARTITION}/part-3"
    assert rows[0]["row"]["pickup_datetime"] == "2018-01-01T00:21:05.000Z"
    assert rows[0]["row"]["arrival_time"].startswith("287168-")


def test_earlier_files_are_shown_the_newest_first(folder: Lake, place: Place) -> None:
    for age, name in enumerate(("part-0", "part-1", "part-2")):
        folder.write(name, parquet(age))
    local = Path(folder.path.removeprefix("file://")) / "trip" / PARTITION
    now = datetime.now(UTC).timestamp()
    for name, age in (("part-0", 30), ("part-1", 60), ("part-2", 7200)):
        os.utime(local / name, (now - age, now - age))
    ended = place.run("lake", folder.config, "--since", "3600", "--timeout", "0", "--json")
    assert (ended.code, [row["id"] for row in ended.shown]) == (0, [0, 1])
    assert re.search(r"2 of 10 shown in \d+ s; looked at 2 files in ", ended.notes)


def test_rows_for_people_are_below_their_file(folder: Lake, place: Place) -> None:
    folder.write("part-0", parquet(4, 5, note="\x1b[31m"))
    ended = place.run("lake", folder.config, "--since", "3600", "--limit", "2")
    heading, first, content, second, _ = ended.stdout.splitlines()
    assert f"  trip/{PARTITION}/part-0  " in heading
    assert first == f"row  trip  {PARTITION}  4"
    assert second == f"row  trip  {PARTITION}  5"
    assert "\\u001b[31m" in content
    assert all(c.isprintable() for c in ended.stdout.replace("\n", ""))


def test_what_is_no_parquet_does_not_end_it(folder: Lake, place: Place) -> None:
    folder.write("a-note", b"by hand")
    folder.write("b-part", parquet(1))
    ended = place.run("lake", folder.config, "--since", "3600", "--timeout", "0", "--json")
    assert (ended.code, [row["id"] for row in ended.shown]) == (0, [1])
    assert f"trip/{PARTITION}/a-note isn't a readable Parquet file" in ended.notes


def test_only_the_folders_of_chosen_types_are_listed(folder: Lake, place: Place) -> None:
    folder.write("part-0", parquet(1))
    options = ("--since", "3600", "--timeout", "0", "--type", "green_trip")
    assert place.run("lake", folder.config, *options).code == 1
    wrong = place.run("lake", folder.config, "--type", "yellow")
    assert wrong.code == 2
    assert "--type yellow: unknown; give one of fhv_trip, green_trip, trip." in wrong.notes


def test_without_a_lake_it_says_what_to_do(place: Place) -> None:
    ended = place.run("lake", place.config())
    assert ended.code == 2
    assert "the configuration has no lake" in ended.notes
