"""Read records of the archive and dead letters from a topic or stream: bytes and metadata.

On Kafka the metadata is in headers; a Kinesis record is a JSON object with the bytes in base64. For
a record too large for the target there is only the head, and a pointer to the whole on S3.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from connectors import positions
from connectors.block import Headers
from connectors.kafka import reader as kafka_topic
from connectors.kafka.headers import LIST, OWN_HEADER, last_values, unpack
from connectors.kafka.reader import Message
from connectors.kinesis.reader import Record
from connectors.positions import Position
from connectors.s3.parquet import pages
from connectors.s3.store import ReadableStore

OpenFolder = Callable[[str], ReadableStore]


class Carried(NamedTuple):
    """The bytes of a record, its metadata as strings, its key, and its own headers.

    `of_message` leaves `headers` empty; those of a dead letter are `own_headers`.
    """

    raw: bytes | None
    about: Mapping[str, str]
    key: bytes | None = None
    headers: Headers = ()

    @property
    def is_large(self) -> bool:
        """Return whether the bytes are only the head of a record that is stored elsewhere."""
        return "full_record" in self.about

    @property
    def position(self) -> Position:
        """Return the record's position in its source."""
        topic, partition, offset, *on_kinesis = map(self.about.get, positions.COLUMNS)
        return Position(topic, number(partition), number(offset), *on_kinesis)


def of_message(message: Message, prefix: str = "") -> Carried:
    """Return what a Kafka message carries; `prefix` precedes the names of our headers.

    With a prefix, the record's own headers are there too, as `header.NAME`.
    """
    value: Any = message.value()
    key: Any = message.key()
    about = {
        name.removeprefix(prefix) if name.startswith(prefix) else f"{OWN_HEADER}{name}": text
        for name, text in kafka_topic.headers(message).items()
    }
    return Carried(value, about, key)


def own_headers(message: Message) -> Headers:
    """Return the headers that the record of a dead letter had, in their order.

    Raises:
        ValueError: they are damaged.
    """
    own: list[tuple[str, bytes | None]] = []
    pairs: Any = message.headers() or ()
    for name, value in pairs:
        if name == LIST and value is not None:
            own += unpack(value)
        elif name.startswith(OWN_HEADER):
            own.append((name.removeprefix(OWN_HEADER), value))
    return tuple(own)


def of_envelope(record: Record) -> Carried:
    """Return what a Kinesis record carries; the record's own headers as `header.NAME`."""
    try:
        members = msgspec.json.decode(record.data, type=dict[str, Any])
        raw, key = (_decoded(members.pop(name, None)) for name in ("raw", "key"))
        own = of_lists(members.pop("header_names", None), members.pop("header_values", None))
        own = tuple((name, _decoded(value)) for name, value in own)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return Carried(record.data, {})  # Has no position, so it is reported as unexpected.
    about = {name: str(value) for name, value in members.items() if value is not None}
    return Carried(raw, _texts(own) | about, key, own)


def _decoded(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def of_lists(names: list[str] | None, values: list[Any] | None) -> tuple[tuple[str, Any], ...]:
    """Return the pairs of the columns `header_names` and `header_values`."""
    return tuple(zip(names or (), values or (), strict=True))


def _texts(own: Headers) -> dict[str, str]:
    """Return headers as `header.NAME`; of several values the last, and none that is null."""
    return {f"{OWN_HEADER}{name}": text for name, text in last_values(own).items()}


def whole(record: Carried, open_folder: OpenFolder) -> Carried | None:
    """Read a large record's bytes and own headers; return None if its pointer is broken.

    The folder must have this position's record exactly once, with the expected size and digest.
    """
    store = open_folder(record.about["full_record"])
    columns = ["raw", "header_names", "header_values", *positions.COLUMNS]
    rows = [
        row
        for page in pages(store, store.listing(), columns)
        for _, table in page
        for row in table.to_pylist()
        if Position(*map(row.get, positions.COLUMNS)) == record.position
    ]
    if len(rows) != 1:
        return None
    raw = rows[0]["raw"]
    size, sha256 = number(record.about.get("raw_bytes")), record.about.get("sha256")
    if not is_whole(raw, size, sha256) or not raw.startswith(record.raw or b""):
        return None
    own = of_lists(rows[0].get("header_names"), rows[0].get("header_values"))
    return Carried(raw, {**record.about, **_texts(own)}, headers=own)


def is_whole(raw: bytes | None, size: int | None, sha256: str | None) -> bool:
    """Return whether these bytes have that length and SHA-256 (hex)."""
    return raw is not None and len(raw) == size and hashlib.sha256(raw).hexdigest() == sha256


def number(text: str | None) -> int | None:
    """Return the number that a header holds; None if it holds none."""
    return int(text) if text and text.isdecimal() else None
