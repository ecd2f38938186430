"""`top` where there is no job to show, and where the cluster falls silent or forgets the job."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Semaphore, Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.errors import JobFailed, UserError
from connectors.flink.job_metrics import JobMetrics
from connectors.flink.rest import Cluster
from pipeline.cli import app
from pipeline.ops.top.data import wanted
from pipeline.ops.top.view import Screen
from pipeline.ops.top.watch import Watch, chosen
from tests.interrupt import HEARS_CTRL_C

RECORDINGS = json.loads((Path(__file__).parent / "recorded.json").read_text())
RECORDED = RECORDINGS["starting"]
CONFIG = Path(__file__).parents[3] / "conf" / "local.yaml"


@dataclass
class Replay:
    """Recorded answers of a JobManager with these jobs at an address, each with this status.

    Questions about vertices are `held` until they are `released`.
    """

    url: str = ""
    status: int = 200
    overview_status: int = 200
    held: Semaphore = field(default_factory=lambda: Semaphore(0))
    released: Event = field(default_factory=Event)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(RECORDED))

    def answer(self, path: str) -> tuple[int, Any]:
        job, _, question = path.removeprefix("/jobs/").partition("/")
        if job == "overview":
            return self.overview_status, {"jobs": self.jobs}
        if path.startswith("/taskmanagers/") or path == "/jobmanager/config":
            return 200, []
        if self.status != 200 or job not in {each["jid"] for each in self.jobs}:
            return self.status if self.status != 200 else 404, {"errors": ["no such job"]}
        if question.startswith("vertices/"):
            self.held.release()
            self.released.wait(60)
            return 200, []
        name = question.partition("?")[0] or "details"
        return 200, self.answers["own" if name == "metrics" else name]


@pytest.fixture
def replay() -> Iterator[Replay]:
    """A server that answers as Flink did."""
    replayed = Replay(jobs=[overview()])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, answer = replayed.answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 64  # requests come side by side

    with Server(("127.0.0.1", 0), Handler) as server:
        replayed.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield replayed
        server.shutdown()


def overview(**changes: Any) -> dict[str, Any]:
    details = RECORDED["details"]
    return {name: details[name] for name in ("jid", "name", "state", "start-time")} | changes


def test_a_cluster_that_falls_silent_is_asked_again_and_a_forgotten_job_ends_it(
    replay: Replay,
) -> None:
    cluster = Cluster(replay.url)
    watch = Watch(cluster, chosen(cluster, ""), CONFIG)
    shown: list[Screen | str] = []

    def show(screen: Screen | str) -> None:
        shown.append(screen)
        if isinstance(screen, Screen):
            replay.status = 503
        else:
            replay.status, replay.jobs = 200, []

    with pytest.raises(JobFailed, match="no longer knows the job"):
        watch.until_it_ends(show, every=0)
    watch.close()
    first, then = shown
    assert isinstance(first, Screen) and first.reading.tasks_running == 0
    assert then == ("live: the cluster does not answer (Service Unavailable); asking again")


def test_a_cluster_that_falls_silent_while_it_is_asked_for_its_jobs_is_asked_again(
    replay: Replay,
) -> None:
    cluster = Cluster(replay.url)
    watch = Watch(cluster, chosen(cluster, ""), CONFIG)
    shown: list[Screen | str] = []

    def show(screen: Screen | str) -> None:
        shown.append(screen)
        if len(shown) == 1:
            replay.status, replay.overview_status = 404, 503
        else:
            replay.status = replay.overview_status = 200
            replay.answers["details"]["state"] = "CANCELED"

    assert watch.until_it_ends(show, every=0).reading.job.state == "CANCELED"
    watch.close()
    assert shown[1] == "live: the cluster does not answer (Not Found); asking again"
    assert len(shown) == 3


def test_requests_that_wait_for_a_connection_are_given_up_at_the_end(replay: Replay) -> None:
    replay.answers = RECORDINGS["restarted"]
    details = replay.answers["details"]
    assert len(details["vertices"]) > 8  # and no more than eight are asked for side by side
    replay.jobs = [overview(jid=details["jid"])]
    metrics = JobMetrics(Cluster(replay.url), details["jid"], wanted)
    with ThreadPoolExecutor(1) as beside:
        read = beside.submit(metrics.read)
        assert all(replay.held.acquire(timeout=60) for _ in range(8))
        metrics.close()
        replay.released.set()
        with pytest.raises(CancelledError):
            read.result(60)
    assert not replay.held.acquire(blocking=False)


def test_the_only_job_that_has_not_ended_is_chosen(replay: Replay) -> None:
    replay.jobs += [overview(jid="f" * 32, state="FINISHED")]
    assert chosen(Cluster(replay.url), "").name == "live"
    assert chosen(Cluster(replay.url), "f" * 32).state == "FINISHED"


def test_without_one_job_to_choose_the_user_is_told_what_to_do(replay: Replay) -> None:
    cluster = Cluster(replay.url)
    replay.jobs += [overview(jid="e" * 32, name="\x1b[2Jother", state="RESTARTING")]
    with pytest.raises(UserError, match="2 jobs have not ended") as several:
        chosen(cluster, "")
    assert f"{'e' * 32}  \\x1b[2Jother  RESTARTING" in str(several.value)
    with pytest.raises(UserError, match="has no job 'x'"):
        chosen(cluster, "x")
    replay.jobs = [overview(state="FAILED")]
    with pytest.raises(UserError, match="no job runs on the cluster"):
        chosen(cluster, "")


def test_the_command_needs_a_cluster_that_answers() -> None:
    unset = CliRunner().invoke(app, ["top"], env={"FLINK_REST_URL": None})
    assert isinstance(unset.exception, UserError)
    assert "FLINK_REST_URL is not set" in str(unset.exception)
    silent = CliRunner().invoke(app, ["top"], env={"FLINK_REST_URL": "http://127.0.0.1:9"})
    assert isinstance(silent.exception, UserError)
    assert "does not answer" in str(silent.exception)


def test_a_job_that_starts_is_shown_and_one_that_failed_gives_exit_code_1(replay: Replay) -> None:
    environment = {"FLINK_REST_URL": replay.url}
    told = CliRunner().invoke(app, ["top", "--once"], env=environment)
    assert told.exit_code == 0
    assert "RUNNING for 3 s: 0 of 14 tasks run" in told.output
    replay.jobs[0]["state"] = replay.answers["details"]["state"] = "FAILED"
    failed = CliRunner().invoke(app, ["top", overview()["jid"], "--json"], env=environment)
    assert (failed.exit_code, json.loads(failed.output)["state"]) == (1, "FAILED")


def test_ctrl_c_ends_it_cleanly(replay: Replay) -> None:
    watching = subprocess.Popen(
        [
            *HEARS_CTRL_C,
            str(Path(sys.executable).parent / "streaming-etl"),
            "top",
            "--every",
            "0.5",
        ],
        env={**os.environ, "FLINK_REST_URL": replay.url, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout
    assert watching.stdout.readline().startswith("live  RUNNING for 3 s")
    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=60)
    assert (watching.returncode, errors) == (0, "")
