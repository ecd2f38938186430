"""Read small files and merge their rows into one, ordered by event time.

Memory: the rows of one merged file are held twice while they are sorted or compared, and once
encoded. They take at most `DECODED_BYTES` plus the last file, regardless of the target size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa

from connectors import checksums
from connectors.arrow import open_parquet, write_table
from connectors.errors import UserError
from connectors.s3.parquet import pages
from connectors.s3.store import ReadableStore, Stored

DECODED_BYTES: Final = 256 * 1024 * 1024
_GROUP_ROWS: Final = 131_072
_LEVEL: Final = 3


@dataclass(slots=True)
class Batch:
    """Whole files of one schema: the number of rows of each, and all rows."""

    files: dict[str, int] = field(default_factory=dict)
    parts: list[pa.Table] = field(default_factory=list)
    file_bytes: int = 0
    decoded_bytes: int = 0

    def takes(self, stored: Stored, part: pa.Table, target_bytes: int) -> bool:
        """Return whether this part of a file belongs to this batch; files are never split."""
        if not self.parts or stored.path in self.files:
            return True
        has_room = self.file_bytes < target_bytes and self.decoded_bytes < DECODED_BYTES
        return has_room and bool(part.schema.equals(self.parts[0].schema))

    def add(self, stored: Stored, part: pa.Table) -> None:
        """Add the rows of a file, or of a part of it."""
        if stored.path not in self.files:
            self.files[stored.path] = 0
            self.file_bytes += stored.size
        self.files[stored.path] += part.num_rows
        self.parts.append(part)
        self.decoded_bytes += part.nbytes

    def in_order(self, event_time: str) -> pa.Table:
        """Return all rows by event time, in a stable order, and empty the batch."""
        table = pa.concat_tables(self.parts).combine_chunks()
        self.parts.clear()
        if event_time not in table.column_names:
            first = next(iter(self.files))
            raise UserError(
                f"{first} has no column {event_time!r}, the schema's event time; it has"
                f" {', '.join(table.column_names)}. It was written under another schema: leave its"
                " partition out, or give the configuration whose schemas it has."
            )
        return table.take(np.argsort(checksums.counts(table.column(event_time)), kind="stable"))


def batches(
    lake: ReadableStore, files: list[Stored], target_bytes: int, local: Collection[str]
) -> Iterator[Batch]:
    """Yield the content of each merged file: two files or more, up to the target's size.

    A batch is smaller where the schema changes, or where its memory limit is reached. `local` names
    the columns of local timestamps.
    """
    batch = Batch()
    for stored, read in chain.from_iterable(pages(lake, files)):
        part = read.cast(in_utc(read.schema, local))
        if not batch.takes(stored, part, target_bytes):
            if len(batch.files) > 1:
                yield batch
            batch = Batch()
        batch.add(stored, part)
    if len(batch.files) > 1:
        yield batch


def in_utc(schema: pa.Schema, local: Collection[str]) -> pa.Schema:
    """Return the schema with every time that isn't local as an instant.

    Before 0.3 no time was marked as UTC, and none was in a record, an array or a map.
    """
    for number, column in enumerate(schema):
        unmarked = pa.types.is_timestamp(column.type) and column.type.tz is None
        if unmarked and column.name not in local:
            instant = column.with_type(pa.timestamp(column.type.unit, "UTC"))
            schema = schema.set(number, instant)
    return schema


def encoded(table: pa.Table) -> bytes:
    """Encode the rows as one Parquet file: ZSTD, row groups of 131,072 rows.

    Dictionaries save space except in columns of times, ids and positions, where they made a file
    1.5 times as large.
    """
    with_dictionary = [path for column in table.schema for path in _repeating(column, "")]
    sink = pa.BufferOutputStream()
    write_table(
        table,
        sink,
        row_group_size=_GROUP_ROWS,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=with_dictionary,
        # Without Arrow's schema, the columns read like those of the job's files.
        store_schema=False,
        version="2.6",
    )
    return bytes(sink.getvalue())


def _repeating(column: pa.Field, below: str) -> Iterator[str]:
    """Yield the paths of a column's leaves whose values may repeat, as Parquet names them."""
    path, kind, types = f"{below}{column.name}", column.type, pa.types
    if types.is_struct(kind):
        parts, inner = list(kind), path
    elif types.is_map(kind):
        parts, inner = [pa.field("key", kind.key_type), kind.item_field], f"{path}.key_value"
    elif types.is_list(kind):
        parts, inner = [kind.value_field], f"{path}.list"
    else:
        if not (types.is_int64(kind) or types.is_timestamp(kind)):
            yield path
        return
    for part in parts:
        yield from _repeating(part, f"{inner}.")


def problem(lake: ReadableStore, path: str, expected: pa.Table) -> str:
    """Read a file back and compare its rows; return the difference, or an empty string."""
    try:
        with lake.open(path) as file:
            actual = open_parquet(file).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        return f"{path}: cannot be read back: {error}"
    if actual.equals(expected):
        return ""
    return f"{path}: of {expected.num_rows:,} rows, the {actual.num_rows:,} read back differ"
