"""The real servers: up, reachable from this machine only, one crash, down, nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from connectors.errors import UserError
from dev.servers import ports, process
from dev.servers.s3 import create_bucket
from dev.servers.server import fetch
from dev.servers.setup import setup
from dev.servers.stack import Stack

ROOT = Path(__file__).parents[3]


def silent(_: str) -> None:
    """Progress that nobody reads."""


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Come back when the condition holds; fail after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack on free ports, stopped whatever happens."""
    setup(ROOT, say=silent)
    made = Stack(ROOT, run_dir=tmp_path_factory.mktemp("stack"), free_ports=True)
    with made.running(silent):
        yield made


def test_every_server_is_ready_and_named_in_the_environment(stack: Stack) -> None:
    assert {each.name for each in stack.status() if each.ready} == {
        "kafka", "s3", "opensearch", "jobmanager", "taskmanager-1", "metrics",
    }  # fmt: skip
    environment = stack.environment()
    create_bucket("lake", endpoint=environment["S3_ENDPOINT"])
    create_bucket("lake", endpoint=environment["S3_ENDPOINT"])
    assert Path(environment["FLINK_CONF_DIR"], "config.yaml").is_file()


def test_another_process_sees_the_same_stack(stack: Stack) -> None:
    loaded = Stack.load(stack.run_dir)

    assert loaded.status() == stack.status()
    assert loaded.environment() == stack.environment()


def test_a_shell_gets_the_environment_from_a_file(stack: Stack) -> None:
    shown = f". {stack.environment_file}; env --null"
    done = subprocess.run(["sh", "-c", shown], env={}, capture_output=True, text=True, check=True)
    exported = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert stack.environment().items() <= exported.items()


def test_up_again_says_so_and_starts_nothing(stack: Stack) -> None:
    before = stack.pids()
    said: list[str] = []

    stack.up(said.append)

    assert said == [f"already up (in {stack.run_dir})"]
    assert stack.pids() == before


def test_nothing_is_reachable_from_outside_even_with_python_workers(stack: Stack) -> None:
    submit(stack, Path(__file__).with_name("python_job.py"))
    wait_for(lambda: bool(stack.python_worker_pids()))
    (task_manager,) = stack.task_manager_pids().values()
    wait_for(lambda: len(ports.listeners_of([psutil.Process(task_manager)])) > 3)

    exposed = [each for each in ports.listeners_of(stack.processes()) if not each.is_loopback]

    assert exposed == []


def test_flink_s_metrics_can_be_read(stack: Stack) -> None:
    for url in stack.environment()["PROMETHEUS_URLS"].split(","):
        wait_for(lambda url=url: b"\nflink_" in (fetch(url) or b""))  # type: ignore[misc]


def test_killed_task_manager_is_seen_dead_and_can_be_started_again(stack: Stack) -> None:
    pid = stack.task_manager_pids()[1]
    psutil.Process(pid).kill()
    wait_for(lambda: stack.task_manager_pids() == {})
    assert [each.name for each in stack.status() if not each.alive] == ["taskmanager-1"]

    stack.restart_task_manager(1, silent)

    assert stack.task_manager_pids()[1] != pid
    assert all(each.ready for each in stack.status())


def test_stopped_server_comes_back_on_its_port(stack: Stack) -> None:
    url = stack.environment()["S3_ENDPOINT"]
    stack.stop_server("s3", silent)
    assert [each.name for each in stack.status() if not each.alive] == ["s3"]

    stack.start_server("s3", silent)

    assert stack.environment()["S3_ENDPOINT"] == url
    assert all(each.ready for each in stack.status())


def test_down_leaves_nothing_and_can_be_repeated(stack: Stack) -> None:
    started = list(stack.started().values())
    assert started

    stack.down(silent)

    assert [each for each in started if process.family(each)] == []
    assert stack.status() == []
    assert not stack.environment_file.exists()
    said: list[str] = []
    stack.down(said.append, wipe=True)
    assert said == [f"nothing was up (in {stack.run_dir})"]
    assert not stack.run_dir.exists()


def submit(stack: Stack, job: Path) -> None:
    """Run a job on the stack's cluster, as a user would with Flink's own client."""
    environment = stack.environment()
    python = ("-pyexec", sys.executable, "-pyclientexec", sys.executable)
    done = subprocess.run(
        [f"{environment['FLINK_HOME']}/bin/flink", "run", "-d", "-py", str(job), *python],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = json.loads(fetch(f"{environment['FLINK_REST_URL']}/jobs") or b"{}")["jobs"]
    assert jobs, "no job was submitted"


def test_loading_a_stack_that_was_never_started_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make up"):
        Stack.load(tmp_path)
