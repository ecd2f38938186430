"""Merging small streams: at a low rate, each has few rows, and most of it is its description."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from pipeline.collect.errors import CollectError
from pipeline.collect.reading import READ_ERRORS, by_columns, read
from pipeline.collect.sorted_rows import SortedRows
from pipeline.collect.stream import encode


def merged(step: str, streams: Iterable[bytes]) -> list[bytes]:
    """Return the same rows as one stream for each set of columns.

    Raises:
        CollectError: a stream can't be read.
    """
    batches = [read(step, data) for data in streams]
    try:
        return [_stream(SortedRows(alike)) for alike in by_columns(batches)]
    except READ_ERRORS as error:
        raise CollectError(step, "a bucket", error) from None


def _stream(rows: SortedRows) -> bytes:
    lengths = list(map(len, rows.folders))
    codes = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    names = pa.array([folder.name for folder in rows.folders], pa.string())
    return encode(rows.all(), pa.DictionaryArray.from_arrays(codes, names), rows.order)
