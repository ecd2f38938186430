"""What decoding yields: one record's outcome, and a batch's as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.decode.columns import Array
from pipeline.decode.partition import Partition


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded event; timestamps in `values` are epoch milliseconds (UTC)."""

    event_type: str
    schema_version: int
    values: Mapping[str, Any]
    partition: Partition
    document_id: str
    document_version: int
    document: bytes


@dataclass(frozen=True, slots=True)
class Control:
    """A watermark, counted and never stored: epoch milliseconds."""

    watermark: int


@dataclass(frozen=True, slots=True)
class Reject:
    """A refused record: `reason` is a code of `reasons.REASONS`; type and version where known."""

    reason: str
    detail: str
    event_type: str
    schema_version: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded batch, one row for each raw record, in order; every attribute is a numpy array.

    `kind` is "event", "control" or "reject" and is to be asked first: a reject carries its
    `event_type` and `schema_version` too, as far as they are known (else "" and 0).
    `pickup_location`, `year` and `month` are "" where there is no event, `document_id` also where
    no documents are asked for; `document`, `reason` and `detail` are None where there is none.
    `partition` is the number of place and month, -1 where there is no event.
    `columns` holds the union of all types' columns: 0 (or None, or NaT) where the row is no event
    of a type with that column.
    """

    kind: Array
    event_type: Array
    schema_version: Array
    partition: Array
    pickup_location: Array
    year: Array
    month: Array
    document_id: Array
    document_version: Array
    document: Array
    reason: Array
    detail: Array
    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.kind)
