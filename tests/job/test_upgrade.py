"""A job is stopped and started again, changed each time: nothing is lost, nothing is doubled.

One topic goes through all changes, and one verdict is given on all of it at the end. The savepoints
are taken under way: records are unread, files unfinished, and batches on their way to Python.
"""

from __future__ import annotations

import itertools
import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from connectors.errors import UserError
from connectors.flink.rest import Job, wait_for
from connectors.opensearch import client as opensearch
from connectors.opensearch.options import index_name
from connectors.opensearch.templates import IndexAway
from dev.demo.generate import Recipe, generate
from dev.demo.made import Made
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from pipeline import __version__, start
from pipeline.cli import app
from pipeline.config import load as load_config
from pipeline.submit import submitted
from tests.job import golden_savepoint
from tests.job.harness import PATIENCE_SECONDS, Harness
from tests.job.upgraded import (
    SCOOTER,
    SURCHARGE,
    add_event_type,
    add_field,
    with_scooters,
    with_surcharge,
)
from tests.oracle import Sent
from tests.oracle_read import examine

SCHEMAS = Path(__file__).parents[2] / "schemas"
PART = 600
MIRROR = "upgrade-mirror"


def test_every_upgrade_loses_and_doubles_nothing(stack: Stack, tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, schemas, ignore=shutil.ignore_patterns("__*", "released"))
    made = generate(Recipe(events=8 * PART, seed=31))
    with harness(stack, tmp_path, schemas) as job:
        chain = Chain(job)
        chain.send(part(made))
        job.start()
        for parallelism in (1, 2):  # the same, then a higher one
            chain.send(part(made))
            chain.restart(job={"parallelism": parallelism})
        chain.send(part(made))
        add_event_type(schemas)
        chain.restart(job={"parallelism": 1})
        chain.send(with_scooters(part(made)))
        job.drain()
        since = chain.next_id()
        upgraded = (with_surcharge(part(made, 100), since) for _ in itertools.count())
        add_field(schemas)
        mirrored = add_mirror_while_opensearch_is_away(chain, upgraded)
        with_mirror = job.config()
        remove_mirror(chain)
        chain.send(next(upgraded))
        job.drain()
        job.stop(drain=True)
        assert_only_a_running_job_is_stopped(job)

    assert len(chain.sent) == job.produced
    filters = {"mirror": lambda one: one in mirrored}
    verdict = examine(chain.sent, with_mirror, stack.environment(), filters)
    assert verdict.problems() == []
    assert indexed(job, SCOOTER) > 0


def test_the_version_has_a_golden_savepoint() -> None:
    """A release is kept as a savepoint that every later one must restore."""
    assert __version__ in golden_savepoint.restored()


@pytest.mark.parametrize("version", golden_savepoint.restored())
def test_a_savepoint_of_a_released_version_is_restored(
    stack: Stack, tmp_path: Path, version: str
) -> None:
    before = golden_savepoint.records(version)
    after = generate(Recipe(events=600, seed=32))
    with golden_savepoint.harness(stack, tmp_path, version) as job:
        savepoint = golden_savepoint.upload(job, version)
        sent = job.produce(before)
        job.start(savepoint=savepoint)
        later = set(job.produce(after))
        job.drain()
        job.stop(drain=True)

    assert job.verdict([*sent, *later], green=lambda one: one in later).problems() == []


@pytest.mark.parametrize("version", golden_savepoint.EARLIER)
def test_the_way_from_an_earlier_version_loses_and_doubles_nothing(
    stack: Stack, tmp_path: Path, version: str
) -> None:
    """The state of its file sinks is of no use: all files are committed. The others' is."""
    after = generate(Recipe(events=600, seed=33))
    with golden_savepoint.harness(stack, tmp_path, version) as job:
        savepoint = golden_savepoint.upload(job, version)
        sent = job.produce(golden_savepoint.records(version))
        stopped = Job(uuid.uuid4().hex, job.name, "FINISHED", 1)
        folder = str(job.config()["job"]["checkpoint_dir"])
        start.remember_savepoint(folder, stack.environment(), stopped, savepoint)
        for options in (["--resume"], ["--savepoint", savepoint]):
            told = str(run(job, *options).exception)
            assert f"{savepoint} is of version 0.1 or 0.2" in told
            assert "--allow-dropped-state" in told
        begun = run(job, "--resume", "--allow-dropped-state")
        assert begun.exit_code == 0, begun.output
        config = load_config.load(job.config_path)
        job.job = submitted(json.loads(begun.stdout)["job_id"], config, stack.environment())
        job.wait_running()
        later = set(job.produce(after))
        job.drain()
        job.stop(drain=True)

    assert job.verdict([*sent, *later], green=lambda one: one in later).problems() == []


def run(job: Harness, *options: str) -> Result:
    """`streaming-etl run`."""
    command = ["run", "--config", str(job.config_path), "--json", *options]
    return CliRunner().invoke(app, command, env=job.stack.environment())


def harness(stack: Stack, folder: Path, schemas: Path) -> Harness:
    """A job of one topic, on one slot of two; what is to change is in `overrides`."""
    create_topics(
        stack.environment()["KAFKA_BOOTSTRAP_SERVERS"],
        source=MIRROR,
        dead_letters=None,
        partitions=2,
    )
    overrides: dict[str, dict[str, Any]] = {
        "decode": {"schemas": str(schemas)},
        "job": {"parallelism": 1},
        "index": {"retry_seconds": 2, "breaker_seconds": 1, "timeout_seconds": 5},
    }
    return Harness(stack=stack, name="upgrade", folder=folder, overrides=overrides)


def part(made: Iterator[Made], records: int = PART) -> list[Made]:
    return list(itertools.islice(made, records))


@dataclass
class Chain:
    """One job through its upgrades, and what was sent to it so far."""

    job: Harness
    sent: list[Sent] = field(default_factory=list)

    def send(self, made: list[Made]) -> None:
        """Send records, whether the job runs or not."""
        self.sent += self.job.produce(made)

    def next_id(self) -> int:
        """The first trip id that was not sent yet."""
        return 1 + max(record.made.trip_id for record in self.sent)

    def restart(self, **sections: dict[str, Any]) -> None:
        """Stop while records are under way, change the configuration, start from the savepoint."""
        self.job.wait_checkpoints(1)
        result = stop(self.job, self.job.submitted.job_id)
        assert result.exit_code == 0, result.output
        change(self.job, sections)
        self.job.start(savepoint=json.loads(result.stdout)["savepoint"])


def change(job: Harness, sections: dict[str, dict[str, Any]]) -> None:
    """Rewrite the configuration of the next start."""
    job.overrides = {**job.overrides, **sections}
    job.config_path.write_text(yaml.safe_dump(job.config()))


def stop(job: Harness, job_id: str) -> Result:
    """`streaming-etl stop`."""
    command = ["stop", job_id, "--into", f"s3a://{job.name}/savepoints", "--json"]
    return CliRunner().invoke(app, command, env=job.stack.environment())


def add_mirror_while_opensearch_is_away(chain: Chain, upgraded: Iterator[list[Made]]) -> set[Sent]:
    """The job starts without OpenSearch, which finds its new field when it is back.

    Returns what must be in the mirror.
    """
    job, first = chain.job, len(chain.sent)
    savepoint = job.stop()
    change(job, {"replicate": {"mirror": {"kafka_topic": MIRROR}}})
    job.stack.stop_server("opensearch", print)
    try:
        with pytest.raises(IndexAway, match="no connection"):
            job.start()
        job.start(savepoint=savepoint)
        chain.send(next(upgraded))
        job.drain()
    finally:
        job.stack.start_server("opensearch", print)

    def has_field() -> bool:
        chain.send(next(upgraded))
        job.wait_checkpoints(1)
        return indexed(job, "trip", SURCHARGE) > 0

    wait_for(has_field, PATIENCE_SECONDS, "no document had the new field")
    job.drain()
    return set(chain.sent[first:])


def remove_mirror(chain: Chain) -> None:
    """Its state is in the savepoint, and is dropped only when that is asked for."""
    savepoint = chain.job.stop()
    change(chain.job, {"replicate": {}})
    with pytest.raises(UserError, match="--allow-dropped-state"):
        chain.job.start(savepoint=savepoint, by_command=True)
    chain.job.start(savepoint=savepoint, allow_dropped_state=True, by_command=True)


def assert_only_a_running_job_is_stopped(job: Harness) -> None:
    """What the command says of a job that has ended, and of one that never was."""
    ended, unknown = (stop(job, each) for each in (job.submitted.job_id, "none"))
    assert "is FINISHED: it has ended" in str(ended.exception)
    assert "has no job 'none'" in str(unknown.exception)


def indexed(job: Harness, event_type: str, name: str = "trip_id") -> int:
    """How many documents have that field, which must be mapped to be found."""
    config = load_config.load(job.config_path).index
    assert config is not None
    client = opensearch.client(config)
    index = index_name(config.prefix, event_type)
    client.indices.refresh(index=index)
    query = {"query": {"exists": {"field": name}}}
    return int(client.count(index=index, body=query)["count"])
