"""`python -m dev.bench.partitions`: the lake bench with few, some and very many open partitions.

The job of `make bench`, lake only, with the same memory; events are spread evenly. The lake is read
back before a figure counts.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dev.bench.contenders import CONTENDERS, servers
from dev.bench.run import run_contender
from dev.bench.topic import fill, spread


def main(
    events: Annotated[int, typer.Option(help="Records for each count.", min=10_000)] = 1_000_000,
    counts: Annotated[
        list[int] | None, typer.Option(help="How many partitions.", min=1, max=20_000)
    ] = None,
) -> None:
    """Measure. Example: python -m dev.bench.partitions --counts 10 --counts 5000"""
    ours = next(contender for contender in CONTENDERS if contender.name == "ours")
    figures = {}
    with servers("kafka") as (bench, _):
        for number, count in enumerate(counts or [10, 263, 5000]):
            topic = fill(bench.servers, f"p{count}", events, payloads=spread(events, count))
            run = run_contender(bench, ours, topic, number)
            assert run.written.partitions == count, f"{run.written.partitions} partitions"
            typer.echo(
                f"{count} partitions, {run.figures.peak_bytes / 2**20:,.0f} MiB: {run.line()}"
            )
            figures[count] = {
                "events_per_second": round(run.events_per_second),
                "cpu_seconds_per_million": round(run.cpu_per_million, 1),
                "peak_bytes": run.figures.peak_bytes,
                "files": run.written.files,
            }
    typer.echo(json.dumps({"events": events, "partitions": figures}))


if __name__ == "__main__":
    typer.run(main)
