"""A second `run` doubles nothing: it is refused, or goes on from where the first one was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from dev.demo.generate import Recipe, generate
from dev.servers.stack import Stack
from pipeline import start
from pipeline.cli import app
from pipeline.config import load as load_config
from pipeline.submit import submitted
from tests.job.harness import Harness

NO_INDEX: dict[str, Any] = {"index": None}


def test_a_second_run_is_refused_or_resumes(stack: Stack, tmp_path: Path) -> None:
    made = list(generate(Recipe(events=900, seed=16)))
    with Harness(stack=stack, name="twice", folder=tmp_path, overrides=NO_INDEX) as harness:
        first = begin(harness)
        assert first.stderr == "", "nothing was there"
        sent = harness.produce(made[:300])
        harness.drain()
        refused(harness, "twice is RUNNING on the cluster", harness.submitted.job_id)
        refused(harness, "twice is RUNNING on the cluster", "another job.name", "--fresh")

        savepoint = stop(harness)
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
        stop(harness)
        assert harness.verdict(sent).problems() == []

        forget(harness)
        change(harness, checkpoint_seconds=None)
        assert "checkpoints are off, and nothing below lake.path" in run(harness).stderr
        change(harness, checkpoint_seconds=1)
        told = refused(harness, "no checkpoint or savepoint of a job of this name is known")
        refused(harness, "nothing to resume from", "--resume")
        warned = begin(harness, "--fresh").stderr
        assert "all records that the source still has are written once more" in warned


def change(harness: Harness, **job: Any) -> None:
    """Rewrite keys of the job's section."""
    harness.overrides = {**harness.overrides, "job": job}
    harness.config_path.write_text(yaml.safe_dump(harness.config()))


def begin(harness: Harness, *options: str) -> Result:
    """`streaming-etl run`, which must succeed; wait until every task runs."""
    result = run(harness, *options)
    assert result.exit_code == 0, result.output
    job_id = json.loads(result.stdout)["job_id"]
    config = load_config.load(harness.config_path)
    harness.job = submitted(job_id, config, harness.stack.environment())
    harness.wait_running()
    return result


def refused(harness: Harness, *expected: str) -> str:
    """`streaming-etl run`, which must be refused; options may be among `expected`."""
    options = [text for text in expected if text in ("--fresh", "--resume")]
    result = run(harness, *options)
    assert result.exit_code != 0
    told = str(result.exception)
    for text in set(expected) - set(options):
        assert text in told
    return told


def run(harness: Harness, *options: str) -> Result:
    command = ["run", "--config", str(harness.config_path), "--json", *options]
    return CliRunner().invoke(app, command, env=harness.stack.environment())


def stop(harness: Harness) -> str:
    into = ("--into", "s3a://twice/savepoints", "--json")
    result = call(harness, "stop", harness.submitted.job_id, *into)
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
