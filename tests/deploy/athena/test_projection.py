"""Every file of the lake and the archive is in exactly one partition that Athena projects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dev.templates.projection import projection
from dev.templates.tables import glue_tables
from pipeline.config.model import Source
from pipeline.events import event_types
from pipeline.events.event_types import EventTypes, of
from pipeline.events.folders import HIVE_NULL
from pipeline.events.model import EventType, Field, PartitionField
from pipeline.ops.generate.trips import Span, trips
from pipeline.ops.generate.write import write_lines
from tests.deploy.athena.files import Bucket, listed
from tests.deploy.athena.projection import (
    Condition,
    Partition,
    ProjectedTable,
    ProjectionError,
    equal,
)

ROOT = Path(__file__).parents[3]
TYPES = event_types.load(ROOT / "schemas")
NOW = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
HOUR_MS = 3_600_000
STREAM = Source(kinesis_streams=("trips",))


def millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def tables(types: EventTypes, now: datetime = NOW) -> dict[str, ProjectedTable]:
    found = [ProjectedTable(resource, now) for resource in glue_tables(types).values()]
    return {table.name: table for table in found}


def times_found(
    bucket: Bucket, table: ProjectedTable, conditions: Iterable[Condition] = ()
) -> Counter[str]:
    """How often each file below the table's place is read by a query with these conditions."""
    keys = bucket.keys()
    place = Partition((), table.location.removeprefix("s3://data/"))
    found = Counter(dict.fromkeys(listed(keys, place), 0))
    for partition in table.partitions(conditions):
        found.update(listed(keys, partition))
    return found


def folders(keys: Iterable[str]) -> set[str]:
    return {key.rpartition("/")[0] for key in keys}


def lines(*events: Mapping[str, Any]) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


def sample(name: str, **changes: object) -> dict[str, Any]:
    """The first example of an event type, changed."""
    text = (ROOT / "schemas" / f"{name}.examples.ndjson").read_text().splitlines()[0]
    return {**json.loads(text)["event"], **changes}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """A generated history of 14 months and its archive, and events of the first and last moment."""
    folder = tmp_path_factory.mktemp("history")
    generated = trips(6_000, seed=7, span=Span("2017-06", 14))
    (path,) = write_lines(generated, folder)
    bucket = Bucket(folder / "bucket", TYPES, STREAM, millis(NOW))
    raws = path.read_bytes().splitlines()
    for start in range(0, len(raws), 2_000):
        some = raws[start : start + 2_000]
        arrived = [
            millis(datetime(2018, 1, 1, tzinfo=UTC)) + 60_000 * at for at in range(len(some))
        ]
        assert not bucket.add(some, arrived).reason.any()
    edges = ["2009-01-01T00:00:00.000Z", "2026-06-16T12:29:59.999Z"]
    ends = [
        sample(name, trip_id=at + 1, pickup_datetime=edge, dropoff_datetime=edge)
        for name in TYPES.names
        for at, edge in enumerate(edges)
    ]
    assert not bucket.add(lines(*ends), [millis(NOW)] * len(ends)).reason.any()
    return bucket


@pytest.mark.parametrize("name", TYPES.names)
def test_every_file_of_a_history_is_found_once(history: Bucket, name: str) -> None:
    found = times_found(history, tables(TYPES)[name])
    assert len(found) > 500
    assert set(found.values()) == {1}


def test_every_file_of_its_archive_is_found_once(history: Bucket) -> None:
    found = times_found(history, tables(TYPES)["archive"])
    assert len(found) > 30
    assert set(found.values()) == {1}


def test_conditions_choose_the_partitions_of_their_values(history: Bucket) -> None:
    table = tables(TYPES)["trip"]
    assert sum(1 for _ in table.partitions()) == 265 * 27 * 12
    month = [equal("year", "2018"), equal("month", "01")]
    found = times_found(history, table, month)
    expected = {key: int("/year=2018/month=01/" in key) for key in found}
    assert found == expected and sum(expected.values()) > 50
    assert sum(1 for _ in table.partitions(month)) == 265


def test_what_the_tables_do_not_show_is_where_the_page_says(tmp_path: Path) -> None:
    """Of the archive, arrival times that are absurd or ahead of the clock; of the lake, nothing."""
    bucket = Bucket(tmp_path, TYPES, STREAM, millis(NOW))
    arrived = [
        datetime(2008, 12, 31, 23, 59, tzinfo=UTC),
        datetime(2009, 1, 1, tzinfo=UTC),
        datetime(2026, 6, 16, 23, 59, tzinfo=UTC),
        datetime(2026, 6, 17, tzinfo=UTC),
        datetime(2100, 1, 1, tzinfo=UTC),
    ]
    bucket.add(lines(*[sample("trip")] * 5), map(millis, arrived))
    found = times_found(bucket, tables(TYPES)["archive"])
    assert {key.rpartition("/")[0]: times for key, times in found.items()} == {
        "archive/arrival_date=2009-01-01/arrival_hour=00": 1,
        "archive/arrival_date=2026-06-16/arrival_hour=23": 1,
        "archive/arrival_date=2026-06-17/arrival_hour=00": 0,
        "archive/arrival_date=unknown/arrival_hour=unknown": 0,
    }
    assert set(times_found(bucket, tables(TYPES)["trip"]).values()) == {1}


def test_a_year_after_the_range_needs_a_new_table(tmp_path: Path) -> None:
    now = datetime(2036, 1, 1, 12, tzinfo=UTC)
    bucket = Bucket(tmp_path, TYPES, STREAM, millis(now))
    for year in (2035, 2036):
        edge = f"{year}-01-01T00:00:00.000Z"
        raws = lines(sample("trip", pickup_datetime=edge, dropoff_datetime=edge))
        assert not bucket.add(raws, [millis(now)]).reason.any()
    found = times_found(bucket, tables(TYPES, now)["trip"])
    assert {key.split("/")[3]: times for key, times in found.items()} == {
        "year=2035": 1,
        "year=2036": 0,
    }


# Event types of users, with partitions of every kind.

FLAGS = ("Y", "N/A", "a b", "100%", "ü", "x}y", "p=1", "it's", "é/ü")
MIN_BORN, MAX_BORN = -2_208_988_800_000, 2_524_607_999_999
"""1900 until 2050."""
USER_FIELDS = (
    Field("id", "int64", minimum=1, maximum=10**6),
    Field("at", "timestamp", wire="iso-8601"),
    Field("born", "timestamp", wire="iso-8601", minimum=MIN_BORN, maximum=MAX_BORN),
    Field("flag", "string", enum=FLAGS),
    Field("maybe_flag", "string", enum=("Y", "N"), nullable=True),
    Field("name", "string", max_length=20),
    Field("number", "int32", minimum=-15, maximum=120),
    Field("is_full", "boolean"),
    Field("comma", "string", enum=("a,b", "c")),
    Field("maybe", "int32", minimum=0, maximum=9, nullable=True),
)


def user_type(*partition_by: PartitionField) -> EventTypes:
    user = EventType("user", 1, "", USER_FIELDS, ("id",), "at", "at", partition_by)
    return of([user])


def user_events() -> Iterator[dict[str, Any]]:
    births = ["1900-01-01T00:00:00.000Z", "1969-12-31T23:00:00.000Z", "2049-12-31T23:59:59.999Z"]
    for at in range(60):
        yield {
            "id": 100 * at + 1,
            "at": f"{2009 + at % 17}-{1 + at % 12:02d}-{1 + at % 28:02d}T{at % 24:02d}:59:59.999Z",
            "born": births[at % 3],
            "flag": FLAGS[at % len(FLAGS)],
            "maybe_flag": ("Y", "N", None)[at % 3],
            "name": f"n/{at % 7} é=%",
            "number": -15 + 7 * (at % 20) if at % 20 < 19 else 120,
            "is_full": at % 2 == 0,
            "comma": ("a,b", "c")[at % 2],
            "maybe": at % 10 or None,
        }


LISTED = {
    "identity of a text with a list": PartitionField("p", "flag"),
    "nullable with a list": PartitionField("p", "maybe_flag"),
    "nullable number": PartitionField("p", "maybe", format="%d"),
    "nullable bucket": PartitionField("p", "maybe", "bucket", 16, "%02d"),
    "boolean": PartitionField("p", "is_full"),
    "number": PartitionField("p", "number", format="%d"),
    "tens": PartitionField("p", "number", "truncate", 10, "%d"),
    "bucket": PartitionField("p", "name", "bucket", 16, "%d"),
    "padded bucket": PartitionField("p", "name", "bucket", 16, "%02d"),
    "year": PartitionField("p", "at", "year", 0, "%Y"),
    "month": PartitionField("p", "at", "month", 0, "%Y-%m"),
    "month alone": PartitionField("p", "at", "month", 0, "%m"),
    "day": PartitionField("p", "at", "day", 0, "%Y-%m-%d"),
    "day, the other way round": PartitionField("p", "at", "day", 0, "%d_%m_%Y"),
    "hour": PartitionField("p", "at", "hour", 0, "%Y-%m-%d-%H"),
    "hours in folders of months": PartitionField("p", "at", "hour", 0, "%Y-%m"),
    "year by bounds of its own": PartitionField("p", "born", "year", 0, "%Y"),
    "month by bounds of its own": PartitionField("p", "born", "month", 0, "%Y-%m"),
    "day by bounds of its own": PartitionField("p", "born", "day", 0, "%Y-%m-%d"),
}
INJECTED = {
    "any text": PartitionField("p", "name"),
    "texts with a comma": PartitionField("p", "comma"),
    "first letters": PartitionField("p", "name", "truncate", 3),
    "nullable, of many buckets": PartitionField("p", "maybe", "bucket", 1000, "%03d"),
    "negative numbers with zeros": PartitionField("p", "number", format="%03d"),
    "numbers longer than their format": PartitionField("p", "id", "truncate", 100, "%03d"),
    "days of years": PartitionField("p", "at", "day", 0, "%Y-%d"),
    "hours of 150 years": PartitionField("p", "born", "hour", 0, "%Y-%m-%d-%H"),
}


def filled(tmp_path: Path, types: EventTypes) -> Bucket:
    source = Source(kinesis_streams=("users",), event_type="user")
    bucket = Bucket(tmp_path, types, source, millis(NOW))
    decoded = bucket.add(lines(*user_events()), [millis(NOW)] * 60)
    assert not decoded.reason.any(), set(decoded.detail)
    return bucket


@pytest.mark.parametrize("field", LISTED.values(), ids=LISTED)
def test_every_folder_of_a_user_s_partition_is_listed_once(
    tmp_path: Path, field: PartitionField
) -> None:
    types = user_type(field)
    found = times_found(filled(tmp_path, types), tables(types)["user"])
    assert len(found) > 1
    assert set(found.values()) == {1}


@pytest.mark.parametrize("field", INJECTED.values(), ids=INJECTED)
def test_every_folder_of_an_injected_partition_but_null_s_is_found_by_its_value(
    tmp_path: Path, field: PartitionField
) -> None:
    types = user_type(field)
    bucket, table = filled(tmp_path, types), tables(types)["user"]
    with pytest.raises(ProjectionError):
        list(table.partitions())
    with pytest.raises(ProjectionError):
        list(table.partitions([Condition("p", {"1", "2"}.__contains__)]))
    keys = [key for key in bucket.keys() if key.startswith("lake/")]
    found: Counter[str] = Counter()
    for folder in folders(keys):
        found += times_found(bucket, table, [equal("p", folder.partition("/p=")[2])])
    assert len(found) > 1
    assert set(found.values()) == {1}
    of_null = {key for key in keys if HIVE_NULL in key}
    assert set(found) == set(keys) - of_null
    assert len(of_null) == types.types[0].field(field.source).nullable


def test_hours_since_year_one_are_too_many_to_list() -> None:
    since = Field("since", "timestamp", wire="iso-8601", minimum=-62_135_596_800_000)
    by_hour = PartitionField("p", "since", "hour", 0, "%Y-%m-%d-%H")
    by_day = PartitionField("p", "since", "day", 0, "%Y-%m-%d")
    user = EventType("user", 1, "", (*USER_FIELDS, since), ("id",), "at", "at", (by_hour,))
    assert projection(user, by_hour) == {"type": "injected"}
    assert projection(replace(user, partition_by=(by_day,)), by_day)["type"] == "date"


def test_a_number_s_folder_has_not_the_files_of_a_longer_one(tmp_path: Path) -> None:
    types = user_type(PartitionField("p", "number", format="%d"))
    bucket, table = filled(tmp_path, types), tables(types)["user"]
    found = times_found(bucket, table, [equal("p", "6")])
    assert folders(key for key, times in found.items() if times) == {"lake/user/p=6"}
    assert any("/p=62/" in key for key in found)
