"""A second `run` doubles nothing: it is refused, or goes on from where the first one was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import yaml
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from connectors.flink.rest import Job, wait_for
from dev.demo.generate import Recipe, generate
from dev.servers.s3 import SECRET_KEY
from dev.servers.stack import Stack
from pipeline import fresh, start
from pipeline.cli import app
from pipeline.cluster import cluster_of
from pipeline.config import load as load_config
from pipeline.submit import Submitted, submitted
from tests.job.harness import PATIENCE_SECONDS, Harness

NO_INDEX: dict[str, Any] = {"index": None}


def test_a_second_run_is_refused_or_resumes(stack: Stack, tmp_path: Path) -> None:
    made = list(generate(Recipe(events=900, seed=16)))
    with Harness(stack=stack, name="twice", folder=tmp_path, overrides=NO_INDEX) as harness:
        first = begin(harness)
        decoder, took = first.stderr.splitlines()  # and nothing of an earlier run
        assert decoder.startswith("decode: ") and took.startswith("took ")
        sent = harness.produce(made[:300])
        harness.drain()
        refused(harness, "twice is RUNNING on the cluster", harness.submitted.job_id)
        refused(harness, "twice is RUNNING on the cluster", "another job.name", "--fresh")

        savepoint = stop(harness, "--drain")
        told = refused(harness, savepoint, "--resume: go on", "--savepoint PATH", "--fresh: begin")
        for trace in (
            "archive.path",
            "lake.path",
            "offsets of the group twice in twice-trips",
            "dead-letters",
        ):
            assert trace in told
        assert "all records that the source still has are written once more" in told

        assert f"resuming from {savepoint} of 20" in begin(harness, "--resume").stderr
        sent += harness.produce(made[300:600])
        harness.drain()
        listed = json.loads(call(harness, "jobs", "--json").stdout)
        assert {job["name"]: job["state"] for job in listed[::-1]}["twice"] == "RUNNING"
        assert (listed[0]["parallelism"], listed[0]["failures"], listed[0]["cause"]) == (2, 0, None)
        checkpoint = cancel(harness)
        assert checkpoint == newest(harness).uri
        assert f"/{harness.submitted.job_id}/chk-" in checkpoint
        assert f"checkpoint    {checkpoint}" in call(harness, "jobs").stdout

        assert f"/{harness.submitted.job_id}/chk-" in begin(harness, "--resume").stderr
        sent += harness.produce(made[600:])
        harness.drain()
        stop(harness, "--drain")
        assert harness.verdict(sent).problems() == []

        forget(harness)
        change(harness, checkpoint_seconds=None)
        assert "checkpoints are off, and nothing below lake.path" in run(harness).stderr
        change(harness, checkpoint_seconds=1)
        told = refused(harness, "no checkpoint or savepoint of a job of this name is known")
        refused(harness, "nothing to resume from", "--resume")
        warned = begin(harness, "--fresh").stderr
        assert "all records that the source still has are written once more" in warned


def test_only_the_newest_runs_snapshot_is_resumed_from(stack: Stack, tmp_path: Path) -> None:
    made = list(generate(Recipe(events=300, seed=17)))
    with Harness(stack=stack, name="newest", folder=tmp_path, overrides=NO_INDEX) as harness:
        begin(harness)
        harness.produce(made[:100])
        harness.drain()
        older = stop(harness)

        begin(harness, "--resume")
        harness.produce(made[100:200])
        harness.drain()
        cancel(harness)
        lost = harness.submitted.job_id
        store = harness.store("checkpoints")
        for stored in store.everything(lost):
            store.delete(stored.path)
        for option in ((), ("--resume",)):
            told = refused(harness, *option, f"the newest run, {lost} of 20", older)
            assert f"writes once more what {lost} wrote" in told

        told = refused(harness, "Cannot find checkpoint or savepoint", savepoint=f"{older}x")
        assert "\tat " not in told and "\n" not in told
        assert "org.apache.flink" in Path(told.split()[-1].removesuffix(".")).read_text()
        refused(harness, "--resume", f"the newest run, {lost} of 20")
        assert run(harness, "--savepoint", older).exit_code == 0

        again = json.loads(call(harness, "jobs", "--json").stdout)[0]["job_id"]
        harness.job = follow(harness, again)
        harness.wait_running()
        elsewhere = harness.submitted.cluster.stop_with_savepoint(
            again, "s3a://newest/elsewhere", timeout_seconds=60
        )
        assert f"resuming from {elsewhere} of 20" in begin(harness, "--resume").stderr


def test_a_fresh_start_loses_no_collected_rows_in_silence(stack: Stack, tmp_path: Path) -> None:
    made = list(generate(Recipe(events=200, seed=18)))
    hour: dict[str, Any] = {"file_seconds": 3600}
    source: dict[str, Any] = {"kafka_start": "committed"}
    overrides = {**NO_INDEX, "source": source, "archive": hour, "lake": hour}
    with Harness(stack=stack, name="waits", folder=tmp_path, overrides=overrides) as harness:
        begin(harness)
        sent = harness.produce(made[:100])
        harness.wait_read()
        savepoint = stop(harness)
        why = "source.kafka_start committed a fresh start does not read them again"
        refused(harness, "--fresh", savepoint, why, "Give --resume", "--allow-dropped-state")
        begin(harness, "--resume")
        sent += harness.produce(made[100:])
        harness.wait_read()
        cancelled = call(harness, "cancel", harness.submitted.job_id)
        assert "rows that were still collected for files may wait" in cancelled.stderr
        refused(harness, "--fresh", cancelled.stdout.strip(), why)
        begin(harness, "--resume")
        drained = stop(harness, "--drain")
        assert not fresh.may_wait(drained, stack.environment())
        assert harness.verdict(sent).problems() == []


def test_of_two_runs_at_once_one_submits_a_job(stack: Stack, tmp_path: Path) -> None:
    with Harness(stack=stack, name="at-once", folder=tmp_path, overrides=NO_INDEX) as harness:
        both = [command(harness), command(harness)]
        outputs = [each.communicate(timeout=300) for each in both]
        running = [job for job in jobs(harness) if job.name == "at-once"]
        codes = [each.returncode for each in both]
        if running:  # Each may see the other: then none goes on, which is safe.
            harness.job = follow(harness, running[0].job_id)
        assert sorted(codes) in ([0, 2], [2, 2]), outputs
        assert len(running) == codes.count(0), outputs
        for code, (_, said) in zip(codes, outputs, strict=True):
            assert code == 0 or "a second one would write everything twice" in said
        assert len(records(harness)) == len(running)


def test_a_run_that_is_killed_while_it_plans_submits_nothing(stack: Stack, tmp_path: Path) -> None:
    with Harness(stack=stack, name="killed", folder=tmp_path, overrides=NO_INDEX) as harness:
        killed = command(harness)
        caller = psutil.Process(killed.pid)
        wait_for(lambda: java(caller), 60, "the client's JVM did not start")
        others = caller.children(recursive=True)
        arguments = "\n".join(" ".join(each.cmdline()) for each in others)
        assert str(harness.config_path) in arguments
        assert SECRET_KEY not in arguments
        killed.kill()
        killed.communicate(timeout=60)
        _, alive = psutil.wait_procs(others, timeout=120)
        assert alive == []
        assert "killed" not in {job.name for job in jobs(harness)}
        assert records(harness) == []


def test_a_job_that_the_cluster_forgot_is_left_out(stack: Stack, tmp_path: Path) -> None:
    with Harness(stack=stack, name="forgot", folder=tmp_path, overrides=NO_INDEX) as harness:
        gone = Job("f" * 32, "gone", "FINISHED")
        cluster = harness.start().cluster
        known = cluster.jobs()
        told = cluster.statuses([gone, *known])
        assert [status.job for status in told] == known
        assert cluster.snapshots(gone) == []


def test_a_job_that_restarts_says_what_a_stop_means_for_its_state(
    stack: Stack, tmp_path: Path
) -> None:
    limit = {"reject_limit_ratio": 0.5, "reject_limit_records": 500}
    overrides = {**NO_INDEX, "decode": limit}
    with Harness(stack=stack, name="restarts", folder=tmp_path, overrides=overrides) as harness:
        producer = Producer({"bootstrap.servers": harness.servers})
        for number in range(6_000):
            producer.produce(harness.topic, value=f"rubbish {number}".encode())
        assert producer.flush(60) == 0
        begin(harness, wait=False)
        job_id = harness.submitted.job_id
        cluster = harness.submitted.cluster
        wait_for(
            # From the fifth failure on, Flink waits for five seconds or more.
            lambda: harness.failures() >= 5 and cluster.state(job_id) == "RESTARTING",
            PATIENCE_SECONDS,
            "the job did not restart",
        )
        command = ["stop", job_id, "--into", "s3a://restarts/savepoints"]
        result = CliRunner().invoke(app, command, env=harness.stack.environment())
        told = str(result.exception)
        assert f"{job_id} is RESTARTING; only one that is RUNNING can take a savepoint" in told
        assert "RejectLimitExceeded: decode rejected" in told
        assert "\n" not in told and f"`streaming-etl cancel {job_id}` " in told
        checkpoint = json.loads(call(harness, "cancel", job_id, "--json").stdout)["checkpoint"]
        meaning = "from which `run --resume` goes on" if checkpoint else "leaves nothing to go on"
        assert meaning in told


def java(caller: psutil.Process) -> bool:
    """Return whether a JVM runs below a process; one that ends meanwhile does not."""
    try:
        return any(each.name() == "java" for each in caller.children(recursive=True))
    except psutil.NoSuchProcess:
        return False


def command(harness: Harness) -> subprocess.Popen[str]:
    """`streaming-etl run` in a process of its own."""
    return subprocess.Popen(
        [Path(sys.executable).parent / "streaming-etl", "run", "--config", harness.config_path],
        env={**os.environ, **harness.stack.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def jobs(harness: Harness) -> list[Job]:
    """The cluster's jobs."""
    return cluster_of(harness.stack.environment()).jobs()


def records(harness: Harness) -> list[str]:
    """What is remembered of the jobs that were submitted."""
    return [stored.path for stored in harness.store("checkpoints/_streaming-etl-jobs").everything()]


def follow(harness: Harness, job_id: str) -> Submitted:
    """Describe a job that `run` submitted."""
    config = load_config.load(harness.config_path)
    return submitted(job_id, config, harness.stack.environment())


def change(harness: Harness, **job: Any) -> None:
    """Rewrite keys of the job's section."""
    harness.overrides = {**harness.overrides, "job": job}
    harness.config_path.write_text(yaml.safe_dump(harness.config()))


def begin(harness: Harness, *options: str, wait: bool = True) -> Result:
    """`streaming-etl run`, which must succeed; `wait` until every task runs."""
    result = run(harness, *options)
    assert result.exit_code == 0, result.output
    harness.job = follow(harness, json.loads(result.stdout)["job_id"])
    if wait:
        harness.wait_running()
    return result


def refused(harness: Harness, *expected: str, savepoint: str = "") -> str:
    """`streaming-etl run`, which must be refused; options may be among `expected`."""
    options = [text for text in expected if text in ("--fresh", "--resume")]
    result = run(harness, *options, *(["--savepoint", savepoint] if savepoint else []))
    assert result.exit_code != 0
    told = str(result.exception)
    for text in set(expected) - set(options):
        assert text in told
    return told


def run(harness: Harness, *options: str) -> Result:
    command = ["run", "--config", str(harness.config_path), "--json", *options]
    return CliRunner().invoke(app, command, env=harness.stack.environment())


def stop(harness: Harness, *options: str) -> str:
    into = ("--into", f"s3a://{harness.name}/savepoints", "--json")
    result = call(harness, "stop", harness.submitted.job_id, *into, *options)
    return str(json.loads(result.stdout)["savepoint"])


def cancel(harness: Harness) -> str:
    """`streaming-etl cancel`; return the checkpoint that stays."""
    result = call(harness, "cancel", harness.submitted.job_id, "--json")
    return str(json.loads(result.stdout)["checkpoint"])


def call(harness: Harness, *command: str) -> Result:
    result = CliRunner().invoke(app, command, env=harness.stack.environment())
    assert result.exit_code == 0, result.output
    return result


def newest(harness: Harness) -> start.Snapshot:
    config = load_config.load(harness.config_path)
    left = start.find(config, harness.submitted.cluster, harness.stack.environment())
    assert left.snapshot
    return left.snapshot


def forget(harness: Harness) -> None:
    """Delete all checkpoints and savepoints; what was written stays."""
    for folder in ("checkpoints", "savepoints"):
        store = harness.store(folder)
        for stored in store.everything():
            store.delete(stored.path)
