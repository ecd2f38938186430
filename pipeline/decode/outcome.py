"""Results of decoding: of one record, and of a batch as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.decode.columns import Array


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded event; timestamps in `values` are epoch milliseconds (UTC).

    `partition` is the name of its lake partition: its event type, then its folders.
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
    """A watermark, counted and never stored: epoch milliseconds."""

    watermark: int


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected record: `reason` is a code of `reasons.REASONS`; type and version where known."""

    reason: str
    detail: str
    event_type: str
    schema_version: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded batch, one row for each raw record, in order; attributes are numpy arrays.

    Check `kind` first: it is "event", "control" or "reject". A reject has its `event_type` and
    `schema_version` as far as they are known, else "" and 0. `document_id` is "" in rows without an
    event and without `documents=True`; `document`, `reason` and `detail` are None in rows without
    one. `partition` is the place of the event's partition in `partitions`, -1 in rows without an
    event. `columns` holds the union of all types' columns: 0, None or NaT in rows that are
    no event of a type with that column.
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
    columns: Mapping[str, Array]
    partitions: Sequence[str]

    def __len__(self) -> int:
        return len(self.kind)
