"""Read dead letters from S3, Kafka or Kinesis, and the whole of large records.

Dead letters written after reading began are not read. Otherwise a record that is redriven and
rejected again would be read without end.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby
from typing import Any, Final

from connectors import positions
from connectors.block import Headers
from connectors.errors import UserError
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.kafka.reader import Message
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.reader import Record
from connectors.positions import Position
from connectors.s3.parquet import pages
from connectors.s3.store import ReadableStore, Stored
from pipeline.decode.timestamps import parse
from pipeline.ops.dead_letters.letter import Letter, millis_of
from pipeline.ops.readers import carried
from pipeline.ops.readers.carried import Carried, OpenFolder, number
from pipeline.ops.systems import Systems

# Records may be large and well compressed, so decode few rows at a time.
_ROWS: Final = 64
_TEXTS: Final = ("step", "reason", "detail", "event_type", "sha256", "full_record")


def read_letters(systems: Systems) -> Iterator[Letter]:
    """Yield every dead letter that exists now, including copies.

    Raises:
        UserError: the configuration has no dead letters, or their back end cannot be read.
    """
    settings = systems.config.dead_letters
    if not settings:
        raise UserError(
            "the configuration has no section dead_letters, so there are none to read; use the"
            " configuration of the job that wrote them."
        )
    if settings.path:
        return _from_parquet(systems.store(settings.path), settings.path)
    if settings.kafka_topic:
        return _from_kafka(systems.config.cluster(settings.kafka_cluster), settings.kafka_topic)
    return _from_kinesis(*systems.stream(settings.kinesis_stream))


def read_whole(letter: Letter, open_folder: OpenFolder) -> Letter | str:
    """Return the letter with the original value and key, or why they are not available.

    A large record is read from S3; its length and SHA-256 must be those of the dead letter.
    """
    if not letter.full_record:
        return letter
    why = "its whole record is not on S3"
    folder = open_folder(letter.full_record)
    for _, _, row in _rows(folder, folder.listing()):
        if Position(*map(row.get, positions.COLUMNS)) == letter.position:
            if carried.is_whole(row["raw"], letter.raw_bytes, letter.sha256):
                return replace(letter, raw=row["raw"], key=row.get("key"), headers=_headers(row))
            why = "its whole record on S3 differs from it in length or SHA-256"
    return why


def _from_parquet(store: ReadableStore, path: str) -> Iterator[Letter]:
    yield from of_files(store, path, store.listing())


def of_files(store: ReadableStore, path: str, files: Iterable[Stored]) -> Iterator[Letter]:
    """Yield the dead letters of some files of the store at `path`.

    Raises:
        FileNotFoundError: a file was deleted.
    """
    for name, row_number, row in _rows(store, files):
        arrival = row.get("arrival_time")
        # Flink 1.20 writes Parquet timestamps without a zone, in UTC.
        arrival_ms = None if arrival is None else millis_of(arrival)
        envelope = Carried(row["raw"], row, row.get("key"), _headers(row))
        position = Position(*map(row.get, positions.COLUMNS))
        yield _letter(envelope, position, arrival_ms, f"{path.rstrip('/')}/{name}#{row_number}")


def _rows(
    store: ReadableStore, files: Iterable[Stored]
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield each row of each Parquet file with the file's name and the row's number from 0."""
    parts = chain.from_iterable(pages(store, files, rows=_ROWS))
    for path, tables in groupby(parts, key=lambda part: part[0].path):
        rows = chain.from_iterable(table.to_pylist() for _, table in tables)
        for row_number, row in enumerate(rows):
            yield path, row_number, row


def _from_kafka(cluster: Kafka, topic: str) -> Iterator[Letter]:
    return map(of_message, kafka_topic.messages(cluster, topic))


def of_message(message: Message) -> Letter:
    """Return the dead letter that a message of the topic is; UserError if it is damaged."""
    place = f"{message.topic()}/{message.partition()}/{message.offset()}"
    try:
        headers = carried.own_headers(message)
    except ValueError as error:
        raise UserError(f"{place} isn't a dead letter of this job: {error}") from error
    return _from_carried(carried.of_message(message)._replace(headers=headers), place)


def _from_kinesis(client: Any, stream: str) -> Iterator[Letter]:
    started_ms = time.time_ns() // 1_000_000
    for record in kinesis_stream.records(client, stream):
        if record.arrival_ms <= started_ms:
            yield of_record(record, stream)


def of_record(record: Record, stream: str) -> Letter:
    """Return the dead letter that a record of the stream is."""
    place = f"{stream}/{record.shard}/{record.sequence_number}"
    return _from_carried(carried.of_envelope(record), place)


def _from_carried(envelope: Carried, place: str) -> Letter:
    arrival = parse(envelope.about.get("arrival_time", ""))
    arrival_ms = arrival if isinstance(arrival, int) else None
    return _letter(envelope, envelope.position, arrival_ms, place)


def _headers(row: dict[str, Any]) -> Headers:
    return carried.of_lists(row.get("header_names"), row.get("header_values"))


def _letter(envelope: Carried, position: Position, arrival_ms: int | None, place: str) -> Letter:
    raw, about, key, headers = envelope
    texts = {name: about.get(name) or "" for name in _TEXTS}
    return Letter(
        **texts,
        raw=raw,
        key=key,
        position=position,
        arrival_ms=arrival_ms,
        schema_version=number(str(about.get("schema_version"))) or 0,
        raw_bytes=number(about.get("raw_bytes")) or len(raw or b""),
        place=place,
        headers=headers,
    )
