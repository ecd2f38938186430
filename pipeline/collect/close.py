"""Closing a bucket: its streams become one complete Parquet file for each folder.

Rows of one folder with different columns, as before and after a schema's upgrade, become different
files. Memory is bounded: so many decoded rows at a time, and a copy of one row group. More rows
become further files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import pyarrow as pa

from connectors.arrow import ParquetWriter
from pipeline.collect.errors import CollectError
from pipeline.collect.reading import READ_ERRORS, by_columns, read
from pipeline.collect.sorted_rows import Folder, SortedRows

DECODED: Final = 5
"""The memory of decoded rows is at most this number of times the size of a bucket. A lake's rows
take three times the size of their streams, raw records five times."""

_SAMPLE: Final = 1000
_FEW: Final = 100


class File(NamedTuple):
    """A complete Parquet file, for a folder relative to its step's path."""

    path: str
    data: bytes
    rows: int


def files(
    step: str, streams: Iterable[bytes], compression: str, bucket_bytes: int
) -> Iterator[File]:
    """Yield the files of these streams' rows, each sorted as its streams say.

    Raises:
        CollectError: a file can't be written.
    """
    for batches in _portions(step, streams, DECODED * bucket_bytes):
        for alike in by_columns(batches):
            yield from _files_of(step, alike, compression)


def _portions(
    step: str, streams: Iterable[bytes], most_bytes: int
) -> Iterator[list[pa.RecordBatch]]:
    """Read the streams, so many at a time that their rows fit into memory."""
    batches: list[pa.RecordBatch] = []
    size = 0
    for data in streams:
        batch = read(step, data)
        if batches and size + batch.get_total_buffer_size() > most_bytes:
            yield batches
            batches, size = [], 0
        batches.append(batch)
        size += batch.get_total_buffer_size()
    if batches:
        yield batches


def _files_of(step: str, batches: list[pa.RecordBatch], compression: str) -> Iterator[File]:
    what = "a bucket"
    try:
        rows = SortedRows(batches)
        options = _options(rows, compression)
        for folder in rows.folders:
            what = folder.name
            data = _parquet(rows, folder, options)
            yield File(folder.name, data, len(folder))
    except READ_ERRORS as error:
        raise CollectError(step, what, error) from None


def _parquet(rows: SortedRows, folder: Folder, options: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    with ParquetWriter(sink, rows.schema, **options) as writer:
        for group in rows.row_groups(folder):
            writer.write_batch(group)
    return bytes(sink.getvalue())


def _options(rows: SortedRows, compression: str) -> dict[str, Any]:
    """Return the options of pyarrow's writer, decided by the largest file for all of them."""
    schema = rows.schema
    largest = max(rows.folders, key=len)
    return {
        "version": "2.6",  # the first that has nanoseconds
        "compression": compression,
        "compression_level": 1 if compression == "ZSTD" else None,
        "use_dictionary": _repeated(rows.sample(largest, _SAMPLE), len(largest)),
        # Least and greatest of a raw record help no reader.
        "write_statistics": [name for name in schema.names if _is_plain(schema.field(name).type)],
        "use_compliant_nested_type": True,  # list.element, as Flink named it
        "store_schema": False,  # Parquet's own types say all; this would be 2 KB a file
    }


def _repeated(sample: pa.RecordBatch, rows: int) -> list[str]:
    """Return the columns for dictionary encoding, which costs each file some 15 us a column.

    It pays where values repeat, as codes and amounts do and ids don't. A column of one value is as
    small without, and so is a short file.
    """
    if rows < _FEW:
        return []
    columns = zip(sample.schema.names, sample.columns, strict=True)
    return [
        name
        for name, column in columns
        if _is_plain(column.type) and 2 <= len(column.unique()) <= len(column) // 2
    ]


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_primitive(kind) or pa.types.is_string(kind))
