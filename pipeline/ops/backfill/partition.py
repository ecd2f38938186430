"""Compare a partition of the live lake with its rebuilt copy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from connectors import positions
from connectors.positions import Positions
from connectors.s3.parquet import pages
from pipeline.ops.lake.content import Lake

_PREFIX: Final = "source_"
_NAMED: Final = 5


@dataclass(frozen=True)
class Rows:
    """The files of one partition by path, each with the source positions of its rows."""

    files: dict[str, Positions]

    @cached_property
    def positions(self) -> Positions:
        """The positions of all rows."""
        return np.concatenate([np.zeros(0, np.int64), *self.files.values()])

    @cached_property
    def doubled(self) -> int:
        """How many rows repeat a position."""
        return len(self.positions) - len(np.unique(self.positions))


@dataclass(frozen=True)
class Compared:
    """A partition as it is and as it was rebuilt.

    A live file without any rebuilt row is newer than the rebuild, and stays.
    """

    partition: str
    live: Rows
    rebuilt: Rows

    @cached_property
    def replaced(self) -> Rows:
        """The live files with rebuilt rows."""
        found = self.live.files.items()
        return Rows(
            {path: rows for path, rows in found if np.isin(rows, self.rebuilt.positions).any()}
        )

    def counts(self) -> dict[str, int]:
        """Count what a swap would change."""
        return {
            "live_files": len(self.live.files),
            "live_rows": len(self.live.positions),
            "live_doubled": self.live.doubled,
            "replaced_files": len(self.replaced.files),
            "rebuilt_files": len(self.rebuilt.files),
            "rebuilt_rows": len(self.rebuilt.positions),
            "added_rows": len(np.setdiff1d(self.rebuilt.positions, self.live.positions)),
        }

    def problems(self, topics: list[str]) -> list[str]:
        """Return why a swap would lose or double rows; empty if it would not."""
        found = []
        lost = np.setdiff1d(self.replaced.positions, self.rebuilt.positions)
        if len(lost):
            named = ", ".join(described(each, topics) for each in lost[:_NAMED].tolist())
            found.append(
                f"{self.partition}: {len(lost):,} rows of files to be replaced were not rebuilt:"
                f" {named}{', ...' if len(lost) > _NAMED else ''}. They were not archived, were not"
                " in the time rebuilt, or are no longer valid events; rebuild with more."
            )
        if self.rebuilt.doubled:
            found.append(f"{self.partition}: {self.rebuilt.doubled:,} rebuilt rows are doubled.")
        if not self.rebuilt.files:
            found.append(f"{self.partition}: nothing was rebuilt, so there is nothing to put in.")
        return found


def rows(lake: Lake, partition: str, topics: list[str]) -> Rows:
    """Read the positions of a partition; a missing one has no files."""
    files = [each for one in lake.partitions(partition) for each in one.current()]
    columns = [_PREFIX + name for name in positions.COLUMNS]
    parts: dict[str, list[Positions]] = {each.path: [] for each in files}
    for page in pages(lake, files, columns):
        for stored, table in page:
            parts[stored.path].append(positions.numbers(table, topics, _PREFIX))
    empty = np.zeros(0, np.int64)
    return Rows({path: np.concatenate([empty, *numbers]) for path, numbers in parts.items()})


def described(position: int, topics: list[str]) -> str:
    """Describe a position for people; of a Kinesis record only a hash is known."""
    if position < 0:
        return f"a Kinesis record (hash {-position})"
    code, partition, offset = positions.unpacked(position)
    return f"{topics[code]}/{partition}@{offset}"
