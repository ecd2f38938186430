"""The queries of docs/query.md for Athena answer what was sent, from the folders that it says."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from dev.templates.tables import glue_tables
from pipeline.config.model import Source
from pipeline.events import event_types
from pipeline.ops.generate.trips import Span, trips
from pipeline.ops.generate.write import write_lines
from tests.deploy.athena.engine import Engine
from tests.deploy.athena.files import SHARD, Bucket
from tests.deploy.athena.projection import ProjectedTable
from tests.ops.query.page import ROOT, blocks, section

TYPES: Final = event_types.load(ROOT / "schemas")
NOW: Final = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
ASKED: Final = 4_072_440
"""The id of the page's query of the archive."""
SOURCES: Final = {
    "kinesis": Source(kinesis_streams=("trips",)),
    "kafka": Source(kafka_topics=("trips",)),
}
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Sent:
    """A record: its event, its bytes, when it arrived, and its position as the page writes it."""

    event: dict[str, Any]
    raw: bytes
    arrived: datetime
    position: str


def naive(text: str) -> datetime:
    """A time of an event as Athena has it: in UTC, without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


def sent(folder: Path, system: str) -> list[Sent]:
    """A generated history; some of it comes again, some of it days later."""
    (path,) = write_lines(trips(4_000, seed=5, span=Span("2018-01", 2)), folder)
    lines = path.read_bytes().splitlines()
    times: list[tuple[bytes, timedelta]] = []
    for number, raw in enumerate(lines):
        times.append((raw, timedelta(days=3 if number % 50 == 0 else 0, seconds=20)))
        times += [(raw, timedelta(minutes=again)) for again in range(1, 1 + (number % 40 == 0))]
        times += [(raw, timedelta(minutes=5))] * (number % 400 == 0)
    found = []
    for number, (raw, delay) in enumerate(times):
        event = json.loads(raw)
        arrived = datetime.fromisoformat(event["dropoff_datetime"]) + delay
        if event["trip_id"] == ASKED:
            arrived = datetime(2018, 1, 15, 9, number % 60, tzinfo=UTC)
        position = f"{SHARD}/{number:056d}" if system == "kinesis" else f"trips/0/{number}"
        found.append(Sent(event, raw, arrived, position))
    return found


@dataclass(frozen=True)
class History:
    """What was sent, and the engine over what the job's steps wrote of it."""

    records: list[Sent]
    engine: Engine

    def of(self, name: str, *months: str) -> Iterator[Sent]:
        """The records of a type whose trips began in these months."""
        for record in self.records:
            is_in = record.event["pickup_datetime"].startswith(months)
            if record.event["type"] == name and is_in:
                yield record


@pytest.fixture(scope="module", params=SOURCES)
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    return written(tmp_path_factory.mktemp("history"), request.param)


def written(folder: Path, system: str) -> History:
    """The history in the bucket `bucket` below a folder."""
    records = sent(folder, system)
    bucket = Bucket(folder / "bucket", TYPES, SOURCES[system], millis(NOW))
    for start in range(0, len(records), 1_500):
        some = records[start : start + 1_500]
        decoded = bucket.add(
            [record.raw for record in some], [millis(record.arrived) for record in some]
        )
        assert not decoded.reason.any()
    tables = [ProjectedTable(resource, NOW) for resource in glue_tables(TYPES).values()]
    by_name = {table.name: table for table in tables}
    return History(records, Engine(bucket.root, bucket.keys(), by_name))


def millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


# What each query should answer, from what was sent.


def earned(history: History) -> Rows:
    amounts: dict[str, list[float]] = defaultdict(list)
    for record in history.of("trip", "2018-01"):
        amounts[f"{record.event['pickup_location_id']:03d}"].append(record.event["total_amount"])
    rows = [(zone, len(each), round(sum(each), 2)) for zone, each in amounts.items()]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def days(history: History) -> Rows:
    fares: dict[datetime, list[float]] = defaultdict(list)
    for record in history.of("green_trip", "2018-01", "2018-02"):
        if record.event["pickup_location_id"] == 41:
            day = naive(record.event["pickup_datetime"][:10])
            fares[day].append(record.event["fare_amount"])
    return [(day, len(each), sum(each) / len(each)) for day, each in sorted(fares.items())]


def doubled(history: History) -> Rows:
    of_id: dict[int, list[Sent]] = defaultdict(list)
    for record in history.of("trip", "2018-01", "2018-02"):
        of_id[record.event["trip_id"]].append(record)
    rows = []
    for trip, records in of_id.items():
        records.sort(key=lambda record: record.arrived)
        rows.append((trip, len(records), [record.position for record in records]))
    return sorted([row for row in rows if row[1] > 1], key=lambda row: (-row[1], row[0]))


def late(history: History) -> Rows:
    oldest: dict[datetime, list[datetime]] = defaultdict(list)
    for record in history.of("fhv_trip", "2018-01"):
        happened = datetime.fromisoformat(record.event["dropoff_datetime"])
        if record.arrived > happened + timedelta(days=1):
            day = record.arrived.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
            oldest[day].append(happened.replace(tzinfo=None))
    return [(day, len(each), min(each)) for day, each in sorted(oldest.items())]


def as_sent(history: History) -> Rows:
    found = [record for record in history.records if record.event["trip_id"] == ASKED]
    rows = [(record.arrived.replace(tzinfo=None), record.raw.decode()) for record in found]
    return sorted(rows)


EXPECTED: Final[tuple[Callable[[History], Rows], ...]] = (earned, days, doubled, late, as_sent)
QUERIES: Final = tuple(blocks("Athena", "sql"))
FOLDERS: Final = [int(number) for number in re.findall(r"\((\d+) folders\)", section("Athena"))]


@pytest.mark.parametrize(
    ("sql", "expected", "folders"),
    list(zip(QUERIES, EXPECTED, FOLDERS, strict=True)),
    ids=[each.__name__ for each in EXPECTED],
)
def test_a_query_answers_what_was_sent(
    history: History, sql: str, expected: Callable[[History], Rows], folders: int
) -> None:
    answer = history.engine.query(sql)
    due = expected(history)
    assert answer.partitions == folders
    assert due, "nothing to find"
    assert rounded(answer.rows) == rounded(due)
    assert 0 < len(answer.files) < len(history.engine.keys)


def rounded(rows: Rows) -> Rows:
    """Rows without what the order of a sum changes."""
    return [
        tuple(round(each, 6) if isinstance(each, float) else each for each in row) for row in rows
    ]


def test_the_page_says_how_many_folders_there_are() -> None:
    (resource,) = [resource for name, resource in glue_tables(TYPES).items() if name == "TableTrip"]
    count = sum(1 for _ in ProjectedTable(resource, NOW).partitions())
    assert f"`trip` is {count:,} folders" in section("Athena")


def test_the_history_has_what_the_queries_look_for(history: History) -> None:
    assert Counter(row[1] for row in doubled(history)).keys() == {2, 3}
    assert len(late(history)) > 5
    assert len(as_sent(history)) > 0
