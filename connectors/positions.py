"""A record's position in its source, packed into one int64.

Topic, partition and offset are packed into a number that is never negative. A Kinesis sequence
number is too long for that: stream, shard and sequence number become a hash, less than -1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from connectors.checksums import digest

Positions = NDArray[np.int64]

UNKNOWN: Final = -1
"""The number of an unknown topic or of no position."""

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


def columns_of(table: pa.Table, prefix: str = "") -> pa.Table:
    """Return the six columns of a table that has those of Kafka, of Kinesis, or of both.

    The table's column names begin with `prefix`; a column that is absent becomes null.
    """
    columns = dict(zip(table.column_names, table.columns, strict=True))
    absent = pa.nulls(table.num_rows)
    return pa.table(
        {field.name: columns.get(prefix + field.name, absent).cast(field.type) for field in SCHEMA}
    )


def numbers(table: pa.Table, topics: list[str], prefix: str = "") -> Positions:
    """Return each row's position as one number; UNKNOWN if its topic is not in `topics`."""
    columns = columns_of(table, prefix)
    on_kinesis = np.asarray(columns.column("stream").is_valid())
    result: Positions = np.where(on_kinesis, _hashes(columns), _packed(columns, topics))
    return result


def unpacked(number: int) -> tuple[int, int, int]:
    """Return the topic's code, the partition and the offset of a number that is not negative."""
    offset = number & ((1 << OFFSET_BITS) - 1)
    partition = number >> OFFSET_BITS & ((1 << PARTITION_BITS) - 1)
    return number >> (OFFSET_BITS + PARTITION_BITS), partition, offset


def _packed(columns: pa.Table, topics: list[str]) -> Positions:
    codes = pc.index_in(columns.column("topic"), pa.array(topics, pa.string()))
    code = np.asarray(pc.fill_null(codes, -1)).astype(np.int64)
    partition = np.asarray(pc.fill_null(columns.column("partition"), -1)).astype(np.int64)
    offset = np.asarray(pc.fill_null(columns.column("offset"), -1))
    valid = (code >= 0) & (partition >= 0) & (offset >= 0)
    packed = (((code << PARTITION_BITS) | partition) << OFFSET_BITS) | offset
    return np.where(valid, packed, UNKNOWN)


def _hashes(columns: pa.Table) -> Positions:
    joined = pc.binary_join_element_wise(
        *(columns.column(name) for name in ("stream", "shard", "sequence_number")), "/"
    )
    # 62 bits below -1: never the number of a Kafka position.
    hashes = (
        UNKNOWN if text is None else -2 - (digest(text.encode()) >> 2)
        for text in joined.to_pylist()
    )
    return np.fromiter(hashes, dtype=np.int64, count=columns.num_rows)
