"""Read records of the archive and dead letters from a topic or stream: bytes and metadata.

On Kafka the metadata is in headers; a Kinesis record is a JSON object with the bytes in base64. For
a record too large for the target there is only the head, and a pointer to the whole on S3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from connectors import positions
from connectors.kafka import reader as kafka_topic
from connectors.kafka.reader import Message
from connectors.kinesis.reader import Record
from connectors.positions import Position
from connectors.s3.parquet import pages
from connectors.s3.store import ReadableStore

OWN_HEADER: Final = "header."

OpenFolder = Callable[[str], ReadableStore]


class Carried(NamedTuple):
    """The bytes of a record, its metadata as strings, and its key."""

    raw: bytes | None
    about: Mapping[str, str]
    key: bytes | None = None

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


def of_envelope(record: Record) -> Carried:
    """Return what a Kinesis record carries; the record's own headers as `header.NAME`."""
    try:
        members = msgspec.json.decode(record.data, type=dict[str, Any])
        raw, key = (_decoded(members.pop(name, None)) for name in ("raw", "key"))
        own = _own_headers(members.pop("header_names", None), members.pop("header_values", None))
    except (msgspec.MsgspecError, binascii.Error, TypeError):
        return Carried(record.data, {})  # Has no position, so it is reported as unexpected.
    about = {name: str(value) for name, value in members.items() if value is not None}
    return Carried(raw, own | about, key)


def _decoded(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _own_headers(names: list[str] | None, values: list[str | None] | None) -> dict[str, str]:
    """Decode the record's own headers; msgspec and Flink write bytes in JSON as base64."""
    decoded = [_decoded(value) for value in values or ()]
    return _last_values(names or (), decoded)


def _last_values(names: Iterable[str], values: Iterable[bytes | None]) -> dict[str, str]:
    """Return headers as `header.NAME`; of several values the last, and none that is null."""
    last = dict(zip(names, values, strict=False))
    return {
        f"{OWN_HEADER}{name}": value.decode(errors="replace")
        for name, value in last.items()
        if value is not None
    }


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
    own = _last_values(rows[0].get("header_names") or (), rows[0].get("header_values") or ())
    return Carried(raw, {**record.about, **own})


def is_whole(raw: bytes | None, size: int | None, sha256: str | None) -> bool:
    """Return whether these bytes have that length and SHA-256 (hex)."""
    return raw is not None and len(raw) == size and hashlib.sha256(raw).hexdigest() == sha256


def number(text: str | None) -> int | None:
    """Return the number that a header holds; None if it holds none."""
    return int(text) if text and text.isdecimal() else None
