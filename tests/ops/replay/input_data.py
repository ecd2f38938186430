"""Small data sets for the tests of a replay's input."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.block import Block
from dev.bench.replay_input import yellow_trip
from pipeline.ops.replay.history import History
from pipeline.ops.replay.selection import Selection

START = 1_514_764_800_000
"""2018-01-01T00:00:00Z."""

CODECS = {"lz4": ".lz4", "gzip": ".gz", "zstd": ".zst", "bz2": ".bz2"}


def trip(second: int, number: int | None = None, **more: Any) -> bytes:
    """A yellow trip dropped off at that second of the year."""
    trip_id = second + 1 if number is None else number
    event = yellow_trip(trip_id, START + second * 1000, seconds=600)
    return json.dumps(event | more).encode()


def trips(seconds: Iterable[int]) -> list[bytes]:
    """`trip` of each second."""
    return [trip(second) for second in seconds]


def write(path: Path, lines: Iterable[bytes], codec: str | None = None) -> Path:
    """A file of lines, each with its newline."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.output_stream(str(path), compression=codec) as out:
        out.write(b"".join(line + b"\n" for line in lines))
    return path


def history(path: Path | str, **selection: Any) -> History:
    """The data set there."""
    return History(str(path), Selection(**selection), {})


def raws(blocks: Iterable[Block]) -> list[bytes | None]:
    """The events' bytes, one after the other."""
    return list(chain.from_iterable(block.raws for block in blocks))


def seconds(blocks: Iterable[Block]) -> list[int]:
    """The events' times, in seconds of the year."""
    numbers: list[int] = []
    for block in blocks:
        numbers += ((block.times - START) // 1000).tolist()
    return numbers
