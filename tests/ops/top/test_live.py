"""`top` on a real job, from its first record to its end, and beside a second job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from connectors.errors import UserError
from connectors.flink.rest import wait_for
from dev.demo.generate import Recipe, generate
from dev.demo.made import EVENT, Made
from dev.servers.commands import app as servers
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from pipeline.cli import app
from tests.job import warm_client
from tests.job.harness import PATIENCE_SECONDS, Harness

COMMAND = str(Path(sys.executable).parent / "streaming-etl")


def test_top_tells_what_a_job_does_until_it_ends(stack: Stack, tmp_path: Path) -> None:
    create_topics(
        stack.environment()["KAFKA_BOOTSTRAP_SERVERS"],
        source="top-mirror",
        dead_letters=None,
        partitions=2,
    )
    overrides = {"replicate": {"mirror": {"kafka_topic": "top-mirror", "max_bytes": 400}}}
    made = list(generate(Recipe(events=3_000, seed=21)))
    with Harness(stack=stack, name="top", folder=tmp_path, overrides=overrides) as harness:
        harness.start()
        with watched(harness) as watching:
            harness.produce(made)
            harness.drain()
            everything_is_counted(harness, made)
            the_status_lists_it(harness)
            one_of_two_jobs_is_chosen_by_its_id(harness)
            harness.stop()
            told, _ = watching.communicate(timeout=PATIENCE_SECONDS)
    assert watching.returncode == 0
    assert "top  FINISHED at " in told
    assert "replicate_mirror replica_too_large" in told
    assert f"  {len(made):,}" in told


@contextmanager
def watched(harness: Harness) -> Iterator[subprocess.Popen[str]]:
    """Watch the job with `top` in a process of its own."""
    with subprocess.Popen(
        [COMMAND, "top", "--every", "0.5", "--config", str(harness.config_path)],
        env={**os.environ, **harness.stack.environment()},
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        try:
            yield watching
        finally:
            watching.kill()


def everything_is_counted(harness: Harness, made: list[Made]) -> None:
    """Wait until `top --once` counts all that was sent, then compare it with what was made."""

    def counted() -> dict[str, Any] | None:
        report = reported(harness, "--config", str(harness.config_path))
        steps = report["steps"]
        is_whole = steps["decode"]["in"] == len(made) and steps["index"]["in"] is not None
        return report if is_whole and report["files_unknown"] is None else None

    report = wait_for(counted, PATIENCE_SECONDS, "top did not count every record")
    steps = report["steps"]
    events = sum(one.expect == EVENT for one in made)
    rejects = Counter(one.expect for one in made if one.is_reject)
    assert steps["records_kafka"]["out"] == steps["archive"]["in"] == len(made)
    assert (steps["decode"]["out"], steps["decode"]["rejected"]) == (events, rejects.total())
    assert steps["lake"]["in"] == events
    assert (steps["index"]["in"], steps["index"]["out"]) == (events, events)
    too_large = steps["replicate_mirror"]["rejected"]
    assert steps["replicate_mirror"]["out"] == events - too_large < events
    assert steps["dead_letters"]["in"] == rejects.total() + too_large
    told = {each["reason"]: each["number"] for each in report["rejects"]}
    assert told == {**rejects, "replica_too_large": too_large}
    assert steps["archive"]["files"] == len(harness.store("archive").listing())
    assert steps["lake"]["files"] == len(harness.store("lake").listing())
    assert report["checkpoint"]["number"] >= 2
    assert (report["restarts"], report["behind"]["records_kafka"]["number"]) == (0, 0)
    assert report["index"]["requests"] > 0


def one_of_two_jobs_is_chosen_by_its_id(harness: Harness) -> None:
    first, stack = harness.submitted.job_id, harness.stack
    with Harness(stack=stack, name="top-two", folder=harness.folder) as other:
        other.job = warm_client.submit(other.config_path, stack.environment())
        second = other.submitted.job_id
        refused = top(harness)
        assert isinstance(refused.exception, UserError)
        assert first in str(refused.exception)
        assert second in str(refused.exception)
        assert reported(harness, first)["name"] == "top"
        report = reported(harness, second)
        assert (report["steps"], report["tasks"]["running"]) == ({}, 0)
    wait_for(
        lambda: reported(harness, second)["state"] == "CANCELED", PATIENCE_SECONDS, "not cancelled"
    )


def the_status_lists_it(harness: Harness) -> None:
    run_dir = str(harness.stack.run_dir)
    plain = CliRunner().invoke(servers, ["status", "--run-dir", run_dir])
    for_programs = CliRunner().invoke(servers, ["status", "--json", "--run-dir", run_dir])
    assert "top\tRUNNING\t" in plain.output
    assert harness.submitted.job_id in plain.output
    jobs = {job["job_id"]: job["state"] for job in json.loads(for_programs.output)["jobs"]}
    assert jobs[harness.submitted.job_id] == "RUNNING"


def top(harness: Harness, *arguments: str) -> Result:
    environment = harness.stack.environment()
    return CliRunner().invoke(app, ["top", "--once", "--json", *arguments], env=environment)


def reported(harness: Harness, *arguments: str) -> dict[str, Any]:
    done = top(harness, *arguments)
    assert done.exit_code == 0, done.output
    report: dict[str, Any] = json.loads(done.output)
    return report
