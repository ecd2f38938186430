"""`python -m dev.bench.file_sizes`: how large files of lake and archive are, by their rows.

The taxi trips of the generator, read from a Kinesis stream, as the job collects them, without
Flink: batches of streams, closed once into one file for each folder. The line through the fewest
and the most rows says what a file costs whatever its rows, and what a row adds. The figures are in
`pipeline/deploy/cost/measured.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from random import Random
from typing import Annotated, Final

import numpy as np
import typer

from dev.bench.decode import origins
from dev.bench.topic import raws
from pipeline.collect.archive_rows import ArchiveRows
from pipeline.collect.close import files
from pipeline.collect.inputs import Inputs
from pipeline.collect.lake_rows import LakeRows
from pipeline.collect.stream import Stream
from pipeline.config.model import Job, Source
from pipeline.decode.decoder import Decoder
from pipeline.decode.type_rule import BY_TYPE
from pipeline.events import event_types
from pipeline.options import ROOT

_BATCH: Final = Job().batch_records
_SOURCE: Final = Source(kinesis_streams=("streaming-etl-trips",))
_PARTITIONS: Final = 795
"""Of three months of trips, as in the other benchmarks."""
_ONE_LARGE_BUCKET: Final = 1 << 40
_FIRST_NUMBER: Final = 49543463076548007577105092703039560359975228518395012686
_STEP: Final = 10**27
"""Sequence numbers have 56 digits, and increase by steps of no rule that AWS documents."""


def sizes(step: str, streams: Iterable[Stream]) -> tuple[float, float]:
    """Return the mean rows and bytes of the files that these streams become."""
    by_key: dict[str, list[bytes]] = defaultdict(list)
    for stream in streams:
        by_key[stream.key].append(stream.data)
    made = [
        file for found in by_key.values() for file in files(step, found, "ZSTD", _ONE_LARGE_BUCKET)
    ]
    rows = sum(file.rows for file in made)
    return rows / len(made), sum(len(file.data) for file in made) / len(made)


def lake(events: int) -> tuple[float, float]:
    """Close so many events of the lake at once."""
    types = event_types.load(ROOT / "schemas")
    decoder = Decoder(types, type_rule=BY_TYPE)
    rows = LakeRows(types, _SOURCE, ("lake/0",), keep_unknown=False)

    def streams() -> Iterator[Stream]:
        for records in _batches(events):
            decoded = decoder.decode_batch(records.raw, origins(len(records)))
            yield from rows.streams(decoded, records)

    return sizes("lake", streams())


def archive(events: int) -> tuple[float, float]:
    """Close so many records of the archive at once."""
    rows = ArchiveRows(_SOURCE, ("archive/0",))
    return sizes("archive", (each for found in _batches(events) for each in rows.streams(found)))


def _batches(events: int) -> Iterator[Inputs]:
    every, random = iter(raws(events)), Random(1)
    steps = iter(lambda: random.randrange(_STEP), None)
    numbers = accumulate(steps, initial=_FIRST_NUMBER)
    while found := list(islice(every, _BATCH)):
        rows = len(found)
        nothing = np.full(rows, None, object)
        position = {
            "stream": np.full(rows, _SOURCE.kinesis_streams[0], object),
            "shard": np.full(rows, "shardId-000000000000", object),
            "sequence_number": np.array([str(next(numbers)) for _ in found], object),
        }
        arrived = np.full(rows, 1_600_000_000_000)
        yield Inputs(np.array(found, object), arrived, nothing, position, nothing)


def main(
    rows: Annotated[
        int, typer.Option(min=100, help="Mean rows of the lake's largest files.")
    ] = 2000,
) -> None:
    """Measure the sizes of files.

    Example: python -m dev.bench.file_sizes --rows 1000
    """
    for step, close, counts in (
        ("lake", lake, [1, 200 * _PARTITIONS, rows * _PARTITIONS]),
        ("archive", archive, [1, 1000, 100_000]),
    ):
        found = [close(count) for count in counts]
        for each, size in found:
            print(f"{step:8}{each:10,.1f} rows a file{size:13,.0f} bytes{size / each:9.1f} a row")
        (few, small), (many, large) = found[0], found[-1]
        slope = (large - small) / (many - few)
        print(f"{step:8}{small - few * slope:,.0f} bytes a file, {slope:.1f} a row")


if __name__ == "__main__":
    typer.run(main)
