"""Reads a replica back: each event's content, and where its headers say that it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from connectors import checksums as content
from connectors import positions
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.kinesis import reader as kinesis_stream
from connectors.positions import Position, Positions
from dev.demo.ledger import Ledger
from pipeline.ops.readers import carried

_PAGE: Final = 5_000
_NO_ID: Final = -1


class Replicated(NamedTuple):
    """One event of a replica; Kinesis has no headers, so no position is known there."""

    key: str
    value: bytes | None
    position: Position | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRecords:
    """Every event of a replica, column by column; `positions` is None where none is told.

    `keys` are the record's keys as numbers, -1 for what is no trip id.
    """

    keys: Positions
    contents: content.Hashes
    positions: Positions | None


def from_kafka(cluster: Kafka, topic: str) -> Iterator[Replicated]:
    """A replica in a Kafka topic: the committed events only."""
    for message in kafka_topic.messages(cluster, topic):
        found = carried.of_message(message)
        key: Any = message.key()
        yield Replicated((key or b"").decode(errors="replace"), found.raw, found.position)


def from_kinesis(client: Any, stream: str) -> Iterator[Replicated]:
    """A replica in a Kinesis stream."""
    for record in kinesis_stream.records(client, stream):
        yield Replicated(record.key, record.data, None)


def read_replica(found: Iterable[Replicated], ledger: Ledger) -> ReplicaRecords:
    """A replica's events as columns; memory holds some thousand at a time."""
    remaining = iter(found)
    parts = [_columns([], ledger)]
    placed = True
    while page := list(islice(remaining, _PAGE)):
        placed = page[0].position is not None
        parts.append(_columns(page, ledger))
    keys, contents, places = (np.concatenate(column) for column in zip(*parts, strict=True))
    return ReplicaRecords(keys=keys, contents=contents, positions=places if placed else None)


def _columns(page: list[Replicated], ledger: Ledger) -> tuple[Positions, content.Hashes, Positions]:
    places = positions.table_of(one.position or Position() for one in page)
    return (
        np.array([_number(one.key) for one in page], dtype=np.int64),
        content.of_documents([_document(one.value) for one in page]),
        ledger.position_numbers(places),
    )


def _document(value: bytes | None) -> dict[str, Any]:
    try:
        return msgspec.json.decode(value or b"", type=dict[str, Any])
    except msgspec.MsgspecError:
        return {"no JSON object": repr(value)}  # Of a content that nothing has.


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else _NO_ID
