"""What is collected for files survives kills, rescaling and an S3 that refuses.

`kill -9` falls on each process while buckets are open, while their files are written, and while
these are committed. Nothing is lost and nothing is doubled.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from rich.console import Console

from connectors.flink.rest import wait_for
from dev.demo.generate import Recipe, generate
from dev.demo.made import Made
from dev.servers.stack import Stack
from pipeline.ops.reconcile.options import Options
from pipeline.ops.reconcile.run import reconcile
from pipeline.ops.systems import systems
from pipeline.progress import Steps
from tests.honest_s3 import HonestS3, before_buckets
from tests.job.harness import PATIENCE_SECONDS, Harness
from tests.oracle import Sent

OPEN, WRITTEN, RESCALED, REFUSED = "faults-open", "faults-written", "faults-rescaled", "faults-503"
PART = 400
NEVER_HERE = 86_400
REFUSED_SECONDS = 60.0
SECOND = 2
"""The number of the TaskManager that is added for four tasks."""

Kill = Callable[[Stack], None]


def kill_worker(comm: str, stack: Stack) -> None:
    """Kill a Python worker by the name that it gives itself."""
    workers = [psutil.Process(pid) for pid in stack.python_worker_pids()]
    named = [worker for worker in workers if worker.name() == comm]
    assert named, f"no {comm} among {sorted(worker.name() for worker in workers)}"
    named[0].kill()


def kill_task_manager(stack: Stack) -> None:
    psutil.Process(stack.task_manager_pids()[1]).kill()


KILLS: dict[str, Kill] = {
    "decode": partial(kill_worker, "etl-decode"),
    "collect": partial(kill_worker, "etl-collect"),
    "TaskManager": kill_task_manager,
}


@pytest.fixture(scope="module")
def proxy(stack: Stack) -> Iterator[HonestS3]:
    with before_buckets(stack, WRITTEN, REFUSED) as made:
        yield made


def test_kills_while_buckets_are_open(stack: Stack, tmp_path: Path) -> None:
    made = generate(Recipe(events=4 * PART, seed=71))
    with _job(stack, OPEN, tmp_path, file_seconds=NEVER_HERE) as job:
        sent = job.produce(_part(made))
        job.start()
        for kill in KILLS.values():
            job.wait_read()
            before = job.failures()
            kill(stack)
            sent += job.produce(_part(made))
            _wait_recovered(job, before, kill)
        job.wait_read()
        assert _rows_wait(job, sent)
        job.stop(drain=True)
    _check(job, sent)


def test_kills_while_files_are_written_and_while_they_are_committed(
    stack: Stack, proxy: HonestS3, tmp_path: Path
) -> None:
    made = generate(Recipe(events=13 * PART, seed=72))
    with _job(stack, WRITTEN, tmp_path) as job:
        job.start()
        sent: list[Sent] = []
        for kill, moment in itertools.product(KILLS.values(), ("begins", "before")):
            once = _Once(partial(kill, stack))
            hook: Any = once.lake_key if moment == "begins" else once.lake_upload
            before = job.failures()
            with proxy.hooks(**{moment: hook}):
                sent += job.produce(_part(made))
                once.wait()
            sent += job.produce(_part(made))
            _wait_recovered(job, before, kill)
        sent += job.produce(_part(made))
        job.drain()
        job.stop(drain=True)
    _check(job, sent)


def test_open_buckets_are_restored_by_one_two_and_four_tasks(stack: Stack, tmp_path: Path) -> None:
    made = generate(Recipe(events=4 * PART, seed=73))
    with (
        _second_task_manager(stack),
        _job(stack, RESCALED, tmp_path, file_seconds=NEVER_HERE) as job,
    ):
        sent = job.produce(_part(made))
        job.start()
        for parallelism in (1, 4, 2):
            job.wait_read()
            savepoint = job.stop()
            assert _rows_wait(job, sent)
            _change(job, parallelism)
            sent += job.produce(_part(made))
            job.start(savepoint=savepoint)
        job.wait_read()
        job.stop(drain=True)
    _check(job, sent)


def test_s3_refuses_while_buckets_are_closed(stack: Stack, proxy: HonestS3, tmp_path: Path) -> None:
    made = generate(Recipe(events=3 * PART, seed=74))
    first = math.inf
    """When a file of the lake was refused first."""

    def refuses(key: str) -> bool:
        nonlocal first
        if key.startswith("lake/"):
            first = min(first, time.monotonic())
        return True

    def refused_for_a_minute() -> bool:
        return time.monotonic() - first >= REFUSED_SECONDS

    with _job(stack, REFUSED, tmp_path) as job:
        job.start()
        sent = job.produce(_part(made))
        job.drain()
        with proxy.hooks(refuses=refuses):
            sent += job.produce(_part(made))
            wait_for(refused_for_a_minute, PATIENCE_SECONDS, "no file of the lake was refused")
        sent += job.produce(_part(made))
        job.drain()
        job.stop(drain=True)
    _check(job, sent)


class _Once:
    """Kills in the first request for the lake that the proxy tells about."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._lock = threading.Lock()
        self._done = threading.Event()

    def lake_key(self, key: str) -> None:
        with self._lock:
            if key.startswith("lake/") and not self._done.is_set():
                self._kill()
                self._done.set()

    def lake_upload(self, upload: dict[str, str]) -> None:
        self.lake_key(upload["Key"])

    def wait(self) -> None:
        assert self._done.wait(PATIENCE_SECONDS), "the lake wrote nothing"


def _job(stack: Stack, name: str, folder: Path, **files: Any) -> Harness:
    """Archive, lake and dead letters on S3: all that is collected."""
    overrides = {
        "index": None,
        "archive": files,
        "lake": files,
        "dead_letters": {"path": f"s3a://{name}/dead-letters", **files},
    }
    return Harness(stack=stack, name=name, folder=folder, overrides=overrides)


def _part(made: Iterator[Made]) -> list[Made]:
    return list(itertools.islice(made, PART))


def _wait_recovered(job: Harness, failures_before: int, kill: Kill) -> None:
    """Wait until the job failed by the kill and runs again.

    Flink notices that a Python worker is gone when it has records for it.
    """
    if kill is kill_task_manager:
        job.stack.restart_task_manager(1, print)
    wait_for(lambda: job.failures() > failures_before, 60, "the kill did not fail the job")
    job.wait_running()


def _rows_wait(job: Harness, sent: list[Sent]) -> bool:
    """Return whether rows are missing: those of buckets whose turn did not come meanwhile."""
    return bool(job.verdict(sent).problems())


def _change(job: Harness, parallelism: int) -> None:
    job.overrides = {**job.overrides, "job": {"parallelism": parallelism}}
    job.config_path.write_text(yaml.safe_dump(job.config()))


@contextmanager
def _second_task_manager(stack: Stack) -> Iterator[None]:
    """Two more slots, for the length of a `with`."""
    stack.restart_task_manager(SECOND, print)
    try:
        yield
    finally:
        stack.remove_task_manager(SECOND, print)


def _check(job: Harness, sent: list[Sent]) -> None:
    """Every sink holds what was sent, for the oracle and for the operator's tool."""
    assert len(sent) == job.produced
    assert job.verdict(sent).problems() == []
    opened = systems(job.config_path, job.stack.environment())
    report = reconcile(opened, Options(settle_seconds=0), Steps(Console(quiet=True)))
    assert report.ok, report
