"""Measure `streaming-etl compact` on a lake made for it, without Flink.

    python -m dev.bench.compact --partitions 263 --files 60 --rows 300 [--s3]

One file of each partition is one checkpoint. Prints one JSON line. Compaction is a process of its
own, so that its memory and time are not those of making the data. The rows are read back before and
after with the readers' rule, and every position must be there once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
import yaml
from rich.console import Console

from connectors.errors import UserError
from connectors.s3.parquet import pages
from connectors.s3.store import open_store
from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack
from pipeline.ops.generate.trips import WINTER, Rows, zone_shares
from pipeline.ops.lake.content import Lake
from pipeline.options import ROOT
from pipeline.progress import Steps

BUCKET = "bench"
Size = tuple[int, int, int]
"""Partitions, files of each, rows of each file."""
_TIME = pa.timestamp("ms")


def bench(
    partitions: Annotated[int, typer.Option(min=1, max=999)] = 263,
    files: Annotated[int, typer.Option(min=2, help="Files of each partition.")] = 60,
    rows: Annotated[int, typer.Option(min=1, help="Rows of each file.")] = 300,
    s3: Annotated[bool, typer.Option("--s3", help="On the S3 server.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where the data goes meanwhile.")] = None,
) -> None:
    """Make a lake, compact it, print one line of JSON, and delete all of it."""
    steps = Steps(Console(stderr=True))
    size = (partitions, files, rows)
    with TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        measure = _on_s3 if s3 else _in_folder
        print(json.dumps(measure(steps, place, size)))


def _in_folder(steps: Steps, place: Path, size: Size) -> dict[str, Any]:
    return _measured(steps, place, size, data=place, uri=f"file://{place}/lake", environment={})


def _on_s3(steps: Steps, place: Path, size: Size) -> dict[str, Any]:
    servers = Stack(ROOT, run_dir=place / "run", free_ports=True, servers=("s3",))
    with servers.running(steps.say, wipe=True) as stack:
        environment = stack.environment()
        create_bucket(BUCKET, endpoint=environment["S3_ENDPOINT"])
        data = stack.run_dir / "s3" / "data" / BUCKET
        if not data.is_dir():
            raise UserError(f"the S3 server doesn't keep its objects in {data}")
        uri = f"s3a://{BUCKET}/lake"
        return _measured(steps, place, size, data=data, uri=uri, environment=environment)


def _measured(
    steps: Steps,
    place: Path,
    size: Size,
    *,
    data: Path,
    uri: str,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    partitions, files, rows = size
    with steps.step("making the lake", unit="files", total=partitions * files) as progress:
        _make(data / "lake", partitions, files, rows, progress)
    config = place / "bench.yaml"
    config.write_text(yaml.safe_dump(_config(uri)))
    before = _read(uri, environment)
    compacted = _compact(config, environment)
    after = _read(uri, environment)
    if not before["rows"] == after["rows"] == after["positions"] == partitions * files * rows:
        raise UserError(f"rows were lost or doubled: before {before}, after {after}")
    return {"rows_a_file": rows, **compacted, "read_before": before, "read_after": after}


def _make(
    folder: Path, partitions: int, files: int, rows: int, progress: Callable[[int], None]
) -> None:
    """Write files as Flink does: its encodings, neighbouring pickup times in one file."""
    rng = np.random.default_rng(2018)
    source = Rows(rng, zone_shares(rng))
    for number in range(files):
        ids = np.arange(partitions * rows) + 10_000_000 + number * partitions * rows
        dropoff = WINTER.first_ms + 60_000 * number + rng.integers(0, 60_000, len(ids))
        table = _table(source.of_type("trip", ids, dropoff), ids)
        # A partition's rows lie between those of others in the source, in the order of their ids.
        mine = np.sort(rng.permutation(len(ids)).reshape(partitions, rows), axis=1)
        for place in range(partitions):
            name = f"trip/pickup_location={place:03d}/year=2018/month=01/part-{number:06d}"
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                table.take(mine[place]),
                path,
                compression="zstd",
                compression_level=1,
                use_dictionary=False,
            )
        progress((number + 1) * partitions)


def _table(columns: Mapping[str, Any], ids: Any) -> pa.Table:
    fields = {
        name: pa.array(values).cast(_TIME) if name.endswith("_datetime") else pa.array(values)
        for name, values in columns.items()
    }
    origin = {
        "source_topic": pa.array(["trips"] * len(ids)),
        "source_partition": pa.array(np.zeros(len(ids), np.int32)),
        "source_offset": pa.array(ids),
        "arrival_time": pa.array(ids).cast(_TIME),
        "schema_version": pa.array(np.ones(len(ids), np.int32)),
    }
    return pa.table({**fields, **origin})


def _config(uri: str) -> dict[str, Any]:
    return {
        "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
        "source": {"kafka_topics": ["trips"]},
        "lake": {"path": uri},
        "dead_letters": {"kafka_topic": "dead-letters"},
    }


def _read(uri: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """List the lake and read one column of all files."""
    started = time.monotonic()
    lake = Lake(open_store(uri, environment))
    listing = lake.listing()
    listed = time.monotonic()
    parts = [
        table.column("source_offset").to_numpy()
        for page in pages(lake, listing, ["source_offset"])
        for _, table in page
    ]
    offsets = np.concatenate(parts)
    return {
        "rows": len(offsets),
        "positions": len(np.unique(offsets)),
        "list_seconds": round(listed - started, 2),
        "read_seconds": round(time.monotonic() - listed, 2),
    }


def _compact(config: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run the command as a user does; return its report, time and peak memory."""
    program = str(Path(sys.executable).parent / "streaming-etl")
    options = ["--config", str(config), "--older-than", "0", "--json"]
    started = time.monotonic()
    process = subprocess.Popen(
        [program, "compact", *options], stdout=subprocess.PIPE, env={**os.environ, **environment}
    )
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == 2:
        raise UserError("the compaction failed; what it said is above")
    report: dict[str, Any] = json.loads(output)
    return {
        **report,
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_rss_mib": usage.ru_maxrss // 1024,
    }


if __name__ == "__main__":
    typer.run(bench)
