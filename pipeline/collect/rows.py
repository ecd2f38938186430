"""Records with their bytes as streams, by arrival: what archive and dead letters share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.collect.columns import arrow_schema
from pipeline.collect.errors import CONVERSION_ERRORS, CollectError, first_bad
from pipeline.collect.folders import dictionary
from pipeline.collect.inputs import arrow, header_lists, instants
from pipeline.collect.stream import Stream, encode
from pipeline.decode.claim_check import byte_lengths
from pipeline.decode.columns import Array
from pipeline.decode.records import HEADERS

STREAM_BYTES: Final = 32 << 20
"""The raw bytes of a stream, as long as one record has less: a bucket grows by whole streams."""

Columns = Mapping[str, Array]
"""Columns of records by name: as in `Inputs`, and further ones of texts and numbers."""


class Rows:
    """Makes streams of one step's records; `folder` names the folder of a row's number."""

    def __init__(
        self,
        step: str,
        columns: Mapping[str, str],
        positions: Sequence[str],
        folder: Callable[[int], str],
    ) -> None:
        self._step = step
        self._schema = arrow_schema(columns)
        self._order = ("arrival_time", *positions)
        self._folder = folder

    def streams(self, columns: Columns, numbers: Array, key: str) -> Iterator[Stream]:
        """Yield the rows as streams of this key; `numbers` are those of their folders.

        Raises:
            CollectError: the rows can't be columns of a file.
        """
        order = np.arange(len(numbers))
        if (numbers[1:] != numbers[:-1]).any():
            order = np.argsort(numbers, kind="stable")
        for rows in _parts(order, columns["raw"]):
            try:
                batch = self._batch(columns, rows)
            except CONVERSION_ERRORS as error:
                folder = self._first_bad(columns, rows, numbers)
                raise CollectError(self._step, folder, error) from None
            folders = dictionary(numbers[rows], self._folder)
            yield Stream(key, encode(batch, folders, self._order))

    def _batch(self, columns: Columns, rows: Array) -> pa.RecordBatch:
        lists = header_lists(columns["own_headers"][rows])
        arrays = [
            lists[field.name]
            if field.name in HEADERS
            else instants(columns["arrival_ms"][rows])
            if field.name == "arrival_time"
            else arrow(columns[field.name][rows], field.type)
            for field in self._schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _first_bad(self, columns: Columns, rows: Array, numbers: Array) -> str:
        """Return the first folder whose rows can't be columns."""
        number = first_bad(numbers[rows], lambda at: self._batch(columns, rows[at]))
        return "all folders" if number is None else self._folder(number)


def _parts(rows: Array, raws: Array) -> Iterator[Array]:
    """Divide rows so that each part has at most `STREAM_BYTES`, or one record."""
    if sum(map(len, filter(None, raws))) <= STREAM_BYTES:
        yield rows
        return
    size, start = 0, 0
    for end, length in enumerate(byte_lengths(raws[rows]).tolist()):
        size += length
        if size > STREAM_BYTES and end > start:
            yield rows[start:end]
            size, start = length, end
    yield rows[start:]
