"""Measures `streaming-etl reconcile` on a data set made for it, without Flink.

    python -m dev.bench.reconcile --records 100000 [--index] [--s3]

Prints one JSON line. The reconciling process is one of its own, so that its memory and time are not
those of making the data.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from connectors.errors import UserError
from dev.bench import reconcile_data as bench_data
from dev.bench.reconcile_data import Written
from dev.demo.generate import Recipe, generate
from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack
from pipeline.events import event_types
from pipeline.options import ROOT
from pipeline.progress import Steps

BUCKET = "bench"


def bench(
    records: Annotated[int, typer.Option(min=1000, help="How many events.")] = 100_000,
    index: Annotated[bool, typer.Option("--index", help="With an OpenSearch index.")] = False,
    s3: Annotated[bool, typer.Option("--s3", help="Archive and lake on the S3 server.")] = False,
    checkpoint_records: Annotated[
        int,
        typer.Option(min=1000, help="Records between checkpoints: decides the number of files."),
    ] = 500_000,
    folder: Annotated[Path | None, typer.Option(help="Where the data goes meanwhile.")] = None,
) -> None:
    """Make a data set, reconcile it, print one line of JSON, and delete all of it."""
    steps = Steps(Console(stderr=True))
    wanted = ("kafka", *(("s3",) if s3 else ()), *(("opensearch",) if index else ()))
    with TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        servers = Stack(ROOT, run_dir=place / "run", free_ports=True, servers=wanted)
        with servers.running(steps.say, wipe=True) as stack:
            result = _measured(steps, stack, place, records, checkpoint_records, index=index, s3=s3)
    print(json.dumps(result))


def _measured(
    steps: Steps,
    stack: Stack,
    place: Path,
    records: int,
    checkpoint_records: int,
    *,
    index: bool,
    s3: bool,
) -> dict[str, Any]:
    environment = stack.environment()
    data = place / "data"
    if s3:
        create_bucket(BUCKET, endpoint=environment["S3_ENDPOINT"])
        data = place / "run" / "s3" / "data" / BUCKET
        if not data.is_dir():
            raise UserError(f"the S3 server doesn't keep its objects in {data}")
    with steps.step("making the data", unit="records", total=records) as progress:
        written = bench_data.make(
            generate(Recipe(events=records)),
            servers=environment["KAFKA_BOOTSTRAP_SERVERS"],
            folder=data,
            types=event_types.load(ROOT / "schemas"),
            checkpoint_records=checkpoint_records,
            opensearch=environment["OPENSEARCH_URL"] if index else "",
            progress=progress,
        )
    base = f"s3a://{BUCKET}" if s3 else f"file://{data}"
    config = place / "bench.yaml"
    config.write_text(yaml.safe_dump(_config(environment, base, index=index)))
    return _reconciled(config, stack.environment(), written)


def _config(environment: dict[str, str], base: str, *, index: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "kafka": {"bootstrap_servers": environment["KAFKA_BOOTSTRAP_SERVERS"]},
        "source": {"kafka_topics": [bench_data.SOURCE]},
        "archive": {"path": f"{base}/archive"},
        "lake": {"path": f"{base}/lake"},
        "dead_letters": {"kafka_topic": bench_data.DEAD},
    }
    if index:
        settings["index"] = {"url": environment["OPENSEARCH_URL"], "prefix": bench_data.PREFIX}
    return settings


def _reconciled(config: Path, environment: Mapping[str, str], written: Written) -> dict[str, Any]:
    program = str(Path(sys.executable).parent / "streaming-etl")
    command = [program, "reconcile", "--complete", "--json"]
    options = ["--config", str(config), "--settle", "0"]
    started = time.monotonic()
    done = subprocess.run(
        [*command, *options], stdout=subprocess.PIPE, check=False, env={**os.environ, **environment}
    )
    took = time.monotonic() - started
    if done.returncode == 2:
        raise UserError("the reconciliation failed; what it said is above")
    report = json.loads(done.stdout)
    return {
        "records": written.records,
        "archive_files": written.archive_files,
        "lake_files": written.lake_files,
        "dead_letters": written.dead_letters,
        "documents": written.documents,
        "ok": report["ok"],
        "problems": report["problems"],
        "seconds": round(took, 1),
        "phases": report["seconds"],
        "peak_rss_mib": report["peak_rss_bytes"] // 2**20,
    }


if __name__ == "__main__":
    typer.run(bench)
