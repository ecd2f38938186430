"""TaskManagers and Python workers are killed in mid-run: nothing is lost, nothing is doubled, and
no log of any process has a secret.

The job connects with passwords, and copies Kafka to Kafka by transactions; the kills fall into open
ones.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from connectors.flink.rest import wait_for
from dev.demo.generate import Recipe, generate
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from tests.conftest import PLANTED
from tests.job.harness import Harness, open_transactions
from tests.oracle import Sent, events_in

RECIPE = Recipe(events=60_000, seed=41)
RATE = 150.0
REPLICA = "recovery-replica"
INDEX_USER = "etl"


@dataclass(frozen=True)
class Recovered:
    """A job that was killed four times and then stopped.

    `shown` is what Flink's REST API said, `needed` since when the job needed its open files.
    """

    harness: Harness
    sent: list[Sent]
    shown: str
    needed: dict[str, int]


@pytest.fixture(scope="module")
def recovered(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recovered]:
    sent: list[Sent] = []
    create_topics(
        stack.environment()["KAFKA_BOOTSTRAP_SERVERS"],
        source=REPLICA,
        dead_letters=None,
        partitions=3,
    )
    with Harness(
        stack=stack,
        name="recovery",
        folder=tmp_path_factory.mktemp("recovery"),
        overrides=_with_passwords(stack),
    ) as harness:
        harness.start(by_command=True)
        done = threading.Event()
        until_done = itertools.takewhile(lambda _: not done.is_set(), generate(RECIPE))
        producer = threading.Thread(
            target=lambda: sent.extend(harness.produce(until_done, rate=RATE))
        )
        producer.start()
        try:
            for kill in (_kill_worker, _kill_task_manager, _kill_worker, _kill_task_manager):
                harness.wait_checkpoints(1)
                before = harness.failures()
                kill(stack)
                _wait_recovered(harness, before)
                assert producer.is_alive(), "the kills must fall into the run; lower RATE"
        finally:
            done.set()
            producer.join()
        harness.drain()
        shown = _shown_by_rest(harness)
        needed = harness.submitted.cluster.needed_since()
        harness.stop(drain=True)
        yield Recovered(harness, sent, shown, needed)


def test_kill_9_of_task_managers_and_python_workers_loses_and_doubles_nothing(
    recovered: Recovered,
) -> None:
    assert len(recovered.sent) == recovered.harness.produced
    verdict = recovered.harness.verdict(recovered.sent)
    assert verdict.problems() == []
    assert verdict.counts["replica all"] == len(events_in(recovered.sent))
    assert open_transactions(recovered.harness.servers, REPLICA) == {}


def test_no_secret_is_in_any_log_or_shown_by_flink(recovered: Recovered) -> None:
    stack = recovered.harness.stack
    logs = {path: path.read_text("utf-8", "replace") for path in _logs(stack)}
    names = {path.name for path in logs}
    assert {"jobmanager.log", "taskmanager-1.log", "kafka.log", "s3.log"} <= names
    assert any("-python-" in name for name in names), "the log of the client's JVM"
    logs[Path("REST")] = recovered.shown

    found = [
        f"{path.name}: {name}, {count} times"
        for path, text in logs.items()
        for name, secret in _secrets(stack).items()
        if (count := text.count(secret))
    ]
    assert found == []


def test_the_cluster_says_what_its_job_needs_and_pauses_between_checkpoints(
    recovered: Recovered,
) -> None:
    job = recovered.harness.submitted
    own = {name: at for name, at in recovered.needed.items() if job.job_id in name}
    assert own and all(name.startswith("checkpoint ") for name in own)
    assert all(0 <= time.time() - at / 1000 < 600 for at in own.values())
    assert '"min_pause": 500' in recovered.shown
    assert all("://" in folder for folder in job.cluster.checkpoint_folders())
    assert not any(job.job_id in name for name in job.cluster.needed_since())


def _with_passwords(stack: Stack) -> dict[str, dict[str, Any]]:
    """Every password that a job can have; OpenSearch here accepts any."""
    environment = stack.environment()
    kafka = {
        "bootstrap_servers": environment["KAFKA_TLS_BOOTSTRAP_SERVERS"],
        "security": "scram",
        "ca_file": environment["KAFKA_CA_FILE"],
        "username": environment["KAFKA_USERNAME"],
        "password": "${env:KAFKA_PASSWORD}",
    }
    index = {
        "auth": "basic",
        "username": INDEX_USER,
        "password": "${env:PLANTED_INDEX_PW}",
    }
    return {
        "kafka": kafka,
        "index": index,
        "replicate": {"all": {"kafka_topic": REPLICA}},
        "dead_letters": {
            "kafka_topic": "recovery-dead-letters",
            "redrive_key": "${env:PLANTED_REDRIVE_PW}",
        },
    }


def _secrets(stack: Stack) -> dict[str, str]:
    environment = stack.environment()
    basic = f"{INDEX_USER}:{PLANTED['PLANTED_INDEX_PW']}"
    return {
        **PLANTED,
        "the header of basic authentication": b64encode(basic.encode()).decode(),
        **{name: environment[name] for name in ("AWS_SECRET_ACCESS_KEY", "KAFKA_PASSWORD")},
    }


def _logs(stack: Stack) -> list[Path]:
    """Every log below the stack's folder, also those of the servers and the Python workers."""
    files = [path for path in stack.run_dir.rglob("*") if path.is_file()]
    return [each for each in files if each.parent.name == "logs" or ".log" in each.name]


def _shown_by_rest(harness: Harness) -> str:
    """Whatever Flink shows of the job and its configuration to whoever may read its web UI."""
    get, job = harness.submitted.cluster.get, f"/jobs/{harness.submitted.job_id}"
    managers = [f"/taskmanagers/{each['id']}" for each in get("/taskmanagers")["taskmanagers"]]
    pages = (
        *("/config", "/jobmanager/config", "/jobmanager/environment", *managers),
        *(job, f"{job}/config", f"{job}/plan", f"{job}/exceptions", f"{job}/checkpoints/config"),
    )
    return "\n".join(json.dumps(get(page)) for page in pages)


def _wait_recovered(harness: Harness, before: int) -> None:
    wait_for(lambda: harness.failures() > before, 60, "the kill did not fail the job")
    harness.wait_running()


def _kill_worker(stack: Stack) -> None:
    """Kill a Python worker that works.

    Flink waits three minutes for one that died before it opened its data stream
    (Beam 2.48, `GrpcDataService.send`). Ours give themselves a name when they work.
    """
    workers = wait_for(lambda: _working(stack), 60, "a Python worker did not begin to work")
    workers[0].kill()


def _working(stack: Stack) -> list[psutil.Process]:
    """Return the Python workers, or nothing while one of them still starts."""
    workers = [psutil.Process(pid) for pid in sorted(stack.python_worker_pids())]
    return workers if all(worker.name().startswith("etl-") for worker in workers) else []


def _kill_task_manager(stack: Stack) -> None:
    number, pid = next(iter(stack.task_manager_pids().items()))
    psutil.Process(pid).kill()
    stack.restart_task_manager(number, print)
