"""Which events of a data set are replayed, and what was met on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from connectors.positions import Position

LeaveOut = Callable[[Position], bool]

_EXAMPLES: Final = 100


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which events, and where they say when they happened.

    A dotted field lies in objects: `properties.time`. `timestamp_format` sql is
    `2018-01-01 00:00:00[.sss]`, taken as UTC; iso needs an offset or Z. `start_ms` is inclusive,
    `end_ms` exclusive. At least `reorder` events of each file are held back to mend their order.
    With `archive` the files are our own raw records, and the time is that of their arrival.
    """

    timestamp_field: str = "dropoff_datetime"
    timestamp_format: Literal["iso", "sql"] = "iso"
    key_field: str = "trip_id"
    start_ms: int | None = None
    end_ms: int | None = None
    limit: int | None = None
    reorder: int = 10_000
    archive: bool = False


@dataclass
class Counts:
    """What was met on the way, of all passes together; grows while the events are read.

    Of a whole pass without a limit: lines = events + skipped + bad lines + outside + left out.
    """

    files: int = 0
    """Files that were opened."""
    files_outside: int = 0
    """Files that begin at or after the end, and weren't opened."""
    lines: int = 0
    """Lines, or rows of Parquet, without the blank ones."""
    events: int = 0
    """Given to be sent."""
    skipped: int = 0
    """Passed over, for they were sent before."""
    blank_lines: int = 0
    bad_lines: int = 0
    bad_examples: list[str] = field(default_factory=list)
    """`file:line: why` of the first hundred, without anything of the line."""
    bad_files: list[str] = field(default_factory=list)
    """`file: why`: from some place on they couldn't be read; what stood before was given."""
    out_of_order: int = 0
    """Events given later than one of a later time."""
    largest_lateness_ms: int = 0
    outside: int = 0
    """Events read that are before the start, or at or after the end."""
    left_out: int = 0
    """Archived records that `leave_out` chose."""
    columns_left_out: dict[str, set[str]] = field(default_factory=dict)
    """Columns of TLC's files that the schema of their event type has no place for."""

    def bad_line(self, where: str, why: str) -> None:
        """Counts a line that is no event."""
        self.bad_lines += 1
        if len(self.bad_examples) < _EXAMPLES:
            self.bad_examples.append(f"{where}: {why}")

    def bad_file(self, path: str, why: str) -> None:
        """Names a file that couldn't be read to its end; once, however often it is read."""
        text = f"{path}: {why}"
        if text not in self.bad_files:
            self.bad_files.append(text)
