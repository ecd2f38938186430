"""Read the dead letters of a configuration, wherever they are stored.

What is written after reading began is left for the next run: otherwise a record that is redriven
and fails again would be met again and again.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from connectors import positions
from connectors.errors import UserError
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.kinesis import reader as kinesis_stream
from connectors.positions import Position
from connectors.s3.store import ReadableStore, Stored
from pipeline.config.model import DeadLetters
from pipeline.decode.timestamps import EPOCH, MILLISECOND, parse
from pipeline.ops.dead_letters.letter import Letter
from pipeline.ops.readers import carried
from pipeline.ops.readers.carried import Carried
from pipeline.ops.systems import Systems

_ROWS: Final = 64
_FILES_AHEAD: Final = 8
_SMALL_BYTES: Final = 4 * 1024 * 1024


def settings_of(systems: Systems) -> DeadLetters:
    """Return the section of the dead letters; UserError in a configuration without it."""
    found = systems.config.dead_letters
    if not found:
        raise UserError(
            "the configuration has no section dead_letters, so there are none to read; give the"
            " configuration of the job that wrote them."
        )
    return found


def letters(systems: Systems) -> Iterator[Letter]:
    """Yield every dead letter stored now, copies included.

    Raises:
        UserError: the system that holds them can't be read.
    """
    settings = settings_of(systems)
    if settings.path:
        return from_parquet(systems.store(settings.path), settings.path)
    if settings.kafka_topic:
        cluster = systems.config.cluster(settings.kafka_cluster)
        return from_kafka(cluster, settings.kafka_topic)
    return from_kinesis(*systems.stream(settings.kinesis_stream))


def from_parquet(store: ReadableStore, path: str) -> Iterator[Letter]:
    """Yield those of an S3 path; one file at a time is in memory."""
    for name, number, row in rows(store):
        yield Letter(
            **_common(row),
            raw=row["raw"],
            key=row.get("key"),
            position=Position(*map(row.get, positions.COLUMNS)),
            arrival_ms=_millis(row.get("arrival_time")),
            raw_bytes=len(row["raw"] or b""),
            place=f"{path.rstrip('/')}/{name}#{number}",
        )


def rows(store: ReadableStore) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield every row of every Parquet file: file name, row number from 0, row."""
    for stored, content in _files(store):
        with content.result() if content else store.open(stored.path) as source:
            try:
                file = pq.ParquetFile(source)
            except pa.ArrowInvalid as error:
                raise UserError(f"{stored.path} isn't a readable Parquet file: {error}") from error
            number = 0
            for batch in file.iter_batches(_ROWS, use_threads=False):
                for row in batch.to_pylist():
                    yield stored.path, number, row
                    number += 1


def _files(store: ReadableStore) -> Iterator[tuple[Stored, Future[pa.BufferReader] | None]]:
    """Yield files; small ones are fetched ahead, a large one is read in parts."""

    def fetch(path: str) -> pa.BufferReader:
        return pa.BufferReader(store.read(path))

    ahead: deque[tuple[Stored, Future[pa.BufferReader] | None]] = deque()
    with ThreadPoolExecutor(_FILES_AHEAD) as pool:
        for stored in store.listing():
            small = stored.size <= _SMALL_BYTES
            ahead.append((stored, pool.submit(fetch, stored.path) if small else None))
            if len(ahead) > _FILES_AHEAD:
                yield ahead.popleft()
        yield from ahead


def from_kafka(cluster: Kafka, topic: str) -> Iterator[Letter]:
    """Yield those of a Kafka topic."""
    ends = kafka_topic.ends(cluster, topic)
    for message in kafka_topic.messages(cluster, topic):
        partition, offset = message.partition(), message.offset()
        assert partition is not None and offset is not None  # A message that was read has both.
        if partition in ends and offset < ends[partition][1]:
            key: Any = message.key()
            yield _carried(carried.of_message(message), key, f"{topic}/{partition}/{offset}")


def from_kinesis(client: Any, stream: str) -> Iterator[Letter]:
    """Yield those of a Kinesis stream."""
    started = time.time_ns() // 1_000_000
    for record in kinesis_stream.records(client, stream):
        if record.arrival_ms <= started:
            place = f"{stream}/{record.shard}/{record.sequence_number}"
            found = carried.of_envelope(record)
            try:
                key = found.about.get("key")
                yield _carried(found, None if key is None else base64.b64decode(key), place)
            except binascii.Error:  # No envelope of ours: of no position, so it is told.
                yield _carried(Carried(record.data, {}), None, place)


def _carried(found: Carried, key: bytes | None, place: str) -> Letter:
    about = found.about
    arrival = parse(about.get("arrival_time", ""))
    return Letter(
        **_common(about),
        raw=found.raw,
        key=key,
        position=found.position,
        arrival_ms=arrival if isinstance(arrival, int) else None,
        raw_bytes=_number(about.get("raw_bytes")) or len(found.raw or b""),
        place=place,
    )


def _common(given: Any) -> dict[str, Any]:
    """Return the fields that all systems store alike, as a string or number."""
    names = ("step", "reason", "detail", "event_type", "sha256", "full_record")
    found: dict[str, Any] = {name: given.get(name) or "" for name in names}
    return found | {"schema_version": _number(str(given.get("schema_version"))) or 0}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _millis(arrival: datetime | None) -> int | None:
    """Return epoch milliseconds; Flink 1.20 writes Parquet's times without a zone, in UTC."""
    if arrival is None:
        return None
    return (arrival.replace(tzinfo=arrival.tzinfo or UTC) - EPOCH) // MILLISECOND
