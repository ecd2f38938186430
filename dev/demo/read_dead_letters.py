"""Reads the dead letters back: from a Kafka topic, a Kinesis stream or Parquet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np

from connectors import checksums as content
from connectors import positions
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.kinesis import reader as kinesis_stream
from connectors.positions import Position, Positions
from connectors.s3.storage import Store, tables
from dev.demo.ledger import Ledger
from pipeline.ops.readers import carried
from pipeline.ops.readers.carried import Carried, OpenFolder

_COLUMNS: Final = ["step", "reason", "detail", "raw", *positions.COLUMNS]
_PAGE: Final = 1_000
_REPLICA: Final = re.compile(r"replica ([a-z][a-z0-9_]*): ")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter: the position it came from, why it is here, and its bytes' digest.

    `is_large` says that the target holds only its head; the digest is of the whole all the same.
    `replica` names the one that refused the event, where one did.
    """

    step: str
    reason: str
    position: Position
    digest: int
    is_large: bool = False
    replica: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """All dead letters, column by column."""

    positions: Positions
    digests: content.Hashes
    steps: list[str]
    reasons: list[str]
    replicas: list[str]
    large: int


def collect(letters: Iterable[DeadLetter], ledger: Ledger) -> DeadLetters:
    """The dead letters as columns."""
    found = list(letters)
    return DeadLetters(
        positions=ledger.position_numbers(positions.table_of(one.position for one in found)),
        digests=np.array([one.digest for one in found], dtype=np.uint64),
        steps=[one.step for one in found],
        reasons=[one.reason for one in found],
        replicas=[one.replica for one in found],
        large=sum(one.is_large for one in found),
    )


def from_parquet(store: Store) -> Iterator[DeadLetter]:
    """The dead letters of an S3 path."""
    for batch in tables(store, store.listing(), _COLUMNS):
        for _, table in batch:
            for row in table.to_pylist():
                position = Position(*map(row.get, positions.COLUMNS))
                yield DeadLetter(
                    row["step"],
                    row["reason"],
                    position,
                    content.digest(row["raw"]),
                    replica=_replica(row.get("detail")),
                )


def from_kafka(cluster: Kafka, topic: str, open_folder: OpenFolder) -> Iterator[DeadLetter]:
    """The dead letters of a Kafka topic, from its beginning to its present end."""
    return _letters(map(carried.of_message, kafka_topic.messages(cluster, topic)), open_folder)


def from_kinesis(client: Any, stream: str, open_folder: OpenFolder) -> Iterator[DeadLetter]:
    """The dead letters of a Kinesis stream, from its beginning to its present end."""
    return _letters(map(carried.of_envelope, kinesis_stream.records(client, stream)), open_folder)


def _letters(found: Iterable[Carried], open_folder: OpenFolder) -> Iterator[DeadLetter]:
    remaining = iter(found)
    while page := list(islice(remaining, _PAGE)):
        for one, digest in zip(page, carried.digests(page, open_folder), strict=True):
            step, reason = (one.about.get(name, "") for name in ("step", "reason"))
            replica = _replica(one.about.get("detail"))
            yield DeadLetter(step, reason, one.position, digest, one.is_large, replica)


def _replica(detail: str | None) -> str:
    """The replica that a detail names: `replica airport: 1234567 bytes`."""
    match = _REPLICA.match(detail or "")
    return match[1] if match else ""
