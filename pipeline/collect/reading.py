"""Reading collected streams, and grouping those with the same columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from connectors.arrow import read_stream
from pipeline.collect.errors import CONVERSION_ERRORS, CollectError
from pipeline.collect.stream import ORDER

READ_ERRORS: Final = (*CONVERSION_ERRORS, OSError)


def read(step: str, stream: bytes) -> pa.RecordBatch:
    """Return a stream's rows.

    Raises:
        CollectError: it can't be read.
    """
    try:
        return read_stream(stream)
    except READ_ERRORS as error:
        raise CollectError(step, "a stream", error) from None


def by_columns(batches: list[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Yield groups of batches with the same columns and order; `batches` becomes empty.

    Who clears a group, too, frees its memory.
    """
    groups: dict[tuple[str, bytes], list[pa.RecordBatch]] = {}
    for batch in batches:
        columns = batch.schema.remove_metadata().to_string()
        order = (batch.schema.metadata or {}).get(ORDER, b"")
        groups.setdefault((columns, order), []).append(batch)
    batches.clear()
    while groups:
        yield groups.pop(next(iter(groups)))
