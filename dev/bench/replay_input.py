"""`python -m dev.bench.replay_input`: events per second of a replay's input, in one thread.

Lines have 420 bytes; the demo's generator makes the values.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from pipeline.decode import timestamps
from pipeline.ops.replay.history import History
from pipeline.ops.replay.selection import Selection

LINE_BYTES = 420
FIRST_MS = 1_514_764_800_000


def yellow_trip(trip_id: int, dropoff_ms: int, *, seconds: int) -> dict[str, Any]:
    """Return a trip of so many seconds that ended at `dropoff_ms` (epoch milliseconds)."""
    return {
        "trip_id": trip_id,
        "type": "trip",
        "vendor_id": 1,
        "pickup_datetime": timestamps.text(dropoff_ms - seconds * 1000),
        "dropoff_datetime": timestamps.text(dropoff_ms),
        "passenger_count": 1,
        "trip_distance": 0.5,
        "ratecode_id": 1,
        "store_and_fwd_flag": "N",
        "pickup_location_id": 41,
        "dropoff_location_id": 24,
        "payment_type": 2,
        "fare_amount": 4.5,
        "extra": 0.5,
        "mta_tax": 0.5,
        "tip_amount": 0.0,
        "tolls_amount": 0.0,
        "improvement_surcharge": 0.3,
        "total_amount": 5.8,
    }


def lines(count: int, first: int, every_ms: int, disorder_ms: int) -> Iterator[bytes]:
    """Return trips in the order of dropoff, shuffled by up to so many milliseconds."""
    rng = np.random.default_rng(first)
    shaken = rng.integers(0, disorder_ms + 1, count).tolist()
    for at, more in enumerate(shaken):
        drop = FIRST_MS + (first + at) * every_ms + more
        event = yellow_trip(4_071_000 + first + at, drop, seconds=900)
        raw = msgspec.json.encode(event | {"padding": ""})
        yield raw[:-2] + b"x" * (LINE_BYTES - len(raw)) + raw[-2:] + b"\n"


def write(folder: Path, codec: str, events: int, files: int, disorder_ms: int) -> None:
    """Write consecutive files."""
    size = events // files
    for at in range(files):
        path = folder / f"part-{at:03d}.json{f'.{codec}' if codec != 'none' else ''}"
        text = b"".join(lines(size, at * size, 20, disorder_ms))
        with pa.output_stream(str(path), compression=None if codec == "none" else codec) as out:
            out.write(text)


def measure(folder: Path, selection: Selection) -> None:
    """Read everything once."""
    history = History(str(folder), selection, {})
    started, used = time.perf_counter(), time.process_time()
    count = sum(map(len, history.blocks()))
    seconds, used = time.perf_counter() - started, time.process_time() - used
    late = history.counts.out_of_order
    rates = f"{count / seconds:,.0f}/s, {count / used:,.0f} in a second of the processor"
    print(f"{count:,} events in {seconds:.2f} s: {rates}, {late} out of order")


def main() -> None:
    """Print a line for each codec, ordered and shuffled."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=4)
    options = parser.parse_args()
    for codec in ("none", "lz4", "gzip", "zstd", "bz2"):
        for disorder_ms in (0, 60_000):
            with tempfile.TemporaryDirectory() as name:
                write(Path(name), codec, options.events, options.files, disorder_ms)
                print(f"{codec}, disorder {disorder_ms} ms: ", end="", flush=True)
                measure(Path(name), Selection())


if __name__ == "__main__":
    main()
