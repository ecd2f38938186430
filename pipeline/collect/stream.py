"""Rows on their way to a file: an Arrow IPC stream for each key, packed into one cell for Flink.

A stream describes itself, so it outlives a change of the configuration and of an event's schema in
a savepoint: its columns are those of the file in the file's order, then `FOLDER`; the schema's
metadata names the columns to sort a file's rows by, and how many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple

import pyarrow as pa

from connectors.arrow import stream_bytes, stream_metadata

FOLDER: Final = "__folder"
"""The last column: each row's folder, relative to the step's path. A dictionary of strings."""

TICK: Final = b""
"""In a stream's place, every second: its key may be due."""
END: Final = b"\x01"
"""In a stream's place: the input has ended, or the job is drained."""

ORDER: Final = b"order"
_ROWS: Final = b"rows"
_LENGTH: Final = Struct(">i")


class Stream(NamedTuple):
    """Rows of one step, for one key of the collector, such as `lake/3`."""

    key: str
    data: bytes


def encode(batch: pa.RecordBatch, folders: pa.DictionaryArray, order: Sequence[str]) -> bytes:
    """Return the rows as a stream; they should be grouped by folder, which keeps closing cheap.

    `order` names the columns by which the rows of one file are sorted.
    """
    schema = batch.schema.append(pa.field(FOLDER, folders.type))
    metadata = {ORDER: ",".join(order).encode(), _ROWS: str(batch.num_rows).encode()}
    columns = [*batch.columns, folders]
    described = pa.RecordBatch.from_arrays(columns, schema=schema.with_metadata(metadata))
    return stream_bytes(described)


def row_count(data: bytes) -> int:
    """Return the number of a stream's rows, without reading them."""
    return int(stream_metadata(data)[_ROWS])


def pack(streams: Iterable[Stream]) -> bytes | None:
    """Return the streams as one cell; None if there are none.

    Each is the length of its key (int32, big-endian), the key, the length of its data, the data.
    """
    parts: list[bytes] = []
    for key, data in streams:
        name = key.encode()
        parts += (_LENGTH.pack(len(name)), name, _LENGTH.pack(len(data)), data)
    return b"".join(parts) or None


def unpack(cell: bytes) -> list[Stream]:
    """Return the streams of a cell."""
    return list(_streams(memoryview(cell)))


def _streams(cell: memoryview) -> Iterator[Stream]:
    start = 0
    while start < len(cell):
        name, start = _part(cell, start)
        data, start = _part(cell, start)
        yield Stream(name.decode(), data)


def _part(cell: memoryview, start: int) -> tuple[bytes, int]:
    first = start + _LENGTH.size
    (length,) = _LENGTH.unpack_from(cell, start)
    return bytes(cell[first : first + length]), first + length
