"""The rows of a bucket, in the order of their files, cut into row groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.collect import memory
from pipeline.collect.stream import FOLDER, ORDER
from pipeline.decode.columns import Array

ROW_GROUP: Final = 131_072
"""The most rows of a row group; readers skip row groups by their statistics."""

_GROUP_BYTES: Final = 16 << 20
_COPY: Final = 32_768
_LARGE: Final = 32 << 20
_FREED: Final = 4
_LEAST: Final = np.iinfo(np.int64).min
_MOST: Final = 1 << 62


@dataclass(frozen=True, slots=True)
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
        schema = batches[0].schema.remove_metadata()
        self.schema = schema.remove(schema.get_field_index(FOLDER))
        names, codes = _folders(batches)
        keys = [_sort_key([batch.column(name) for batch in batches]) for name in self.order]
        self._places = _sorted([codes, *(key for key in keys if key is not None)])
        stops = np.cumsum(np.bincount(codes, minlength=len(names))).tolist()
        folders = map(Folder, names, [0, *stops[:-1]], stops)
        self.folders = [folder for folder in folders if len(folder)]
        size = sum(batch.get_total_buffer_size() for batch in batches)
        self._group = max(1, min(ROW_GROUP, _GROUP_BYTES * len(codes) // max(size, 1)))
        self._columns = _columns(batches, self.schema)
        self._copied, self._start = self._copy(self._places[:0]), 0

    def all(self) -> pa.RecordBatch:
        """Return all rows, in order."""
        return self._copy(self._places)

    def row_groups(self, folder: Folder) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a folder, in order."""
        for start in range(folder.start, folder.stop, self._group):
            yield self._slice(start, min(start + self._group, folder.stop))

    def sample(self, folder: Folder, rows: int) -> pa.RecordBatch:
        """Return about this number of the folder's rows, from all over it."""
        step = max(1, len(folder) // rows)
        return self._copy(self._places[folder.start : folder.stop : step])

    def _slice(self, start: int, stop: int) -> pa.RecordBatch:
        """Copy small folders together: one by one, they would cost several times as much."""
        if start < self._start or stop > self._start + len(self._copied):
            self._copied = None  # frees the last copy before the next one
            end = max(stop, start + min(_COPY, self._group))
            self._copied, self._start = self._copy(self._places[start:end]), start
        return self._copied.slice(start - self._start, stop - start)

    def _copy(self, places: Array) -> pa.RecordBatch:
        copies = [column.take(places) for column in self._columns]
        return pa.RecordBatch.from_arrays(copies, schema=self.schema)


class _Joined:
    """A column whose parts became one array."""

    def __init__(self, parts: list[pa.Array]) -> None:
        self._array = pa.concat_arrays(parts)

    def take(self, places: Array) -> pa.Array:
        return self._array.take(pa.array(places))


class _Parts:
    """A large column, such as raw records, which would need twice its memory to be joined."""

    def __init__(self, parts: list[pa.Array]) -> None:
        self._parts = parts
        self._firsts = np.cumsum([0, *map(len, parts)])[:-1]

    def take(self, places: Array) -> pa.Array:
        """Copy the values out of each part that has any, then put them in order."""
        owners = np.searchsorted(self._firsts, places, "right") - 1
        by_owner = np.argsort(owners, kind="stable")
        used, starts = np.unique(owners[by_owner], return_index=True)
        rows_of = np.split(places[by_owner], starts[1:])
        copies = [
            self._parts[owner].take(pa.array(rows - self._firsts[owner]))
            for owner, rows in zip(used, rows_of, strict=False)
        ]
        copied = pa.concat_arrays(copies) if copies else self._parts[0].slice(0, 0)
        if (by_owner[1:] < by_owner[:-1]).any():
            copied = copied.take(pa.array(np.argsort(by_owner)))
        return copied


def _columns(batches: list[pa.RecordBatch], schema: pa.Schema) -> list[_Joined | _Parts]:
    """Return the columns; `batches` becomes empty.

    Memory is given back after every few columns, else a heap would hold all of them twice: the
    parts of a column lie between those of others.
    """
    parts_of = [[batch.column(name) for batch in batches] for name in schema.names]
    batches.clear()
    columns: list[_Joined | _Parts] = []
    while parts_of:
        parts = parts_of.pop(0)
        is_large = sum(part.get_total_buffer_size() for part in parts) > _LARGE
        columns.append((_Parts if is_large else _Joined)(parts))
        if len(columns) % _FREED == 0:
            memory.release()
    return columns


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
    return names, _small(place_of[np.concatenate(codes)], len(names))


def _small(numbers: Array, end: int) -> Array:
    """Return numbers below `end` in 16 bits if they fit, which numpy sorts by radix."""
    return numbers.astype(np.uint16) if end <= 1 << 16 else numbers


def _sorted(keys: Sequence[Array]) -> Array:
    """Return the places of rows in the order of the first key, then the next ones.

    Keys are packed into one number as far as 62 bits go: sorting by one takes a third of the time.
    """
    packed, room = [np.zeros(len(keys[0]), np.int64)], _MOST
    for key in keys if len(keys[0]) else ():
        span = _span(key)
        if span > _MOST:
            packed, room = [*packed, key], 0
        elif span > room:
            packed, room = [*packed, key - key.min()], _MOST // span
        else:
            packed[-1] = packed[-1] * span + (key.astype(np.int64) - int(key.min()))
            room //= span
    places: Array = np.lexsort(packed[::-1])
    return places


def _span(key: Array) -> int:
    """Return how many values there may be from the least to the greatest."""
    return int(key.max()) - int(key.min()) + 1


def _sort_key(parts: Sequence[pa.Array]) -> Array | None:
    """Return numbers in the order of the values, nulls first; None if all values are the same."""
    column = pa.concat_arrays(parts)
    if pa.types.is_string(column.type):
        coded = column.dictionary_encode()
        ranks = np.empty(len(coded.dictionary), np.int64)
        ranks[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(ranks))
        column = pc.take(pa.array(ranks), coded.indices)
    numbers: Array = column.cast(pa.int64()).fill_null(_LEAST).to_numpy()
    return numbers if len(numbers) and (numbers != numbers[0]).any() else None
