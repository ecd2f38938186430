"""The faults of a rehearsal, and how each alarm is made to fire.

An alarm is in exactly one of `FAULTS`, `LOWERED`, `GIVEN`, `STOPPED` and `RECONCILED`; a test
checks that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from dev.rehearse.load import Load
from dev.servers.job_watch import wait_checkpoints
from dev.servers.process import read
from dev.servers.stack import Stack
from pipeline.deploy.monitoring.local import UNCOMMITTED
from pipeline.submit import Submitted

_DEFECTIVE: Final = 50
_STALE: Final = 20
_FEW: Final = 10
_BURST: Final = 1_500
"""Into one partition: more than its reader takes in one go, so that it is behind for a moment."""
_PAUSE_SECONDS: Final = 6.0
"""Less than the heartbeat's timeout, or the TaskManager would count as dead."""
_STILL_SECONDS: Final = 7.0
"""Longer than a bulk request may take, shorter than the index tries."""
_SLOW_SECONDS: Final = 45.0
"""CheckpointSlow's threshold and a checkpoint's interval, and less than S3A tries."""
_ANSWERS_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Scene:
    """The running system that faults are provoked on."""

    stack: Stack
    load: Load
    job: Submitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault: `begin` holds it while its alarms are awaited.

    `act` is repeated while it lasts. `alarms` must fire meanwhile, `after` when it is over. Without
    `lake`, S3 cannot be read while it lasts.
    """

    what: str
    begin: Callable[[Scene], AbstractContextManager[object]]
    alarms: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    act: Callable[[Scene], object] = lambda scene: None
    lake: bool = True


@contextmanager
def defective_records(scene: Scene) -> Iterator[None]:
    """Send records that are no events, with a forged redrive header."""
    scene.load.feed_defective(_DEFECTIVE)
    yield


@contextmanager
def line_in_the_log(scene: Scene) -> Iterator[None]:
    """Write the line that Flink logs when it gives up a transaction, into a log file of its own."""
    log = Path(scene.stack.environment()["FLINK_LOG_DIR"]) / "taskmanager-rehearsal.log"
    log.write_text(f"ERROR KafkaCommitter - {UNCOMMITTED} (written by the rehearsal)\n", "utf-8")
    yield


@contextmanager
def paused_task_manager(scene: Scene) -> Iterator[None]:
    """Suspend the TaskManager while records arrive."""
    (pid,) = scene.stack.task_manager_pids().values()
    with standing_still(pid):
        scene.load.feed(to_topic=_BURST, partition=0)
        scene.load.feed(to_stream=_FEW)
        time.sleep(_PAUSE_SECONDS)
    yield


@contextmanager
def without_more(scene: Scene) -> Iterator[None]:
    """A fault that consists of its `act` only."""
    yield


def opensearch_pulse(scene: Scene) -> None:
    """Let OpenSearch answer only for a moment every few seconds."""
    scene.load.feed(to_topic=_FEW)
    with standing_still(pid_of(scene.stack, "opensearch")):
        time.sleep(_STILL_SECONDS)
    time.sleep(_ANSWERS_SECONDS)


@contextmanager
def still_opensearch(scene: Scene) -> Iterator[None]:
    """Suspend OpenSearch: it accepts connections and answers nothing."""
    with standing_still(pid_of(scene.stack, "opensearch")):
        yield


@contextmanager
def still_s3(scene: Scene) -> Iterator[None]:
    """Suspend S3 long enough for a checkpoint to be slow."""
    began = time.monotonic()
    with standing_still(pid_of(scene.stack, "s3")):
        yield
        time.sleep(max(0.0, began + _SLOW_SECONDS - time.monotonic()))


@contextmanager
def stopped_s3(scene: Scene) -> Iterator[None]:
    """Stop S3 when the next checkpoint is due.

    No record arrives meanwhile and nothing is half written: a sink that S3 refuses fails the job at
    once, and a job that does not run takes no checkpoint that could fail.
    """
    wait_checkpoints(scene.job, 2)
    scene.stack.stop_server("s3", _silent)
    try:
        yield
    finally:
        scene.stack.start_server("s3", _silent)


@contextmanager
def stopped_task_manager(scene: Scene) -> Iterator[None]:
    """Stop the only TaskManager, and start another one afterwards."""
    scene.stack.stop_server("taskmanager-1", _silent)
    try:
        yield
    finally:
        scene.stack.restart_task_manager(1, _silent)


def kill_workers(scene: Scene) -> None:
    """Kill the Python processes of a running job, and send records that need them.

    A task without work does not notice that its worker is gone. Workers that still start are left
    alone: Flink would wait for such a one for three minutes.
    """
    if scene.job.cluster.running(scene.job.job_id):
        feed(scene)
        for worker in map(psutil.Process, scene.stack.python_worker_pids()):
            if worker.name().startswith("etl-"):  # its step has named it
                worker.kill()


def feed(scene: Scene) -> None:
    """Send a few events to both sources."""
    scene.load.feed(to_topic=_FEW, to_stream=_FEW)


def feed_stale(scene: Scene) -> None:
    """Send a few events, then older versions of them."""
    scene.load.feed_stale(_STALE)


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """Suspend a process, and resume it afterwards whatever happens."""
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def pid_of(stack: Stack, name: str) -> int:
    """Return the process id of a server."""
    started = read(stack.pid_file(name))
    assert started is not None, f"{name} was not started"
    return started.pid


def _silent(text: str) -> None:
    """Print nothing: the steps of a rehearsal report already."""


FAULTS: Final = (
    Fault(
        what="records that are no events, with a forged redrive header",
        begin=defective_records,
        alarms=("DeadLetterRatio", "ForgedRedrives"),
    ),
    Fault(
        what="a log line written, not provoked, through the template's filter",
        begin=line_in_the_log,
        alarms=("Uncommitted",),
    ),
    Fault(
        what=f"TaskManager stopped for {_PAUSE_SECONDS:g} s while records come",
        begin=paused_task_manager,
        alarms=("EventLag", "BehindKafka"),
    ),
    Fault(
        what="older versions of events", begin=without_more, alarms=("IndexStale",), act=feed_stale
    ),
    Fault(
        what="OpenSearch answers only now and then",
        begin=without_more,
        alarms=("IndexRetries", "IndexSlow"),
        act=opensearch_pulse,
    ),
    Fault(
        what="OpenSearch answers nothing",
        begin=still_opensearch,
        alarms=("IndexUnavailable",),
        act=feed,
    ),
    Fault(
        what="Python workers killed again and again",
        begin=without_more,
        alarms=("Restarts", "RestartsRepeat"),
        act=kill_workers,
    ),
    Fault(
        what="S3 answers nothing",
        begin=still_s3,
        alarms=("LakeStalled",),
        after=("CheckpointSlow",),
        act=feed,
        lake=False,
    ),
    Fault(what="S3 is away", begin=stopped_s3, alarms=("CheckpointsFail",), lake=False),
    Fault(
        what="the only TaskManager ended",
        begin=stopped_task_manager,
        alarms=("Throughput", "BehindKinesis", "NothingRead"),
        act=feed,
    ),
)
STOPPED: Final[Mapping[str, str]] = {"Down": "the job stopped with a savepoint"}
RECONCILED: Final[Mapping[str, str]] = {"ReconcileMismatch": "a file of the lake deleted"}
LOWERED: Final[Mapping[str, float]] = {
    "Heap": 1.0,
    "Cpu": 0.01,
    "Threads": 100.0,
    "CheckpointLarge": 1.0,
}
"""Alarms that would need gigabytes or hours: on the measured values, with another threshold."""
GIVEN: Final = (
    *("NoJob", "Memory", "OldCollections", "BackPressure", "BehindRetention", "SourceAge"),
    *("SourceThrottled", "SourceReadThrottled", "InternalError", "NativeFailures"),
    *("LettersThrottled", "S3Failed"),
    *("SearchRed", "SearchYellow", "SearchBlocked", "SearchDisk", "SearchNodes", "SearchSnapshot"),
    *("SearchKey", "SearchKeyGone", "SearchRefused", "KafkaOffline", "KafkaUnderMinIsr"),
    *("KafkaUnderReplicated", "KafkaDisk", "KafkaCpu", "KafkaHeap", "KafkaLag"),
)
"""Alarms of what only AWS has, or of what cannot be provoked here in a few minutes."""
