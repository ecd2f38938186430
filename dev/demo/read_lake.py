"""Reads the lake back: every listed Parquet object, every column, without the job's code."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors import checksums as content
from connectors import positions
from connectors.positions import Positions
from connectors.s3.storage import Store, Stored, tables
from dev.demo.ledger import Ledger
from pipeline.ops.lake.content import home

_PATH: Final = re.compile(
    r"(?P<type>[^/]+)/pickup_location=(?P<place>\d{3})/year=(?P<year>\d{4})/month=(?P<month>\d{2})/[^/]+"
)
_PREFIX: Final = "source_"
_ADDED: Final = (
    *(_PREFIX + name for name in positions.COLUMNS),
    *("arrival_time", "schema_version"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeRows:
    """Every row of the lake: where it came from, what it holds, and the partition it lies in.

    `partition` is `partition_number` of the path the row was found under, -1 for an odd path.
    """

    positions: Positions
    contents: content.Hashes
    partition: NDArray[np.int64]
    files: int
    bytes: int
    partitions: int


def read_lake(store: Store, ledger: Ledger, event_types: list[str]) -> LakeRows:
    """Reads all of it, some hundred objects at a time."""
    listing = store.listing()
    parts = [_empty()]
    for batch in tables(store, listing):
        by_type: dict[str, list[tuple[int, pa.Table]]] = defaultdict(list)
        for stored, table in batch:
            number = _of_path(stored.path, event_types)
            by_type[home(stored.path).split("/", 1)[0]].append((number, table))
        parts += [_rows(found, ledger) for found in by_type.values()]
    places, contents, partition = (np.concatenate(column) for column in zip(*parts, strict=True))
    return LakeRows(
        positions=places,
        contents=contents,
        partition=partition,
        files=len(listing),
        bytes=sum(stored.size for stored in listing),
        partitions=_folders(listing),
    )


def partition_number(
    event_type: NDArray[Any] | int,
    *,
    place: NDArray[Any] | int,
    year: NDArray[Any] | int,
    month: NDArray[Any] | int,
) -> Any:
    """Event type's code, place, year and month as one number, to compare many at once."""
    return ((event_type * 1000 + place) * 10_000 + year) * 100 + month


Part = tuple[Positions, content.Hashes, NDArray[np.int64]]


def _rows(found: list[tuple[int, pa.Table]], ledger: Ledger) -> Part:
    # A column that older files lack is null there, and a null counts as absent.
    table = pa.concat_tables([table for _, table in found], promote=True).combine_chunks()
    places = ledger.position_numbers(table, _PREFIX)
    numbers = np.array([number for number, _ in found], dtype=np.int64)
    lengths = [part.num_rows for _, part in found]
    return places, content.of_table(table, _ADDED), np.repeat(numbers, lengths)


def _of_path(path: str, event_types: list[str]) -> int:
    match = _PATH.fullmatch(home(path))
    if match is None or match["type"] not in event_types:
        return -1
    number: int = partition_number(
        event_types.index(match["type"]),
        place=int(match["place"]),
        year=int(match["year"]),
        month=int(match["month"]),
    )
    return number


def _folders(listing: list[Stored]) -> int:
    return len({home(stored.path).rpartition("/")[0] for stored in listing})


def _empty() -> Part:
    return np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.int64)
