"""TaskManagers and Python workers are killed in mid-run: nothing is lost, nothing is doubled.

The job also copies Kafka to Kafka by transactions, and the kills fall into open ones.
"""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import psutil

from connectors.flink.rest import wait_for
from dev.demo.generate import Recipe, generate
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from tests.job.harness import Harness, open_transactions
from tests.oracle import Sent, events_in

RECIPE = Recipe(events=24_000, seed=41)
RATE = 150.0
REPLICA = "recovery-replica"


def test_kill_9_of_task_managers_and_python_workers_loses_and_doubles_nothing(
    stack: Stack, tmp_path: Path
) -> None:
    sent: list[Sent] = []
    replicate = {"all": {"kafka_topic": REPLICA}}
    overrides = {"replicate": replicate}
    create_topics(
        stack.environment()["KAFKA_BOOTSTRAP_SERVERS"],
        source=REPLICA,
        dead_letters=None,
        partitions=3,
    )
    with Harness(stack=stack, name="recovery", folder=tmp_path, overrides=overrides) as harness:
        harness.start()
        done = threading.Event()
        until_done = itertools.takewhile(lambda _: not done.is_set(), generate(RECIPE))
        producer = threading.Thread(
            target=lambda: sent.extend(harness.produce(until_done, rate=RATE))
        )
        producer.start()
        try:
            for kill in (_kill_worker, _kill_task_manager, _kill_worker, _kill_task_manager):
                harness.wait_checkpoints(1)
                before = _failures(harness)
                kill(stack)
                _wait_recovered(harness, before)
                assert producer.is_alive(), "the kills must fall into the run; lower RATE"
        finally:
            done.set()
            producer.join()
        harness.drain()
        harness.stop()

    assert len(sent) == harness.produced
    verdict = harness.verdict(sent)
    assert verdict.problems() == []
    assert verdict.counts["replica all"] == len(events_in(sent))
    assert open_transactions(harness.servers, REPLICA) == {}


def _wait_recovered(harness: Harness, before: int) -> None:
    wait_for(lambda: _failures(harness) > before, 60, "the kill did not fail the job")
    harness.wait_running()


def _failures(harness: Harness) -> int:
    """How often a task failed so far, at most sixteen, which Flink keeps.

    Not the metric numRestarts: the REST API of Flink 1.20's standalone cluster lacks it.
    """
    job = harness.submitted
    exceptions = job.cluster.get(f"/jobs/{job.job_id}/exceptions")
    return len(exceptions["exceptionHistory"]["entries"])


def _kill_worker(stack: Stack) -> None:
    workers = stack.python_worker_pids()
    assert workers, "no Python worker runs"
    psutil.Process(min(workers)).kill()


def _kill_task_manager(stack: Stack) -> None:
    number, pid = next(iter(stack.task_manager_pids().items()))
    psutil.Process(pid).kill()
    stack.restart_task_manager(number, print)
