"""Decoded events as streams for the lake: one for each event type and bucket of the batch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import mmh3
import numpy as np
import pyarrow as pa

from pipeline.collect.columns import file_schema, lake_position
from pipeline.collect.errors import CONVERSION_ERRORS, CollectError, first_bad
from pipeline.collect.folders import dictionary
from pipeline.collect.inputs import Inputs, arrow, instants, position_names, readable
from pipeline.collect.stream import Stream, encode
from pipeline.config.model import Source
from pipeline.decode.columns import Array
from pipeline.decode.decoder import UNKNOWN_FIELDS, Decoded
from pipeline.events.event_types import EventTypes
from pipeline.events.model import EventType

STEP: Final = "lake"


@dataclass(frozen=True, slots=True)
class _Table:
    """One event type's files: the Arrow schema, and how their rows are sorted."""

    event_type: EventType
    schema: pa.Schema
    order: tuple[str, ...]


class LakeRows:
    """Makes streams of the events that are new to the lake.

    A lake partition always has the same of the `keys`, so its rows are collected together.
    """

    def __init__(
        self, types: EventTypes, source: Source, keys: Sequence[str], *, keep_unknown: bool
    ) -> None:
        self._keys = tuple(keys)
        self._positions = position_names(source)
        self._tables = tuple(
            _table(event_type, source, self._positions, keep_unknown=keep_unknown)
            for event_type in types
        )

    def streams(
        self, decoded: Decoded, inputs: Inputs, redriven: Collection[int] = ()
    ) -> Iterator[Stream]:
        """Yield the streams of a batch. The `redriven` rows are in the lake already.

        Raises:
            CollectError: the rows can't be columns of a file.
        """
        is_new = decoded.partition >= 0
        if redriven:
            is_new[list(redriven)] = False
        bucket_of = bucket_numbers(decoded.partitions, len(self._keys))
        for table in self._tables:
            if table.event_type.name not in decoded.tables:
                continue
            rows = decoded.tables[table.event_type.name].rows
            rows = rows[is_new[rows]]
            if len(rows):
                yield from self._streams(table, rows, bucket_of, decoded, inputs)

    def _streams(
        self, table: _Table, rows: Array, bucket_of: Array, decoded: Decoded, inputs: Inputs
    ) -> Iterator[Stream]:
        numbers = decoded.partition[rows]
        buckets = bucket_of[numbers]
        order = np.argsort(buckets * len(decoded.partitions) + numbers, kind="stable")
        numbers, buckets = numbers[order], buckets[order]
        try:
            batch = self._batch(table, rows, decoded, inputs).take(pa.array(order))
        except CONVERSION_ERRORS as error:
            folder = self._first_bad(table, rows, decoded, inputs)
            raise CollectError(STEP, folder, error) from None
        starts = np.searchsorted(buckets, np.arange(len(self._keys) + 1))
        for key, start, end in zip(self._keys, starts, starts[1:], strict=False):
            if start < end:
                folders = dictionary(numbers[start:end], decoded.partitions.__getitem__)
                of_key = batch.slice(start, end - start)
                yield Stream(key, encode(of_key, folders, table.order))

    def _batch(
        self, table: _Table, rows: Array, decoded: Decoded, inputs: Inputs
    ) -> pa.RecordBatch:
        """Return the columns of the rows in a file's order of columns."""
        is_whole = len(rows) == len(decoded)

        def chosen(values: Array) -> Array:
            return values if is_whole else values[rows]

        columns = dict(decoded.tables[table.event_type.name].of(rows))
        if UNKNOWN_FIELDS in table.schema.names:
            columns[UNKNOWN_FIELDS] = pa.array(chosen(decoded.unknown), pa.string())
        kinds = {field.name: field.type for field in table.schema}
        for name in self._positions:
            column = lake_position(name)
            columns[column] = arrow(chosen(inputs.position[name]), kinds[column])
        columns["arrival_time"] = instants(readable(chosen(inputs.arrival_ms)))
        version = pa.scalar(table.event_type.version, pa.int32())
        columns["schema_version"] = pa.repeat(version, len(rows))
        arrays = [columns[name] for name in table.schema.names]
        return pa.RecordBatch.from_arrays(arrays, schema=table.schema)

    def _first_bad(self, table: _Table, rows: Array, decoded: Decoded, inputs: Inputs) -> str:
        """Return the first folder whose rows can't be columns."""
        number = first_bad(
            decoded.partition[rows], lambda at: self._batch(table, rows[at], decoded, inputs)
        )
        return table.event_type.name if number is None else decoded.partitions[number]


def bucket_numbers(partitions: Sequence[str], buckets: int) -> Array:
    """Return the number of each partition's bucket, which follows from its name alone."""
    numbers = (mmh3.hash(name, signed=False) % buckets for name in partitions)
    return np.fromiter(numbers, np.int64, len(partitions))


def _table(
    event_type: EventType, source: Source, positions: Sequence[str], *, keep_unknown: bool
) -> _Table:
    schema = file_schema(event_type, source, keep_unknown=keep_unknown)
    return _Table(event_type, schema, (event_type.event_time, *map(lake_position, positions)))
