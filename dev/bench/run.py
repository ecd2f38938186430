"""`make bench`: the lake written by this job, Flink's JSON format, Spark and a plain consumer.

All read the same topic from its beginning and write the same columns into the same partitions, one
after another, in another order each round. Their output is read back before a figure counts.
Prints a table, keeps docs/benchmarks/lake.json and a plot of it. `--help` has the options.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from connectors.errors import UserError
from dev.bench.check import written
from dev.bench.contenders import CONTENDERS, SPARK_JARS, SPARK_PYTHON, Bench, Contender, servers
from dev.bench.report import Run, keep, show
from dev.bench.topic import Topic, fill
from pipeline.options import ROOT

BAD_SHARE = 0.01
KEPT = {"ours", "ours-whole", "flink-json", "spark-tuned"}
"""Figures are kept if these were all run."""


def main(
    events: Annotated[int, typer.Option(help="Records in the topic.", min=10_000)] = 2_000_000,
    rounds: Annotated[int, typer.Option(help="How often each one runs.", min=1)] = 3,
    only: Annotated[
        list[str] | None, typer.Option(help="Of " + ", ".join(c.name for c in CONTENDERS))
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where lake.json and the plot go.")] = ROOT
    / "docs"
    / "benchmarks",
) -> None:
    """Measure, side by side. Example: make bench EVENTS=500000 ROUNDS=1"""
    chosen = [contender for contender in CONTENDERS if not only or contender.name in only]
    if len(chosen) < len(only or []):
        raise UserError(f"--only: there are {', '.join(c.name for c in CONTENDERS)}")
    _set_up_spark()
    sizes = {"events": events, "event_bytes": 0}
    runs: list[Run] = []
    with servers("kafka") as (bench, _):
        typer.echo(f"filling two topics with {events:,} records each")
        good = fill(bench.servers, "good", events)
        bad = fill(bench.servers, "bad", events, bad_share=BAD_SHARE)
        sizes["event_bytes"] = round(good.bytes / events)
        for number in range(rounds):
            turn = number % len(chosen)
            for contender in chosen[turn:] + chosen[:turn]:
                runs.append(run_contender(bench, contender, bad if contender.bad else good, number))
                typer.echo(runs[-1].line())
            show(runs)
            if KEPT <= {contender.name for contender in chosen}:
                keep(runs, folder, sizes | {"rounds": number + 1})


def run_contender(bench: Bench, contender: Contender, topic: Topic, number: int) -> Run:
    """Run one contender, read its output back and delete it."""
    output = bench.folder / f"{contender.name}-{number}"
    figures = contender.run(bench, topic, output)
    rows = written(output, topic)
    for path in bench.folder.glob(f"{output.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Run(contender.name, number, topic.records, figures, rows)


def _set_up_spark() -> None:
    """Set up Spark in its own interpreter, with its Kafka package."""
    if not SPARK_PYTHON.is_file():
        raise UserError("Spark is not installed: run it as `make bench`.")
    if not SPARK_JARS.is_dir():
        pom = Path(__file__).parent / "pom.xml"
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        command = ["mvn", "-B", "-ntp", "-q", "-f", str(pom), *goal]
        subprocess.run([*command, f"-DoutputDirectory={SPARK_JARS}"], check=True)


if __name__ == "__main__":
    typer.run(main)
