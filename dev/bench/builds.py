"""`python -m dev.bench.builds`: the whole job with an index, of two checkouts side by side.

Archive, lake, dead letters and index; 1 % of the events invalid. The checkouts alternate, each with
its own packages and jars, on the same servers. Lake and index are read back before a figure counts.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Annotated

import typer
from opensearchpy import OpenSearch

from dev.bench.check import written
from dev.bench.contenders import PATIENCE_SECONDS, Figures, servers
from dev.bench.report import Run
from dev.bench.run import BAD_SHARE
from dev.bench.topic import Topic, fill
from pipeline.options import ROOT

_PROGRAM = Path(__file__).with_name("one_build.py")


def main(
    build: Annotated[list[Path], typer.Option(help="A checkout that was set up; give two.")],
    events: Annotated[int, typer.Option(help="Records in the topic.", min=10_000)] = 500_000,
    rounds: Annotated[int, typer.Option(help="How often each one runs.", min=1)] = 3,
) -> None:
    """Measure. Example: python -m dev.bench.builds --build ../before --build ."""
    speeds: dict[Path, list[float]] = {path.resolve(): [] for path in build}
    with servers("kafka", "opensearch") as (bench, stack):
        url = stack.environment()["OPENSEARCH_URL"]
        topic = fill(bench.servers, "builds", events, bad_share=BAD_SHARE)
        for number in range(rounds):
            for place, path in enumerate(speeds if number % 2 == 0 else reversed(speeds)):
                output = bench.folder / f"run-{number}-{place}"
                run = _run(path, bench.servers, output, url, topic, number)
                typer.echo(f"{run.line()}, {run.figures.peak_bytes / 2**20:,.0f} MiB")
                speeds[path].append(run.events_per_second)
    medians = {str(path): round(statistics.median(each)) for path, each in speeds.items()}
    first, *others = speeds.values()
    ratios = [b / a for other in others for a, b in zip(first, other, strict=True)]
    ratio = round(statistics.median(ratios), 3) if ratios else None
    typer.echo(json.dumps({"events": events, "events_per_second": medians, "ratio": ratio}))


def _run(path: Path, brokers: str, output: Path, url: str, topic: Topic, number: int) -> Run:
    """Run one checkout's job; check and delete what it wrote."""
    words = [topic.name, *map(str, (topic.records, topic.bad, topic.bytes))]
    done = subprocess.run(
        [str(path / ".venv/bin/python"), "-P", str(_PROGRAM), brokers, str(output), url, *words],
        cwd=path,
        env=os.environ | {"PYTHONPATH": str(path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    figures = Figures(**json.loads(done.stdout.splitlines()[-1]))
    rows = written(output, topic)
    _check_index(url, f"{output.name}-*", topic.records - topic.bad)
    for made in output.parent.glob(f"{output.name}*"):
        shutil.rmtree(made) if made.is_dir() else made.unlink()
    name = "this checkout" if path == ROOT else path.name
    return Run(name, number, topic.records, figures, rows)


def _check_index(url: str, indices: str, events: int) -> None:
    with OpenSearch(url, timeout=60) as client:
        client.indices.refresh(index=indices)
        found = client.count(index=indices)["count"]
        assert found == events, f"{found} documents instead of {events}"
        for index in client.indices.get(index=indices):
            client.indices.delete(index=index)


if __name__ == "__main__":
    typer.run(main)
