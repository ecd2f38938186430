"""`python -m dev.bench.replay`: throughput and punctuality of the replay.

Starts a Kafka broker on free loopback ports, writes trips of about 420 bytes as JSON lines, and
replays them with the command, one process each: first unpaced, then paced. The last line printed is
JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

from connectors.errors import UserError
from dev.demo.made import events_of
from dev.servers.kafka import create_topics
from dev.servers.setup import setup
from dev.servers.stack import Stack
from pipeline.ops.generate.trips import FIRST_ID, Rows, zone_shares
from pipeline.options import ROOT

_BLOCK: Final = 10_000
_FIRST_MS: Final = 1_514_764_800_000
_EVENT_MILLIS: Final = 20
"""Event time from one event to the next."""
_COMMAND: Final = Path(sys.executable).parent / "streaming-etl"
_PARTITIONS: Final = 4
_FILES: Final = 4


def write_trips(folder: Path, events: int, seed: int = 2018) -> None:
    """Write yellow trips as JSON lines in order of dropoff, evenly spaced, in a few files."""
    rng = np.random.default_rng(seed)
    rows = Rows(rng, zone_shares(rng))
    folder.mkdir(parents=True)
    for number, places in enumerate(np.array_split(np.arange(events), _FILES)):
        with (folder / f"trips-{number}.json").open("wb") as file:
            for start in range(0, len(places), _BLOCK):
                ids = FIRST_ID + places[start : start + _BLOCK]
                dropoff = _FIRST_MS + (ids - FIRST_ID) * _EVENT_MILLIS
                trips = events_of("trip", rows.of_type("trip", ids, dropoff))
                file.write(b"".join((trip.raw or b"") + b"\n" for trip in trips))


@dataclass(frozen=True, slots=True)
class Bench:
    """A running broker and a folder to write into."""

    servers: str
    folder: Path

    def unpaced(self, data: Path, run: int) -> dict[str, Any]:
        """Measure events per second without pacing."""
        return self._replay(data, f"unpaced-{run}", "--unpaced", "--no-watermarks")

    def paced(self, data: Path, rate: int) -> dict[str, Any]:
        """Measure the deviation from schedule at a rate."""
        return self._replay(data, "paced", "--speedup", str(rate * _EVENT_MILLIS / 1000))

    def _replay(self, data: Path, topic: str, *options: str) -> dict[str, Any]:
        create_topics(self.servers, source=topic, dead_letters=None, partitions=_PARTITIONS)
        to = ("--bootstrap-servers", self.servers, "--topic", topic)
        state = ("--state", str(self.folder / f"{topic}.json"))
        command = [str(_COMMAND), "replay", str(data), *to, *state]
        started = time.monotonic()
        done = subprocess.run(
            [*command, *options, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise UserError(f"the replay failed: {done.stderr}")
        report: dict[str, Any] = json.loads(done.stdout)
        return {**report, "process_seconds": round(time.monotonic() - started, 1)}


def main(
    events: Annotated[int, typer.Option(help="Of an unpaced run.", min=10_000)] = 1_000_000,
    runs: Annotated[int, typer.Option(help="Unpaced runs.", min=1)] = 3,
    rate: Annotated[int, typer.Option(help="Events a second of the paced run.", min=10)] = 5_000,
    seconds: Annotated[int, typer.Option(help="Of the paced run.", min=1)] = 20,
) -> None:
    """Measure the replay against a Kafka broker on this machine."""
    setup(ROOT, say=typer.echo, servers=("kafka",))
    with tempfile.TemporaryDirectory(prefix="replay-bench-") as name:
        folder = Path(name)
        write_trips(folder / "many", events)
        write_trips(folder / "few", rate * seconds)
        servers = Stack(ROOT, run_dir=folder / "run", free_ports=True, servers=("kafka",))
        with servers.running(typer.echo) as stack:
            bench = Bench(stack.environment()["KAFKA_BOOTSTRAP_SERVERS"], folder)
            typer.echo(json.dumps(measure(bench, runs, rate)))


def measure(bench: Bench, runs: int, rate: int) -> dict[str, Any]:
    """Return all figures; `load` is the machine's load average before the run."""
    load = os.getloadavg()[0]
    speeds = []
    for run in range(runs):
        report = bench.unpaced(bench.folder / "many", run)
        speeds.append(report["events_per_second"])
        typer.echo(f"unpaced: {report['events_per_second']:,} events/s, {report['bytes']:,} bytes")
    paced = bench.paced(bench.folder / "few", rate)
    typer.echo(f"paced at {rate:,}/s: deviation {paced['deviation_ms']} ms")
    return {
        "event_bytes": round(report["bytes"] / report["events"]),
        "unpaced_events_per_second": speeds,
        "median": statistics.median(speeds),
        "paced_events_per_second": paced["events_per_second"],
        "deviation_ms": paced["deviation_ms"],
        "load": load,
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    typer.run(main)
