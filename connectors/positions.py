"""Where a record stands in its source, as one number, whichever back end holds it.

Topic, partition and offset fit a number of their own, never negative.  A Kinesis sequence number
is too long for that: stream, shard and sequence number become a hash, less than -1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from connectors import checksums as content

Positions = NDArray[np.int64]

UNKNOWN: Final = -1
"""The number of no position: an unknown topic, or nothing said."""

OFFSET_BITS: Final = 38
PARTITION_BITS: Final = 16


class Position(NamedTuple):
    """A record's position: the first three fields on Kafka, the last three on Kinesis."""

    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    stream: str | None = None
    shard: str | None = None
    sequence_number: str | None = None


SCHEMA: Final = pa.schema(
    {
        "topic": pa.string(),
        "partition": pa.int32(),
        "offset": pa.int64(),
        "stream": pa.string(),
        "shard": pa.string(),
        "sequence_number": pa.string(),
    }
)
COLUMNS: Final = tuple(SCHEMA.names)


def table_of(positions: Iterable[Position]) -> pa.Table:
    """Positions as a table of all six columns."""
    return pa.Table.from_pylist([one._asdict() for one in positions], schema=SCHEMA)


def columns_of(table: pa.Table, prefix: str = "") -> pa.Table:
    """The six columns of a table that has those of one back end, or of both.

    `prefix` stands before each name there; a column that isn't there is null.
    """
    given = {name: table.column(prefix + name) for name in _present(table, prefix)}
    absent = {
        field.name: pa.nulls(table.num_rows, field.type)
        for field in SCHEMA
        if field.name not in given
    }
    columns = {**given, **absent}
    return pa.table({field.name: _cast(columns[field.name], field.type) for field in SCHEMA})


def numbers(table: pa.Table, topics: list[str], prefix: str = "") -> Positions:
    """Each row's position as one number; -1 where the topic isn't one of these."""
    columns = columns_of(table, prefix)
    on_kinesis = np.asarray(columns.column("stream").is_valid())
    found: Positions = np.where(on_kinesis, _hashes(columns), _packed(columns, topics))
    return found


def kafka_numbers(table: pa.Table, topics: list[str], prefix: str = "") -> Positions:
    """As `numbers`, of a table that has Kafka positions only: several times faster."""
    return _packed(columns_of(table, prefix), topics)


def packed(code: int, partition: int, offset: int) -> int:
    """The number of an offset; `code` is the topic's place in the list of topics."""
    return ((code << PARTITION_BITS) | partition) << OFFSET_BITS | offset


def unpacked(number: int) -> tuple[int, int, int]:
    """The topic's code, the partition and the offset of a number that isn't negative."""
    offset = number & ((1 << OFFSET_BITS) - 1)
    partition = number >> OFFSET_BITS & ((1 << PARTITION_BITS) - 1)
    return number >> (OFFSET_BITS + PARTITION_BITS), partition, offset


def _present(table: pa.Table, prefix: str) -> list[str]:
    return [name for name in COLUMNS if prefix + name in table.column_names]


def _cast(column: Any, kind: pa.DataType) -> Any:
    return column if column.type == kind else column.cast(kind)


def _packed(columns: pa.Table, topics: list[str]) -> Positions:
    places = pc.index_in(columns.column("topic"), pa.array(topics, pa.string()))
    code = np.asarray(pc.fill_null(places, -1)).astype(np.int64)
    partition = np.asarray(pc.fill_null(columns.column("partition"), -1)).astype(np.int64)
    offset = np.asarray(pc.fill_null(columns.column("offset"), -1))
    known = (code >= 0) & (partition >= 0) & (offset >= 0)
    packed = (((code << PARTITION_BITS) | partition) << OFFSET_BITS) | offset
    return np.where(known, packed, UNKNOWN)


def _hashes(columns: pa.Table) -> Positions:
    texts = pc.binary_join_element_wise(
        *(columns.column(name) for name in ("stream", "shard", "sequence_number")), "/"
    )
    hashes = (_hash(text) for text in texts.to_pylist())
    return np.fromiter(hashes, dtype=np.int64, count=columns.num_rows)


def _hash(text: str | None) -> int:
    # 62 bits, below -1: never a Kafka position's number, and no two of a million records alike.
    return UNKNOWN if text is None else -2 - (content.digest(text.encode()) >> 2)
