"""`python -m dev.bench.growth`: the lake bench with ten times the data beside one.

The two alternate, each on a fresh cluster. The last line printed is JSON.
"""

from __future__ import annotations

import json
import statistics
from typing import Annotated

import typer

from dev.bench.contenders import Contender, ours, servers
from dev.bench.run import run_contender
from dev.bench.topic import fill

_TIMES = 10


def main(
    events: Annotated[
        int, typer.Option(help="Records of the smaller topic.", min=10_000)
    ] = 1_000_000,
    rounds: Annotated[int, typer.Option(help="How often each one runs.", min=1)] = 2,
) -> None:
    """Measure. Example: python -m dev.bench.growth --events 500000"""
    speeds: dict[int, list[float]] = {1: [], _TIMES: []}
    with servers("kafka") as (bench, _):
        topics = {times: fill(bench.servers, f"x{times}", events * times) for times in speeds}
        for number in range(rounds):
            for times in sorted(speeds, reverse=number % 2 == 1):
                run = run_contender(bench, Contender(f"x{times}", "", ours), topics[times], number)
                typer.echo(f"{run.line()}, {run.figures.peak_bytes / 2**20:,.0f} MiB")
                speeds[times].append(run.events_per_second)
    ratio = statistics.median(
        more / less for less, more in zip(speeds[1], speeds[_TIMES], strict=True)
    )
    rounded = {f"x{times}": [round(speed) for speed in runs] for times, runs in speeds.items()}
    typer.echo(json.dumps({"events": events, **rounded, "ratio": round(ratio, 3)}))


if __name__ == "__main__":
    typer.run(main)
