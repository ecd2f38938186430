"""The rows of a bucket, in the order of their files, cut into row groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.collect import memory
from pipeline.collect.stream import FOLDER, ORDER
from pipeline.decode.columns import Array

ROW_GROUP: Final = 131_072
"""The most rows of a row group; readers skip row groups by their statistics."""
_COPY: Final = 32_768
_FREED: Final = 4
_LEAST: Final = np.iinfo(np.int64).min


@dataclass(slots=True)
class Folder:
    """A folder, and where its rows begin and end in the order of all rows."""

    name: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class SortedRows:
    """Rows with the same columns, sorted by folder, then as their streams say.

    They stay where they are; what is read in order is a copy, of one row group at a time.
    """

    def __init__(self, batches: list[pa.RecordBatch]) -> None:
        """Take the rows of `batches`, which becomes empty so that their memory is freed."""
        metadata = batches[0].schema.metadata or {}
        self.order = list(filter(None, metadata.get(ORDER, b"").decode().split(",")))
        names, codes = _folders(batches)
        self._batch = _joined(batches)
        self.schema = self._batch.schema
        columns = [self._batch.column(name) for name in self.order]
        keys = [key for key in map(_sort_key, columns) if key is not None]
        self._places = np.lexsort((*reversed(keys), codes))
        stops = np.cumsum(np.bincount(codes, minlength=len(names))).tolist()
        starts = [0, *stops[:-1]]
        folders = map(Folder, names, starts, stops)
        self.folders = [folder for folder in folders if len(folder)]
        self._taken, self._start = self._batch.slice(0, 0), 0

    def all(self) -> pa.RecordBatch:
        """Return all rows, in order."""
        return self._batch.take(pa.array(self._places))

    def row_groups(self, folder: Folder) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a folder, in order."""
        for start in range(folder.start, folder.stop, ROW_GROUP):
            yield self._slice(start, min(start + ROW_GROUP, folder.stop))

    def sample(self, folder: Folder, rows: int) -> pa.RecordBatch:
        """Return about this number of the folder's rows, from all over it."""
        step = max(1, len(folder) // rows)
        return self._batch.take(pa.array(self._places[folder.start : folder.stop : step]))

    def _slice(self, start: int, stop: int) -> pa.RecordBatch:
        """Copy some folders at once: one by one, small ones would cost several times as much."""
        if start < self._start or stop > self._start + self._taken.num_rows:
            self._taken = self._batch.slice(0, 0)  # frees the last copy before the next one
            taken = self._places[start : max(stop, start + _COPY)]
            self._taken, self._start = self._batch.take(pa.array(taken)), start
        return self._taken.slice(start - self._start, stop - start)


def _folders(batches: Sequence[pa.RecordBatch]) -> tuple[list[str], Array]:
    """Return all folders' names in order, and each row's place in them."""
    found: dict[str, int] = {}
    codes = []
    for batch in batches:
        column = batch.column(batch.schema.get_field_index(FOLDER))
        places = [found.setdefault(name, len(found)) for name in column.dictionary.to_pylist()]
        codes.append(np.array(places, np.int32)[column.indices.to_numpy()])
    names = sorted(found)
    place_of = np.empty(len(names), np.int32)
    place_of[[found[name] for name in names]] = np.arange(len(names))
    # numpy sorts 16 bits by radix.
    smallest = np.uint16 if len(names) <= 1 << 16 else np.int32
    return names, place_of[np.concatenate(codes)].astype(smallest)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Join the rows, without their folder.

    Memory is given back after every few columns, else it would hold all of them twice: the parts
    of a column lie between those of others.
    """
    schema = batches[0].schema.remove_metadata()
    schema = schema.remove(schema.get_field_index(FOLDER))
    columns = [[batch.column(name) for batch in batches] for name in schema.names]
    batches.clear()
    joined: list[Any] = []
    while columns:
        joined.append(pa.concat_arrays(columns.pop(0)))
        if len(joined) % _FREED == 0:
            memory.release()
    return pa.RecordBatch.from_arrays(joined, schema=schema)


def _sort_key(column: pa.Array) -> Array | None:
    """Return numbers in the order of the values, nulls first; None if all values are the same."""
    if pa.types.is_string(column.type):
        coded = column.dictionary_encode()
        ranks = np.empty(len(coded.dictionary), np.int64)
        ranks[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(ranks))
        column = pc.take(pa.array(ranks), coded.indices)
    numbers: Array = column.cast(pa.int64()).fill_null(_LEAST).to_numpy()
    return numbers if len(numbers) and (numbers != numbers[0]).any() else None
