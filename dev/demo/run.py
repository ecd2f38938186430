"""`make demo`: the main job on real servers, every sink read back, then the report.

Most of the data set is sent before the job starts, which shows how fast a backlog is worked off,
and the rest at a steady rate while the job runs, which shows the lag.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from connectors.flink.rest import wait_for
from dev.demo import proof
from dev.demo.generate import Recipe, generate
from dev.demo.load import Load
from dev.demo.page import PAGE, REPORT, write_page
from dev.demo.series import Series
from dev.demo.variants import Place, Variant, prepare
from dev.figures import render, write
from dev.rehearse.deployed import Deployed
from dev.servers.setup import setup
from dev.servers.stack import Stack
from pipeline.config import load as load_config
from pipeline.lag import lag_of
from pipeline.ops.reconcile.inventory import inventory
from pipeline.ops.reconcile.options import Options
from pipeline.ops.reconcile.run import reconcile
from pipeline.ops.systems import Systems
from pipeline.progress import Steps
from pipeline.submit import Submitted, submit

_LIVE_SECONDS: Final = 15
_PATIENCE_SECONDS: Final = 300.0
_BACKLOG: Final = "backlog"
_LIVE: Final = "live"
_NOT_SHOWN: Final = ("reconciled", "course", "made_at")
"""What the files alone have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One run on a stack that is up."""

    root: Path
    place: Place
    steps: Steps
    variant: Variant
    recipe: Recipe

    def run(self) -> dict[str, Any]:
        """Return the report, with a sentence for everything that is wrong under `problems`."""
        started = time.monotonic()
        load, backlog = self._load()
        with self.steps.step("replaying the backlog"):
            load.send(_BACKLOG)
        job = self._submit()
        has_index = job.config.index is not None
        with Series(job.cluster.step_metrics) as series:
            with series.phase(_BACKLOG):
                speed = self._work_off(job, backlog)
            before = job.cluster.step_metrics()
            with series.phase(_LIVE), self.steps.step("replaying live"):
                load.send(_LIVE, rate=self.variant.live_rate)
            after = self._wait_decoded(job, load.expectation.produced, "following live")
        checkpoints = job.cluster.checkpoints(job.job_id)
        self._stop(job)
        figures, problems = self._proof(job, load.expectation)
        return {
            "sources": " and ".join(self.variant.sources),
            **_stack(self.place.deployed),
            **figures,
            "events_per_second": speed,
            "lag_ms": lag_of(before, after, "index" if has_index else "decode"),
            "checkpoints": checkpoints.completed,
            "checkpoints_failed": checkpoints.failed,
            "seconds": round(time.monotonic() - started, 1),
            "problems": problems,
            "made_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "course": msgspec.to_builtins(series.course(index=has_index)),
        }

    def _load(self) -> tuple[Load, int]:
        """Write the data set; return it and how many records its backlog has."""
        folder = self.root / "build" / "demo-history"
        shutil.rmtree(folder, ignore_errors=True)
        live = int(min(self.recipe.events / 4, _LIVE_SECONDS * self.variant.live_rate))
        records = generate(self.recipe)
        load = Load(self.variant.sources, folder, self.place)
        with self.steps.step("making the historical data set"):
            backlog = load.write(islice(records, self.recipe.events - live), _BACKLOG)
            load.write(records, _LIVE)
        return load, backlog

    def _proof(self, job: Submitted, due: proof.Expectation) -> tuple[dict[str, Any], list[str]]:
        """Return the figures and problems of `reconcile --complete` and of the counts."""
        types = load_config.event_types(job.config)
        systems = Systems(job.config, types, {**os.environ, **self.place.environment})
        report = reconcile(systems, Options(complete=True), self.steps)
        if not self.steps.console.stderr:  # stdout is for people then
            report.show(self.steps.console)
        with self.steps.step("counting the rejects by reason"):
            differences = proof.differences(due, report, proof.reasons_of(systems))
        figures = {"reconciled": report.as_dict(), **proof.figures(due, report)}
        return {**figures, **_files(systems)}, [*report.problems(), *differences]

    def _submit(self) -> Submitted:
        with self.steps.step("submitting the job"):
            job = submit(self.root / "conf" / self.variant.config, self.place.environment)
            cluster = job.cluster
            wait_for(lambda: cluster.running(job.job_id), _PATIENCE_SECONDS, "the job did not run")
        return job

    def _work_off(self, job: Submitted, records: int) -> int:
        """Wait until the backlog is decoded and indexed; return records per second until then."""
        started = time.monotonic()
        self._wait_decoded(job, records, "working off the backlog")
        return round(records / (time.monotonic() - started))

    def _wait_decoded(self, job: Submitted, records: int, what: str) -> dict[str, float]:
        with self.steps.step(what, unit="records", total=records) as progress:

            def decoded() -> dict[str, float] | None:
                job.cluster.running(job.job_id)
                metrics = job.cluster.step_metrics()
                progress(int(metrics.get("decode.in", 0)))
                is_done = _done(metrics, records, index=job.config.index is not None)
                return metrics if is_done else None

            last: dict[str, float] = wait_for(decoded, _PATIENCE_SECONDS, f"{what}: not done")
        return last

    def _stop(self, job: Submitted) -> None:
        """Stop the job when it has written all rows to files, and passed on everything."""
        with self.steps.step("draining and stopping with a savepoint"):
            job.cluster.stop_with_savepoint(
                job.job_id,
                f"s3a://{self.place.bucket}/savepoints",
                timeout_seconds=_PATIENCE_SECONDS,
                drain=True,
            )


def _done(metrics: Mapping[str, float], records: int, *, index: bool) -> bool:
    """Tell whether that many records are decoded, and their events acknowledged by the index."""
    decoded = metrics.get("decode.in", 0) >= records
    return decoded and (not index or metrics.get("index.in", 0) >= metrics["decode.events"])


def _stack(deployed: Deployed | None) -> dict[str, Any]:
    """Return how much of the template was deployed, and what was left out for which reason."""
    if deployed is None:
        return {}
    left_out = deployed.part.summary()
    return {"stack_resources": len(deployed.resources), "stack_left_out": left_out}


def _files(systems: Systems) -> dict[str, float]:
    """Return how many files archive and lake consist of."""
    config = systems.config
    assert config.archive and config.lake, "the demo's configurations have both"
    found = inventory(systems.lake(config.lake.path).listing())
    return {
        "archive_files": len(systems.store(config.archive.path).listing()),
        "lake_files": found.files,
        "lake_bytes": found.bytes,
        "lake_partitions": found.partitions,
        "lake_files_per_partition": round(found.files / max(1, found.partitions), 2),
    }


def demo(
    root: Path, chosen: Variant, *, events: int | None, seed: int, keep: bool, console: Console
) -> int:
    """Run it all; return 0 when nothing is missing, doubled or misplaced, else 1.

    Without `events` the variant's own number is made.
    """
    steps = Steps(console)
    setup(root, say=steps.say, servers=chosen.servers)
    run_dir = root / "build" / "demo"
    stack = Stack(root, run_dir=run_dir, free_ports=True, servers=chosen.servers)
    with _running(stack, steps, keep=keep):
        with steps.step("making what the job reads and writes"):
            place = prepare(root, chosen, stack.environment())
        recipe = Recipe(events=events or chosen.events, seed=seed)
        report = Demo(root=root, place=place, steps=steps, variant=chosen, recipe=recipe).run()
        write(report, root / REPORT)
        write_page(report, root / PAGE)
        shown = {name: value for name, value in report.items() if name not in _NOT_SHOWN}
        title = "What was produced, and what every sink holds of it"
        render(shown, console, title=title, style=proof.style)
        steps.say(f"the report is in {REPORT}, and as a page in {PAGE}")
    return 1 if report["problems"] else 0


@contextmanager
def _running(stack: Stack, steps: Steps, *, keep: bool) -> Iterator[None]:
    stack.down(steps.say, wipe=True)
    try:
        stack.up(steps.say)
        yield
    finally:
        if keep:
            for name, value in stack.environment().items():
                if value.startswith("http"):
                    steps.say(f"{name} {value}")
            steps.say(f"left up; stop with: python -m dev down --run-dir {stack.run_dir}")
        else:
            stack.down(steps.say)
