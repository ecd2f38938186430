"""A data set as a faultless job leaves it, without Flink: to measure `reconcile` with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from numpy.typing import NDArray
from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk

from connectors.checksums import digest
from dev.demo.made import CONTROL, EVENT, Made
from pipeline.events.event_types import EventType, EventTypes

SOURCE: Final = "bench-trips"
DEAD: Final = "bench-dead-letters"
PREFIX: Final = "bench-"
PARTITIONS: Final = 4
_FIRST_ARRIVAL_MS: Final = 1_519_862_400_000
_TIME: Final = pa.timestamp("ms", tz="UTC")
_KINDS: Final = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": pa.string(),
}
_ARCHIVE_FILES: Final = 2
_TIMES: Final = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
"""The times are ours, and old: Kafka would delete what is older than a week."""
_LARGEST: Final = 2 * 1024 * 1024
_MOST_LINES: Final = 50_000
"""Arrow's JSON reader takes 100,000 in one block."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The records between two checkpoints: partition, offset and arrival of each."""

    records: list[Made]
    partitions: NDArray[np.int32]
    offsets: NDArray[np.int64]
    arrival: NDArray[np.int64]

    def positions(self, rows: NDArray[np.int64], prefix: str = "") -> dict[str, Any]:
        """The columns of where these rows came from."""
        return {
            f"{prefix}topic": pa.array([SOURCE] * len(rows)),
            f"{prefix}partition": pa.array(self.partitions[rows]),
            f"{prefix}offset": pa.array(self.offsets[rows]),
            "arrival_time": pa.array(self.arrival[rows]).cast(_TIME),
        }


@dataclass(slots=True)
class Written:
    """How much was made."""

    records: int = 0
    lake_files: int = 0
    archive_files: int = 0
    dead_letters: int = 0
    documents: int = 0
    _ends: list[int] = field(default_factory=lambda: [0] * PARTITIONS)

    def chunk(self, records: list[Made]) -> Chunk:
        """Positions for the next records: events of one key go to one partition."""
        partitions = [digest(record.key) % PARTITIONS for record in records]
        offsets = []
        for partition in partitions:
            offsets.append(self._ends[partition])
            self._ends[partition] += 1
        arrival = _FIRST_ARRIVAL_MS + np.arange(self.records, self.records + len(records)) // 50
        self.records += len(records)
        return Chunk(records, np.array(partitions, np.int32), np.array(offsets, np.int64), arrival)


def make(
    records: Iterable[Made],
    *,
    servers: str,
    folder: Path,
    types: EventTypes,
    checkpoint_records: int,
    opensearch: str = "",
    progress: Callable[[int], None],
) -> Written:
    """Topics, archive and lake (and the index, where there is an address for it) of records."""
    _topics(servers)
    producer = Producer({"bootstrap.servers": servers, **_PRODUCER})
    written, remaining = Written(), iter(records)
    while part := list(islice(remaining, checkpoint_records)):
        chunk = written.chunk(part)
        _send(producer, chunk, written)
        _archive(chunk, folder / "archive", written)
        for event_type in types:
            _lake(chunk, event_type, folder / "lake", written)
        if opensearch:
            _index(chunk, opensearch, types, written)
        progress(written.records)
    producer.flush()
    return written


def _topics(servers: str) -> None:
    settings = {"max.message.bytes": str(_LARGEST), **_TIMES}
    admin = AdminClient({"bootstrap.servers": servers})
    topics = [NewTopic(name, PARTITIONS, 1, config=settings) for name in (SOURCE, DEAD)]
    for future in admin.create_topics(topics).values():
        future.result()


def _send(producer: Producer, chunk: Chunk, written: Written) -> None:
    places = zip(
        chunk.records,
        chunk.partitions.tolist(),
        chunk.offsets.tolist(),
        chunk.arrival.tolist(),
        strict=True,
    )
    for record, partition, offset, arrival in places:
        _produce(producer, SOURCE, record, partition=partition, timestamp=arrival)
        if record.expect not in (EVENT, CONTROL):
            written.dead_letters += 1
            headers = {"step": "decode", "reason": record.expect, "topic": SOURCE}
            headers |= {"partition": str(partition), "offset": str(offset)}
            _produce(producer, DEAD, record, headers=list(headers.items()))
    producer.flush()


def _produce(producer: Producer, topic: str, record: Made, **options: Any) -> None:
    while True:
        try:
            producer.produce(topic, record.raw, record.key, **options)
            return
        except BufferError:
            producer.poll(0.1)


def _archive(chunk: Chunk, folder: Path, written: Written) -> None:
    hours = chunk.arrival // 3_600_000
    for hour in np.unique(hours).tolist():
        name = np.datetime_as_string(np.datetime64(hour, "h"))
        path = folder / f"arrival_date={name[:10]}" / f"arrival_hour={name[11:13]}"
        path.mkdir(parents=True, exist_ok=True)
        for part in range(_ARCHIVE_FILES):
            rows = np.flatnonzero((hours == hour) & (chunk.partitions % _ARCHIVE_FILES == part))
            records = [chunk.records[row] for row in rows]
            columns = {
                "raw": pa.array([record.raw for record in records], pa.binary()),
                "key": pa.array([record.key for record in records], pa.binary()),
                "header_names": pa.nulls(len(records), pa.list_(pa.string())),
                "header_values": pa.nulls(len(records), pa.list_(pa.binary())),
            }
            table = pa.table({**columns, **chunk.positions(rows)})
            _write(table, path / f"part-{written.archive_files}")
            written.archive_files += 1


def _lake(chunk: Chunk, event_type: EventType, folder: Path, written: Written) -> None:
    mine = [row for row, record in enumerate(chunk.records) if record.event_type == event_type.name]
    rows = np.array([row for row in mine if chunk.records[row].expect == EVENT], dtype=np.int64)
    if not len(rows):
        return
    table = _values([chunk.records[row].raw or b"" for row in rows.tolist()], event_type)
    origin = chunk.positions(rows, "source_")
    for name, column in {**origin, "schema_version": pa.array([1] * len(rows), pa.int32())}.items():
        table = table.append_column(name, column)
    places = np.array([chunk.records[row].pickup_location_id for row in rows.tolist()])
    pickup = np.array([chunk.records[row].pickup_ms for row in rows.tolist()])
    months = pickup.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    for start, end, order in _slices(places * 100_000 + months):
        place, month = int(places[order[0]]), int(months[order[0]])
        where = f"pickup_location={place:03d}/year={1970 + month // 12}/month={month % 12 + 1:02d}"
        path = folder / event_type.name / where
        path.mkdir(parents=True, exist_ok=True)
        _write(table.take(pa.array(order)), path / f"part-{written.lake_files}")
        written.lake_files += end > start


def _slices(keys: NDArray[np.int64]) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """The rows of each key, in their order."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(keys[order]) != 0)).tolist()
    for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        yield start, end, order[start:end]


def _values(raws: list[bytes], event_type: EventType) -> pa.Table:
    parts = (raws[start : start + _MOST_LINES] for start in range(0, len(raws), _MOST_LINES))
    table = pa.concat_tables([_parsed(part, event_type) for part in parts]).combine_chunks()
    for number, member in enumerate(event_type.fields):
        if member.kind == "timestamp":
            table = table.set_column(number, member.name, table.column(member.name).cast(_TIME))
    return table


def _parsed(raws: list[bytes], event_type: EventType) -> pa.Table:
    data = b"\n".join(raws)
    schema = pa.schema({field.name: _KINDS[field.kind] for field in event_type.fields})
    return pj.read_json(
        pa.BufferReader(data),
        pj.ReadOptions(use_threads=False, block_size=len(data) + 64),
        pj.ParseOptions(explicit_schema=schema),
    )


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", compression_level=1, use_dictionary=False)


def _index(chunk: Chunk, url: str, types: EventTypes, written: Written) -> None:
    with OpenSearch(url, timeout=60) as client:
        actions = (
            {
                "_index": f"{PREFIX}{record.event_type}",
                "_id": str(record.trip_id),
                "version": record.version_ms,
                "version_type": "external_gte",
                "_source": (record.raw or b"").decode(),
            }
            for record in chunk.records
            if record.expect == EVENT and record.event_type in types.names
        )
        done, _ = bulk(client, actions, chunk_size=2_000, raise_on_error=False)
        written.documents += done


_PRODUCER: Final[dict[str, Any]] = {
    "enable.idempotence": True,
    "linger.ms": 20,
    "batch.size": 262_144,
    "compression.type": "lz4",
    "message.max.bytes": _LARGEST,
    "queue.buffering.max.messages": 200_000,
}
