"""Local sinks as a faultless job would have left them, as files for `reconcile` to read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.positions import Position
from dev.demo.made import EVENT, Made
from tests.position_table import table_of

TOPIC = "trips"
STREAM = "trip-stream"
TYPES = ["trip", "green_trip", "fhv_trip"]
PARTITIONS = 4
ARRIVAL = datetime(2018, 3, 1, 5, 30, tzinfo=UTC)
Headers = list[tuple[str, bytes | None]]
TIME = pa.timestamp("ms", tz="UTC")


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the index."""

    id: str
    version: int
    source: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """A made record and the position it was given."""

    made: Made
    position: Position

    @property
    def place(self) -> int:
        """The number of the partition, or of the shard."""
        if self.position.partition is not None:
            return self.position.partition
        return int((self.position.shard or "").rpartition("-")[2])


@dataclass(slots=True)
class Sinks:
    """Some records, and what a faultless job makes of them: files and documents."""

    root: Path
    records: list[Record]
    documents: dict[str, dict[str, Document]] = field(default_factory=dict)

    @property
    def lake(self) -> Path:
        """The lake's folder."""
        return self.root / "lake"

    @property
    def archive(self) -> Path:
        """The archive's folder."""
        return self.root / "archive"


def on_kafka(made: Iterable[Made]) -> list[Record]:
    """Give the records positions in the partitions of a topic."""
    records, ends = [], [0] * PARTITIONS
    for one in made:
        partition = crc32(one.key or b"") % PARTITIONS
        records.append(Record(one, Position(TOPIC, partition, ends[partition])))
        ends[partition] += 1
    return records


def on_kinesis(made: Iterable[Made]) -> list[Record]:
    """Give the records positions in the shards of a stream."""
    records = []
    for number, one in enumerate(made):
        shard = f"shardId-{crc32(one.key or b'') % PARTITIONS:012d}"
        at = Position(stream=STREAM, shard=shard, sequence_number=str(10**55 + number))
        records.append(Record(one, at))
    return records


def write(records: list[Record], root: Path, *, events_a_file: int = 200) -> Sinks:
    """Write all sinks of records that have their positions."""
    sinks = Sinks(root, records, {name: _documents(records, name) for name in TYPES})
    _write_lake(sinks, events_a_file)
    _write_archive(sinks)
    return sinks


def _write_lake(sinks: Sinks, events_a_file: int) -> None:
    by_folder: dict[str, list[Record]] = defaultdict(list)
    for record in sinks.records:
        if record.made.expect == EVENT:
            by_folder[_folder(record.made)].append(record)
    for name, records in by_folder.items():
        for start in range(0, len(records), events_a_file):
            path = sinks.lake / name / f"part-{start}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(_lake_table(records[start : start + events_a_file]), path)


def _folder(made: Made) -> str:
    """The lake's partition of an event, below the lake's path."""
    pickup = datetime.fromtimestamp(made.pickup_ms / 1000, UTC)
    place = f"pickup_location={made.pickup_location_id:03d}"
    return f"{made.event_type}/{place}/year={pickup.year:04d}/month={pickup.month:02d}"


def _lake_table(records: list[Record]) -> pa.Table:
    columns = event_columns([json.loads(record.made.raw or b"") for record in records])
    columns |= {f"source_{name}": column for name, column in position_columns(records).items()}
    columns["arrival_time"] = pa.array([ARRIVAL] * len(records), TIME)
    columns["schema_version"] = pa.array([1] * len(records), pa.int32())
    return pa.table(columns)


def event_columns(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The values of events as the lake holds them, made by Arrow alone."""
    columns: dict[str, Any] = {}
    for name in events[0]:
        column = pa.array([event[name] for event in events])
        columns[name] = column.cast(TIME) if name.endswith("_datetime") else column
    return columns


def _write_archive(sinks: Sinks) -> None:
    path = sinks.archive / "arrival_date=2018-03-01/arrival_hour=05"
    path.mkdir(parents=True, exist_ok=True)
    for partition in range(PARTITIONS):
        records = [record for record in sinks.records if record.place == partition]
        pq.write_table(archive_table(records), path / f"part-{partition}.parquet")


def archive_table(records: list[Record], headers: Sequence[Headers] = ()) -> pa.Table:
    """These records as the archive holds them, `headers` for each of them if there are any."""
    columns: dict[str, Any] = {}
    if headers:
        names = [[name for name, _ in each] for each in headers]
        values = [[value for _, value in each] for each in headers]
        columns["header_names"] = pa.array(names, pa.list_(pa.string()))
        columns["header_values"] = pa.array(values, pa.list_(pa.binary()))
    return pa.table(
        {
            "raw": pa.array([record.made.raw for record in records], pa.binary()),
            "key": pa.array([record.made.key for record in records], pa.binary()),
            **columns,
            **position_columns(records),
            "arrival_time": pa.array([ARRIVAL] * len(records), TIME),
        }
    )


def position_columns(records: list[Record]) -> dict[str, pa.ChunkedArray]:
    """The position's columns, as a job has them: those of the back ends that it reads."""
    table = table_of(record.position for record in records)
    columns = dict(zip(table.column_names, table.columns, strict=True))
    return {name: column for name, column in columns.items() if column.null_count < len(records)}


def _documents(records: list[Record], event_type: str) -> dict[str, Document]:
    newest: dict[str, Document] = {}
    for record in records:
        made = record.made
        if made.event_type == event_type:
            one = Document(str(made.trip_id), made.version_ms, json.loads(made.raw or b""))
            if one.id not in newest or newest[one.id].version <= one.version:
                newest[one.id] = one
    return newest
