"""Results of decoding: of one record, and of a batch as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.decode.columns import Array


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded event.

    Timestamps in `values` are numbers of their unit since 1970 (UTC). Of kinds that are not plain,
    values are as Arrow gives them. `partition` is the name of its lake partition: its event type,
    then its folders.
    """

    event_type: str
    schema_version: int
    values: Mapping[str, Any]
    partition: str
    document_id: str
    document_version: int
    document: bytes


@dataclass(frozen=True, slots=True)
class Control:
    """A control record, such as a watermark: counted and never stored.

    Timestamps in `values` are numbers of their unit since 1970 (UTC).
    """

    event_type: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected record: `reason` is a code of `reasons.REASONS`; type and version where known."""

    reason: str
    detail: str
    event_type: str
    schema_version: int


class Table(NamedTuple):
    """The events of one type: their rows in the batch, in order, and their columns by field.

    The columns are Arrow arrays of `arrow_types.arrow_type`.
    """

    rows: Array
    columns: Mapping[str, pa.Array]

    def of(self, rows: Array) -> Mapping[str, pa.Array]:
        """Return the columns of some of the rows, which are in order."""
        if len(rows) == len(self.rows):
            return self.columns
        places = pa.array(np.searchsorted(self.rows, rows))
        return {name: column.take(places) for name, column in self.columns.items()}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded batch, one row for each raw record, in order; attributes are numpy arrays.

    Check `kind` first: it is "event", "control" or "reject". A reject has its `event_type` and
    `schema_version` as far as they are known, else "" and 0. `document_id` is "" in rows without an
    event and without `documents=True`; `document`, `reason` and `detail` are None in rows without
    one. `partition` is the place of the event's partition in `partitions`, -1 in rows without an
    event. `tables` has the events by type. `unknown` are the members outside of the schema as JSON
    text, None in rows without any. `native` is how many records took the fast path.
    """

    kind: Array
    event_type: Array
    schema_version: Array
    partition: Array
    document_id: Array
    document_version: Array
    document: Array
    reason: Array
    detail: Array
    unknown: Array
    partitions: Sequence[str]
    tables: Mapping[str, Table]
    native: int = 0

    def __len__(self) -> int:
        return len(self.kind)


def joined(parts: Sequence[Decoded]) -> Decoded:
    """Return batches as one, in order."""
    names = {attribute.name for attribute in fields(Decoded)} - {"partitions", "tables", "native"}
    attributes = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    partitions: list[str] = []
    tables: dict[str, list[Table]] = {}
    rows = 0
    for part in parts:
        places = attributes["partition"][rows : rows + len(part)]
        places[places >= 0] += len(partitions)
        partitions += part.partitions
        for name, each in part.tables.items():
            tables.setdefault(name, []).append(Table(each.rows + rows, each.columns))
        rows += len(part)
    return Decoded(
        **attributes,
        partitions=partitions,
        tables={name: joined_tables(each) for name, each in tables.items()},
        native=sum(part.native for part in parts),
    )


def joined_tables(parts: Sequence[Table]) -> Table:
    """Return tables of one event type as one, whose rows are in order."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([part.rows for part in parts])
    columns = {
        name: pa.concat_arrays([part.columns[name] for part in parts]) for name in parts[0].columns
    }
    if (rows[1:] > rows[:-1]).all():
        return Table(rows, columns)
    order = np.argsort(rows)
    places = pa.array(order)
    return Table(rows[order], {name: column.take(places) for name, column in columns.items()})
