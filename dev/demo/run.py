"""`make demo`: the main job on real servers, then every sink read back, then the report.

The data set is sent in two parts: most of it before the job starts, which shows how fast a backlog
is worked off, and the rest at a steady pace while the job runs, which shows the lag.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from connectors.flink.rest import wait_for
from dev.demo import read_back
from dev.demo.findings import Verdict
from dev.demo.generate import Recipe
from dev.demo.ledger import Ledger
from dev.demo.load import Load
from dev.demo.report import render, write
from dev.demo.variants import Variant, prepare, to_airports, variant
from dev.demo.watch import lag_of, wait_archived, wait_checkpoints
from dev.servers.s3 import create_bucket
from dev.servers.setup import setup
from dev.servers.stack import Stack
from pipeline.config import load as load_config
from pipeline.ops.reconcile.options import Options, Output
from pipeline.ops.reconcile.report import Report
from pipeline.ops.reconcile.run import reconcile
from pipeline.ops.reconcile.show import show
from pipeline.ops.systems import Systems
from pipeline.progress import Steps
from pipeline.submit import Submitted, submit

BUCKET: Final = "streaming-etl"
_LIVE_SECONDS: Final = 15
_PATIENCE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One run; `stack` is up."""

    root: Path
    stack: Stack
    steps: Steps
    variant: Variant
    recipe: Recipe

    def run(self) -> dict[str, Any]:
        """The report, its findings under `problems`."""
        started = time.monotonic()
        environment = self.stack.environment()
        prepare(self.variant, environment)
        shutil.rmtree(self._history, ignore_errors=True)
        create_bucket(BUCKET, endpoint=environment["S3_ENDPOINT"])
        with self.steps.step("making the historical data set"):
            load = Load(self.variant.sources, self.recipe, self._history, environment)
        live = int(min(self.recipe.events / 4, _LIVE_SECONDS * self.variant.live_rate))
        with self.steps.step("replaying the backlog", unit="records") as progress:
            backlog = load.send(self.recipe.events - live, progress=progress)
        job = self._submit()
        speed = self._work_off(job, backlog)
        before = job.cluster.step_metrics()
        with self.steps.step("replaying live", unit="records") as progress:
            sent = backlog + load.send(rate=self.variant.live_rate, progress=progress)
        lag = self._drain(job, before, sent)
        checkpoints = job.cluster.checkpoints(job.job_id)
        self._stop(job)
        reconciled = self._reconcile(job)
        with self.steps.step("reading the source back"):
            ledger = load.ledger()
        ledger.save(self.root / "build" / "demo-ledger.parquet")
        verdict = self._verdict(job, ledger)
        return {
            "sources": " and ".join(self.variant.sources),
            "reconciled": reconciled.as_dict(),
            **verdict.as_dict(),
            "events_per_second": speed,
            "lag_ms": lag,
            "checkpoints": checkpoints.completed,
            "checkpoints_failed": checkpoints.failed,
            "seconds": round(time.monotonic() - started, 1),
            "problems": [*reconciled.problems(), *verdict.problems()],
        }

    def _verdict(self, job: Submitted, ledger: Ledger) -> Verdict:
        replicas = dict.fromkeys(job.config.replicate, to_airports)
        environment = self.stack.environment()
        return read_back.verdict(ledger, job.config, environment, self.steps, replicas=replicas)

    def _reconcile(self, job: Submitted) -> Report:
        """What an operator's `reconcile --complete` says, which knows nothing of the data set."""
        types = load_config.event_types(job.config)
        systems = Systems(job.config, types, {**os.environ, **self.stack.environment()})
        report = reconcile(systems, Options(complete=True), self.steps)
        if not self.steps.console.stderr:  # the output is for programs
            show(report, Output(), self.steps.console)
        return report

    @property
    def _history(self) -> Path:
        return self.root / "build" / "demo-history"

    def _submit(self) -> Submitted:
        with self.steps.step("submitting the job"):
            job = submit(self.root / "conf" / self.variant.config, self.stack.environment())
            cluster = job.cluster
            wait_for(lambda: cluster.running(job.job_id), _PATIENCE_SECONDS, "the job did not run")
        return job

    def _work_off(self, job: Submitted, records: int) -> int:
        """Wait until the backlog is decoded and indexed; records a second since all tasks ran."""
        started = time.monotonic()
        self._wait_decoded(job, records, "working off the backlog")
        return round(records / (time.monotonic() - started))

    def _wait_decoded(self, job: Submitted, records: int, what: str) -> dict[str, float]:
        with self.steps.step(what, unit="records", total=records) as progress:

            def decoded() -> dict[str, float] | None:
                job.cluster.running(job.job_id)
                found = job.cluster.step_metrics()
                progress(int(found.get("decode.in", 0)))
                return found if _done(found, records, index=job.config.index is not None) else None

            found: dict[str, float] = wait_for(decoded, _PATIENCE_SECONDS, f"{what}: not done")
        return found

    def _drain(self, job: Submitted, before: dict[str, float], records: int) -> dict[str, int]:
        """Wait until checkpoints cover everything and two more completed; the lag meanwhile."""
        after = self._wait_decoded(job, records, "following live")
        with self.steps.step("waiting for checkpoints to cover everything"):
            wait_archived(job, self.stack.environment(), records, _PATIENCE_SECONDS)
            wait_checkpoints(job, 2)
        return lag_of(before, after, "index" if job.config.index else "decode")

    def _stop(self, job: Submitted) -> None:
        with self.steps.step("stopping with a savepoint"):
            job.cluster.stop_with_savepoint(
                job.job_id, f"s3a://{BUCKET}/savepoints", timeout_seconds=_PATIENCE_SECONDS
            )


def _done(found: Mapping[str, float], records: int, *, index: bool) -> bool:
    """Whether so many records are decoded, and the events among them acknowledged by the index."""
    decoded = found.get("decode.in", 0) >= records
    return decoded and (not index or found.get("index.in", 0) >= found["decode.events"])


def demo(
    root: Path, *, source: str, events: int | None, seed: int, keep: bool, console: Console
) -> int:
    """Run it all; 0 when nothing is missing, doubled or misplaced, else 1.

    `source` is kafka, kinesis or both; without `events` the source decides how many.
    """
    steps = Steps(console)
    chosen = variant(source)
    setup(root, say=steps.say, servers=chosen.servers)
    run_dir = root / "build" / "demo"
    stack = Stack(root, run_dir=run_dir, free_ports=True, servers=chosen.servers)
    with _running(stack, steps, keep=keep):
        recipe = Recipe(events=events or chosen.events, seed=seed)
        report = Demo(root=root, stack=stack, steps=steps, variant=chosen, recipe=recipe).run()
        path = root / "build" / "demo-report.json"
        write(report, path)
        render({name: each for name, each in report.items() if name != "reconciled"}, console)
        steps.say(f"the report is in {path.relative_to(root)}")
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
