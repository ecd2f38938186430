"""A batch's result, put together of its events by type, its control records and its rejects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipeline.decode.columns import Array, numpy_of, objects
from pipeline.decode.fault import Fault
from pipeline.decode.origins import Origins
from pipeline.decode.outcome import Decoded, Table, joined_tables
from pipeline.decode.partition import Partitioner
from pipeline.events.identity import joined, part_text
from pipeline.events.model import EventType, Field

_TEXTS: Final = ("event_type", "document_id")


@dataclass(frozen=True, slots=True)
class Part:
    """Events of one type: their table, and their documents where they were asked for."""

    event_type: EventType
    table: Table
    documents: Array | None


class Assembly:
    """Builds a `Decoded`; `partitioners` are by event type."""

    def __init__(
        self, origins: Origins, rows: int, partitioners: Mapping[str, Partitioner]
    ) -> None:
        self._origins = origins
        self._rows = rows
        self._partitioners = partitioners
        self._partitions: list[str] = []
        self._tables: dict[str, Table] = {}
        self._arrays = {
            **{name: _texts(rows, "") for name in _TEXTS},
            **{name: _texts(rows, None) for name in ("document", "reason", "detail", "unknown")},
            "kind": _texts(rows, "reject"),
            "schema_version": np.zeros(rows, np.int32),
            "partition": np.full(rows, -1, np.int64),
            "document_version": np.zeros(rows, np.int64),
        }

    def add_control(self, name: str, rows: Array) -> None:
        """Mark the rows as control of this name; nothing of them is kept."""
        self._put("kind", rows, "control")
        self._put("event_type", rows, name)

    def add_events(self, parts: Sequence[Part]) -> None:
        """Add the events of one type."""
        event_type = parts[0].event_type
        table = joined_tables([part.table for part in parts])
        self._tables[event_type.name] = table
        self._put("kind", table.rows, "event")
        self._put("event_type", table.rows, event_type.name)
        self._put("schema_version", table.rows, event_type.version)
        self._add_position(table, event_type)
        for part in parts:
            if part.documents is not None:
                self._put("document", part.table.rows, part.documents)
        if parts[0].documents is not None:
            self._put("document_id", table.rows, self._ids(table, event_type))

    def add_rejects(self, faults: Mapping[int, Fault]) -> None:
        """Fill the rows of rejects."""
        for row, fault in faults.items():
            self._arrays["event_type"][row] = fault.event_type
            self._arrays["schema_version"][row] = fault.schema_version
            self._arrays["reason"][row] = fault.reason
            self._arrays["detail"][row] = fault.detail

    def add_unknown(self, unknown: Mapping[int, str]) -> None:
        """Keep the unknown members of rows."""
        for row, text in unknown.items():
            self._arrays["unknown"][row] = text

    def decoded(self, native: int) -> Decoded:
        """Return the batch, of which so many records took the fast path."""
        return Decoded(
            partitions=self._partitions, tables=self._tables, native=native, **self._arrays
        )

    def _ids(self, table: Table, event_type: EventType) -> Array:
        if not event_type.id:
            assert self._origins.ids is not None, "whoever asks for documents knows positions"
            return objects([self._origins.ids[row] for row in table.rows.tolist()])
        parts = [_id_texts(table, event_type.field(name)) for name in event_type.id]
        return parts[0] if len(parts) == 1 else objects(list(map(joined, zip(*parts, strict=True))))

    def _add_position(self, table: Table, event_type: EventType) -> None:
        partitioner = self._partitioners[event_type.name]
        places, names = partitioner.partitions(lambda name: numpy_of(table.columns[name]))
        self._put("partition", table.rows, places + len(self._partitions))
        self._partitions += names
        if event_type.version_time:
            # A copy: rows may still be rejected.
            version = numpy_of(table.columns[event_type.version_time]).view(np.int64).copy()
            self._put("document_version", table.rows, version)
        elif self._origins.versions is not None:
            self._put("document_version", table.rows, self._origins.versions[table.rows])

    def _put(self, name: str, rows: Array, values: Any) -> None:
        if len(rows) < self._rows:
            self._arrays[name][rows] = values
        elif isinstance(values, np.ndarray):
            self._arrays[name] = values
        else:
            self._arrays[name][:] = values


def _id_texts(table: Table, field: Field) -> Array:
    column = table.columns[field.name]
    if field.kind in ("int32", "int64"):
        column = column.cast(pa.string())
    if field.kind == "timestamp":
        return objects([f"{text}Z" for text in np.datetime_as_string(numpy_of(column)).tolist()])
    if field.kind == "boolean":
        return objects([part_text(field, value) for value in column.to_pylist()])
    return numpy_of(column)


def _texts(rows: int, value: str | None) -> Array:
    array = np.empty(rows, object)  # of None
    if value is not None:
        array[:] = value
    return array
