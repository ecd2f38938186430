"""An archive as the job leaves it, for the tests that read one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.block import Headers
from connectors.errors import UserError
from connectors.positions import Position
from pipeline.decode import timestamps
from pipeline.ops.replay.archive import Archive
from pipeline.ops.replay.files import data_set
from pipeline.ops.replay.selection import Counts, LeaveOut, Selection

HOUR_MS = 3_600_000
_SCHEMA = pa.schema(
    {
        "raw": pa.binary(),
        "key": pa.binary(),
        "header_names": pa.list_(pa.string()),
        "header_values": pa.list_(pa.binary()),
        "topic": pa.string(),
        "partition": pa.int32(),
        "offset": pa.int64(),
        "stream": pa.string(),
        "shard": pa.string(),
        "sequence_number": pa.string(),
        "arrival_time": pa.timestamp("ms", tz="UTC"),
    }
)
KAFKA = ("stream", "shard", "sequence_number")
"""What an archive of topics alone lacks."""
KINESIS = ("topic", "partition", "offset", "key", "header_names", "header_values")


@dataclass(frozen=True)
class Kept:
    """An archived record."""

    at: int
    position: Position
    raw: bytes | None = b"{}"
    key: bytes | None = None
    headers: Mapping[str, bytes | None] | None = field(default=None)

    def row(self) -> dict[str, object]:
        """Its columns."""
        return {
            "raw": self.raw,
            "key": self.key,
            "header_names": None if self.headers is None else list(self.headers),
            "header_values": None if self.headers is None else list(self.headers.values()),
            **self.position._asdict(),
            "arrival_time": self.at,
        }


class Archived(NamedTuple):
    """A record as it is read."""

    position: Position
    raw: bytes | None
    key: bytes | None
    headers: Headers
    arrival_ms: int


def archived(
    uri: str,
    start_ms: int | None = None,
    end_ms: int | None = None,
    leave_out: LeaveOut | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Archived]:
    """Every record of an archive in order; UserError where it is damaged."""
    selection, counts = Selection(archive=True, start_ms=start_ms, end_ms=end_ms), Counts()
    for rows in Archive(data_set(uri, environment or {}), selection, counts, leave_out).rows():
        columns = (rows.positions, rows.raws, rows.keys, rows.headers, rows.times)
        lists = [column.tolist() for column in columns if column is not None]
        yield from map(Archived._make, zip(*lists, strict=True))
    if counts.bad_files or counts.bad_lines:
        raise UserError(f"the archive is damaged: {[*counts.bad_files, *counts.bad_examples][0]}")


def on_kafka(at: int, partition: int, offset: int, **more: object) -> Kept:
    """A record of a topic."""
    return Kept(at, Position("trips", partition, offset), **more)  # type: ignore[arg-type]


def on_kinesis(at: int, shard: int, number: int, **more: object) -> Kept:
    """A record of a stream."""
    position = Position(
        stream="trip-stream", shard=f"shardId-{shard:012d}", sequence_number=str(number)
    )
    return Kept(at, position, **more)  # type: ignore[arg-type]


def folder(at: int) -> str:
    """Where records that arrived then lie."""
    text = timestamps.text(at)
    return f"arrival_date={text[:10]}/arrival_hour={text[11:13]}"


def keep(root: Path, name: str, records: Iterable[Kept], *, without: Iterable[str] = ()) -> Path:
    """Writes one file, in the hour of its first record."""
    rows = [record.row() for record in records]
    path = root / folder(int(str(rows[0]["arrival_time"]))) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pylist(rows, _SCHEMA).drop(list(without)), path, compression="zstd"
    )
    return path
