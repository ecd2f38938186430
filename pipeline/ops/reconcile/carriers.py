"""Records as topics and streams carry them, a page at a time and by the column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from confluent_kafka import Message
from numpy.typing import NDArray

from connectors import checksums as content
from connectors import positions
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.kinesis.reader import Record
from pipeline.decode.timestamps import parse
from pipeline.ops.readers import carried
from pipeline.ops.readers.carried import Carried, OpenFolder

_PAGE: Final = 5_000
_OF_POSITION: Final = ("topic", "stream", "shard", "sequence_number")
NO_TIME: Final = -(2**63)
"""The arrival of a record that says none."""

Said = Mapping[str, bytes | None]
OwnHeader = dict[str, bytes | None]


class Page:
    """Some thousand carried records.

    `raws` are the bytes, `table` the positions, `said` what else is said of each.
    """

    def __init__(self, raws: list[bytes | None], table: pa.Table, said: list[Said]) -> None:
        self.raws = raws
        self.table = table
        self.said = said

    def texts(self, name: str) -> list[str]:
        """What is said under that name; "" where nothing is."""
        return [_text(one.get(name)) or "" for one in self.said]

    def arrival(self) -> NDArray[np.int64]:
        """Epoch milliseconds; NO_TIME where there is no time."""
        known: dict[str, int] = {}
        texts = self.texts("arrival_time")
        for text in set(texts):
            found = parse(text)
            known[text] = found if isinstance(found, int) else NO_TIME
        return np.array([known[text] for text in texts], dtype=np.int64)

    def digests(self, open_folder: OpenFolder) -> content.Hashes:
        """The digest of each record's bytes; of a large one those that its pointer leads to."""
        found = content.digests(self.raws)
        for row in self.large():
            about = {name: _text(value) or "" for name, value in self._about(row).items()}
            whole = carried.digests([Carried(self.raws[row], about)], open_folder)
            found[row] = np.uint64(whole[0])
        return found

    def large(self) -> list[int]:
        """The rows whose bytes are only a head."""
        return [row for row, one in enumerate(self.said) if one.get("full_record") is not None]

    def _about(self, row: int) -> OwnHeader:
        place = self.table.slice(row, 1).to_pylist()[0]
        own = {name: str(value).encode() for name, value in place.items() if value is not None}
        return {**own, **{k: v for k, v in self.said[row].items() if v is not None}}


class Tail:
    """A topic, read to its present end, and then from there on to what is its end by then."""

    def __init__(self, cluster: Kafka, topic: str) -> None:
        self._cluster = cluster
        self._topic = topic
        self._next: dict[int, int] = {}

    def pages(self) -> Iterator[list[Message]]:
        """What is committed and wasn't given before."""
        ends = kafka_topic.ends(self._cluster, self._topic)
        spans = {p: (max(low, self._next.get(p, 0)), end) for p, (low, end) in ends.items()}
        for page in kafka_topic.pages(self._cluster, self._topic, spans):
            for message in page:
                partition, offset = message.partition(), message.offset()
                assert partition is not None and offset is not None  # A consumed message has both.
                self._next[partition] = offset + 1
            yield page


def message_pages(pages: Iterable[list[Message]], prefix: str = "") -> Iterator[Page]:
    """Kafka messages; `prefix` stands before the names of our headers."""
    for page in pages:
        raws: list[Any] = [message.value() for message in page]
        all_headers: list[Any] = [message.headers() for message in page]
        said = [_own(headers or (), prefix) for headers in all_headers]
        yield Page(raws, _positions(said), said)


def envelope_pages(records: Iterable[Record]) -> Iterator[Page]:
    """Records of a stream; one that is no envelope has no position."""
    remaining = iter(records)
    while page := list(islice(remaining, _PAGE)):
        raws, said = zip(*(_envelope(record.data) for record in page), strict=True)
        yield Page(list(raws), _positions(said), list(said))


class _Envelope(msgspec.Struct):
    raw: bytes | None = None
    header_names: list[str] | None = None
    header_values: list[bytes | None] | None = None


def _envelope(data: bytes) -> tuple[bytes | None, Said]:
    try:
        found = msgspec.json.decode(data, type=_Envelope)
        rest = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError:
        return data, {}
    values = found.header_values or ()
    own = {f"header.{k}": v for k, v in zip(found.header_names or (), values, strict=False)}
    skipped = ("raw", "header_names", "header_values")
    texts = {k: str(v).encode() for k, v in rest.items() if v is not None and k not in skipped}
    return found.raw, {**own, **texts}


def _own(headers: Iterable[tuple[str, bytes | None]], prefix: str) -> Said:
    """What we say of a record; its own headers, where ours have a prefix, as header.NAME."""
    if not prefix:
        return dict(headers)
    start = len(prefix)
    return {
        name[start:] if name.startswith(prefix) else f"header.{name}": value
        for name, value in headers
    }


def _positions(said: Iterable[Said]) -> pa.Table:
    rows = list(said)
    columns: dict[str, pa.Array] = {}
    for field in positions.SCHEMA:
        texts = [_text(one.get(field.name)) for one in rows]
        values = texts if field.name in _OF_POSITION else [_number(text) for text in texts]
        columns[field.name] = pa.array(values, field.type)
    if columns["stream"].null_count == len(rows):
        columns = {name: columns[name] for name in ("topic", "partition", "offset")}
    return pa.table(columns)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None
