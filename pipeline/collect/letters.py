"""Rejected records as streams for the dead letters, from whichever step rejects them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Final

from pipeline.collect.columns import letter_columns
from pipeline.collect.folders import arrival_days, day_folder
from pipeline.collect.inputs import Inputs, position_names, readable
from pipeline.collect.rows import Columns, Rows
from pipeline.collect.stream import Stream
from pipeline.config.model import Source
from pipeline.decode.columns import Array, objects
from pipeline.decode.decoder import Decoded
from pipeline.decode.redriven import Mark

STEP: Final = "dead_letters"


class Letters:
    """Makes streams of rejects; batches take turns with the `keys`."""

    def __init__(self, source: Source, keys: Sequence[str]) -> None:
        self._keys = cycle(keys)
        self._rows = Rows(STEP, letter_columns(source), position_names(source), day_folder)

    def streams(self, rejects: Columns) -> Iterator[Stream]:
        """Yield the streams of rejects; see `reject_columns` for their columns.

        Raises:
            CollectError: the rejects can't be columns of a file.
        """
        arrival_ms = rejects["arrival_ms"]
        if not len(arrival_ms):
            return
        columns = {**rejects, "arrival_ms": readable(arrival_ms)}
        yield from self._rows.streams(columns, arrival_days(arrival_ms), next(self._keys))


def reject_columns(inputs: Inputs, rows: Array, verdict: Columns) -> Columns:
    """Return rejected rows of a batch as columns: the records, and why they were rejected.

    `verdict` has one value for each of the rows: `step`, `reason` and `detail`, `event_type` and
    `schema_version`.
    """
    record = {"raw": inputs.raw, "key": inputs.key, "own_headers": inputs.own_headers}
    record |= {"arrival_ms": inputs.arrival_ms, **inputs.position}
    return {**{name: values[rows] for name, values in record.items()}, **verdict}


def decode_verdict(decoded: Decoded, rows: Array, redriven: Mapping[int, Mark]) -> Columns:
    """Return why decode rejects these rows; a redriven record keeps its first step.

    A record that a later step rejected is in the lake, and must not be written there again when
    this dead letter is redriven in turn.
    """
    steps = objects(["decode"] * len(rows))
    details = decoded.detail[rows]
    for at, row in enumerate(rows.tolist()):
        mark = redriven.get(row) if redriven else None
        if mark:
            steps[at] = mark.step
        if mark and mark.step == "replicate":
            details[at] = f"replica {mark.replica}: {details[at]}"
    of_batch = ("reason", "event_type", "schema_version")
    return {
        "step": steps,
        "detail": details,
        **{name: getattr(decoded, name)[rows] for name in of_batch},
    }
