"""Raw records as streams for the archive, before anything touches them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Final

from pipeline.collect.columns import archive_columns
from pipeline.collect.folders import arrival_hours, hour_folder
from pipeline.collect.inputs import Inputs, position_names
from pipeline.collect.rows import Rows
from pipeline.collect.stream import Stream
from pipeline.config.model import Source

STEP: Final = "archive"


class ArchiveRows:
    """Makes streams of all records, also of tombstones; batches take turns with the `keys`."""

    def __init__(self, source: Source, keys: Sequence[str]) -> None:
        self._keys = cycle(keys)
        self._rows = Rows(STEP, archive_columns(source), position_names(source), hour_folder)

    def streams(self, inputs: Inputs) -> Iterator[Stream]:
        """Yield the streams of a batch.

        Raises:
            CollectError: the records can't be columns of a file.
        """
        columns = {**inputs._asdict(), **inputs.position}
        yield from self._rows.streams(columns, arrival_hours(inputs.arrival_ms), next(self._keys))
