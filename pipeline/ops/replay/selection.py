"""The selection of a data set's events, and the counts of reading them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from connectors.positions import Position
from pipeline.ops.replay.trips import KEY_FIELD, TIME_FIELD

LeaveOut = Callable[[Position], bool]

_EXAMPLES: Final = 100


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which events to replay, and which field has their time.

    A dotted field lies in objects: `properties.time`. `timestamp_format` sql is
    `2018-01-01 00:00:00[.sss]`, taken as UTC; iso needs an offset or Z. `start_ms` is inclusive,
    `end_ms` exclusive. At least `reorder` events of each file are buffered to restore their order.
    With `archive` the files are our own raw records, and the time is that of their arrival.
    """

    timestamp_field: str = TIME_FIELD
    timestamp_format: Literal["iso", "sql"] = "iso"
    key_field: str = KEY_FIELD
    start_ms: int | None = None
    end_ms: int | None = None
    limit: int | None = None
    reorder: int = 10_000
    archive: bool = False

    def includes(self, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which times are between start and end."""
        inside = np.ones(len(times), np.bool_)
        if self.start_ms is not None:
            inside &= times >= self.start_ms
        if self.end_ms is not None:
            inside &= times < self.end_ms
        return inside


@dataclass
class Counts:
    """Figures of all passes over the input together; they grow while events are read.

    Of a whole pass without a limit: lines = events + skipped + bad lines + outside + left out.
    """

    files: int = 0  # Opened.
    files_outside: int = 0  # Not opened, since they begin at or after the end.
    lines: int = 0  # Or rows of Parquet, without the blank ones.
    events: int = 0  # Yielded to be sent.
    skipped: int = 0  # Skipped because they were sent before.
    blank_lines: int = 0
    bad_lines: int = 0
    # `file:line: why` of the first hundred, without content of the line.
    bad_examples: list[str] = field(default_factory=list)
    # `file: why`: unreadable from somewhere on; what came before was yielded.
    bad_files: list[str] = field(default_factory=list)
    out_of_order: int = 0  # Came after an event of a later time.
    largest_lateness_ms: int = 0
    outside: int = 0  # Before the start, or at or after the end.
    left_out: int = 0  # Archived records that `leave_out` chose.
    strays: int = 0  # Far from all others in time; known of rounds.
    warnings: list[str] = field(default_factory=list)
    # Columns of TLC's files, by event type, for which the schema has no field.
    columns_left_out: dict[str, set[str]] = field(default_factory=dict)

    def bad_line(self, where: str, why: str) -> None:
        """Count a line that is no event."""
        self.bad_lines += 1
        if len(self.bad_examples) < _EXAMPLES:
            self.bad_examples.append(printable(f"{where}: {why}"))

    def bad_file(self, path: str, why: str) -> None:
        """Note once that a file cannot be read to its end, however often it is read."""
        text = printable(f"{path}: {why}")
        if text not in self.bad_files:
            self.bad_files.append(text)


def printable(text: str) -> str:
    """Return a text that can be printed: a local name need not be UTF-8."""
    return text.encode(errors="backslashreplace").decode()
