"""The bench's figures as a table, as JSON and as a plot."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from dev.bench.check import Written
from dev.bench.contenders import CONTENDERS, SPARK_PYTHON, Figures
from pipeline.options import ROOT

KEYS: Final = {
    "ours": "ours_eps",
    "ours-whole": "ours_whole_eps",
    "spark": "spark_eps",
    "spark-tuned": "spark_tuned_eps",
    "flink-json": "flink_json_eps",
    "consumer": "python_consumer_eps",
}
"""Each contender's name in docs/benchmarks/lake.json."""


@dataclass(frozen=True, slots=True)
class Run:
    """One contender in one round."""

    name: str
    round: int
    records: int
    figures: Figures
    written: Written

    @property
    def events_per_second(self) -> float:
        """Events per second from the first record read to the last one committed."""
        return self.records / self.figures.run_seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds per million events, start-up included."""
        return self.figures.cpu_seconds * 1_000_000 / self.records

    def line(self) -> str:
        """Return a line of progress."""
        return (
            f"round {self.round + 1} {self.name}: {self.events_per_second:,.0f} events/s,"
            f" {self.figures.run_seconds:.1f} s after {self.figures.start_seconds:.1f} s of start,"
            f" {self.cpu_per_million:.1f} CPU s a million, {self.written.files:,} files"
        )


def show(runs: Sequence[Run]) -> None:
    """Print medians, and the range of events per second."""
    table = Table(
        "who", "events/s", "min", "max", "CPU s/M", "peak MiB", "start s", "files", "MB",
        title="the lake's work, medians",
    )  # fmt: skip
    for name in _names(runs):
        own = [run for run in runs if run.name == name]
        speeds = [run.events_per_second for run in own]
        cells = [statistics.median(speeds), min(speeds), max(speeds)]
        table.add_row(
            name,
            *(f"{cell:,.0f}" for cell in cells),
            f"{_median(run.cpu_per_million for run in own):.1f}",
            f"{_median(run.figures.peak_bytes for run in own) / 2**20:,.0f}",
            f"{_median(run.figures.start_seconds for run in own):.1f}",
            f"{_median(run.written.files for run in own):,.0f}",
            f"{_median(run.written.bytes for run in own) / 1e6:,.0f}",
        )
    Console(width=110).print(table)
    for name in _names(runs):
        if name != "ours" and "ours" in _names(runs):
            print(f"ours / {name}: {ratio(runs, 'ours', name):.2f}")


def ratio(runs: Sequence[Run], name: str, other: str) -> float:
    """Return the median over rounds of the ratio of two speeds in the same round."""
    speeds = {(run.name, run.round): run.events_per_second for run in runs}
    rounds = {run.round for run in runs if run.name == name}
    return _median(speeds[name, number] / speeds[other, number] for number in rounds)


def keep(runs: Sequence[Run], folder: Path, sizes: dict[str, Any]) -> None:
    """Write docs/benchmarks/lake.json and, with the bench's interpreter, lake.svg."""
    speeds = {
        KEYS[name]: round(_median(r.events_per_second for r in runs if r.name == name))
        for name in _names(runs)
    }
    report = {
        **speeds,
        "ratio_to_spark_tuned": round(ratio(runs, "ours", "spark-tuned"), 3),
        "ratio_to_flink_json": round(ratio(runs, "ours", "flink-json"), 3),
        **sizes,
        "machine": {"cores": os.cpu_count(), "platform": platform.platform()},
        "load_after": os.getloadavg(),
        "versions": {"flink": version("apache-flink"), "spark": _spark_version()},
        "commit": _commit(),
        "runs": [
            {
                "name": run.name,
                "round": run.round,
                "events_per_second": round(run.events_per_second),
                "run_seconds": round(run.figures.run_seconds, 1),
                "start_seconds": round(run.figures.start_seconds, 1),
                "cpu_seconds_per_million": round(run.cpu_per_million, 1),
                "peak_bytes": run.figures.peak_bytes,
                "files": run.written.files,
                "partitions": run.written.partitions,
                "bytes": run.written.bytes,
            }
            for run in runs
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lake.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    program = Path(__file__).parent / "plot.py"
    subprocess.run([str(SPARK_PYTHON), str(program), str(path)], check=True)
    print(f"kept in {path} and {path.with_suffix('.svg')}")


def page_table(report: dict[str, Any]) -> str:
    """Return the table of a kept bench in docs/performance.md, of the contenders that ran."""
    rows = []
    for contender in CONTENDERS:
        own = [run for run in report["runs"] if run["name"] == contender.name]
        if not own:
            continue
        speeds = sorted(run["events_per_second"] for run in own)
        cells = [
            f"{statistics.median(speeds):,}",
            f"{speeds[0]:,} - {speeds[-1]:,}",
            f"{_median(run['cpu_seconds_per_million'] for run in own):.1f}",
            f"{_median(run['peak_bytes'] for run in own) / 2**20:,.0f}",
            f"{_median(run['files'] for run in own):,.0f}",
        ]
        rows.append(f"| {contender.what} | {' | '.join(cells)} |\n")
    return "".join(rows)


def _names(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(run.name for run in runs if run.round == 0))


def _median(values: Any) -> float:
    return float(statistics.median(list(values)))


def _commit() -> str:
    """Return the commit, marked if files other than the bench's output have changed."""
    changed = _git("status", "--porcelain", "--", ".", ":!docs/benchmarks")
    return _git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _spark_version() -> str:
    program = "import pyspark; print(pyspark.__version__)"
    command = [str(SPARK_PYTHON), "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
