"""A record as a topic or stream carries it for another: its bytes, and what is said about them.

On Kafka what is said are headers; a Kinesis record is a JSON object with the bytes in base64.  A
record too large for its target left only its head, and a pointer to the whole of it on S3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from connectors import checksums as content
from connectors import positions
from connectors.kafka import reader as kafka_topic
from connectors.kinesis.reader import Record
from connectors.positions import Position
from connectors.s3.storage import Store, tables

_BROKEN: Final = 0
"""The digest of a pointer that leads nowhere or astray: 0, which no record with bytes has."""

OpenFolder = Callable[[str], Store]


class Carried(NamedTuple):
    """The bytes that were read, and what was said about them, as texts."""

    raw: bytes | None
    about: Mapping[str, str]

    @property
    def is_large(self) -> bool:
        """Whether the bytes are only the head of a record that lies elsewhere."""
        return "full_record" in self.about

    @property
    def position(self) -> Position:
        """Where the record stood in its source."""
        about = self.about
        return Position(
            about.get("topic"),
            _number(about.get("partition")),
            _number(about.get("offset")),
            about.get("stream"),
            about.get("shard"),
            about.get("sequence_number"),
        )


def of_message(message: kafka_topic.Message, prefix: str = "") -> Carried:
    """What a Kafka message carries; `prefix` stands before the names of our headers."""
    value: Any = message.value()
    headers = kafka_topic.headers(message).items()
    start = len(prefix)
    return Carried(value, {name[start:]: text for name, text in headers if name.startswith(prefix)})


def of_envelope(record: Record) -> Carried:
    """What a record of a Kinesis stream carries."""
    try:
        found = msgspec.json.decode(record.data, type=dict[str, Any])
        raw = found.pop("raw", None)
        data = None if raw is None else base64.b64decode(raw, validate=True)
    except (msgspec.MsgspecError, binascii.Error, TypeError):
        return Carried(record.data, {})  # Of no position, so it is told as unexpected.
    return Carried(data, {name: str(value) for name, value in found.items() if value is not None})


def digests(carried: Iterable[Carried], open_folder: OpenFolder) -> list[int]:
    """The digest of each record's bytes; of a large one those that its pointer leads to."""
    return [
        _of_whole(one, open_folder) if one.is_large else content.digest(one.raw) for one in carried
    ]


def _of_whole(one: Carried, open_folder: OpenFolder) -> int:
    """Once where the pointer leads must lie the record of this position, with the bytes meant."""
    store = open_folder(one.about["full_record"])
    columns = ["raw", *positions.COLUMNS]
    found = [
        row["raw"]
        for batch in tables(store, store.listing(), columns)
        for _, table in batch
        for row in table.to_pylist()
        if Position(*map(row.get, positions.COLUMNS)) == one.position
    ]
    return content.digest(found[0]) if len(found) == 1 and _is_meant(one, found[0]) else _BROKEN


def _is_meant(one: Carried, whole: bytes | None) -> bool:
    return (
        whole is not None
        and whole.startswith(one.raw or b"")
        and str(len(whole)) == one.about.get("raw_bytes")
        and hashlib.sha256(whole).hexdigest() == one.about.get("sha256")
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
