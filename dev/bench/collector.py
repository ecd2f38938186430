"""`python -m dev.bench.collector`: what collecting batches into files costs, by part.

The job of `make bench`, with its state on the heap and in RocksDB. The cost is the CPU of the task
`collect` and of its Python workers, over the events; Parquet is encoded there too. The lake is read
back before a figure counts. `--whole` adds archive and dead letters.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from dev.bench.contenders import Contender, ours, ours_whole, servers
from dev.bench.report import Run
from dev.bench.run import BAD_SHARE, run_contender
from dev.bench.topic import fill

BACKENDS = ("hashmap", "rocksdb")
_OURS = ("collect", "etl-collect")


def main(
    events: Annotated[int, typer.Option(help="Records in the topic.", min=10_000)] = 8_000_000,
    backends: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(BACKENDS)}.")] = None,
    whole: Annotated[bool, typer.Option(help="With archive and dead letters.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Measure. Example: python -m dev.bench.collector --events 1000000 --backends hashmap"""
    report = {}
    with servers("kafka") as (bench, _):
        bench.by_part = True
        topic = fill(bench.servers, "collected", events, bad_share=BAD_SHARE if whole else 0.0)
        for number, backend in enumerate(backends or BACKENDS):
            bench.flink = {
                "state.backend.type": backend,
                "execution.checkpointing.incremental": "true",
            }
            run = run_contender(
                bench, Contender(backend, "", ours_whole if whole else ours), topic, number
            )
            report[backend] = figures(run)
            if not as_json:
                typer.echo(run.line())
    typer.echo(json.dumps({"events": events, **report}, indent=None if as_json else 1))


def figures(run: Run) -> dict[str, Any]:
    """Return speed, CPU microseconds an event by part, and MiB by kind of process at the peak."""
    parts = {name: _micros(run, seconds) for name, seconds in run.figures.parts.items()}
    return {
        "events_per_second": round(run.events_per_second),
        "cpu_seconds_per_million": round(run.cpu_per_million, 1),
        "collect_micros": round(sum(parts.get(name, 0.0) for name in _OURS), 2),
        "micros": parts,
        "files": run.written.files,
        "peak_mib": _mib(run.figures.peak_bytes),
        "peak_mib_by_kind": {k: _mib(v) for k, v in sorted(run.figures.peak_by_kind.items())},
    }


def _micros(run: Run, seconds: float) -> float:
    return round(seconds * 1e6 / run.records, 2)


def _mib(size: int) -> int:
    return round(size / 2**20)


if __name__ == "__main__":
    typer.run(main)
