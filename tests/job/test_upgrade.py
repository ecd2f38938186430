"""A job is stopped and started again, changed each time: nothing is lost, nothing is doubled.

One topic goes through all changes, and one verdict is given on all of it at the end. The savepoints
are taken under way: records are unread, files unfinished, and batches on their way to Python.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner, Result

from connectors import opensearch
from connectors.flink_rest import wait_for
from connectors.index_templates import IndexAway
from pipeline import load_config
from pipeline.cli import app
from pipeline.demo import read_back
from pipeline.demo.generate import Recipe, generate
from pipeline.demo.ledger import Ledger
from pipeline.demo.made import Made
from pipeline.demo.produce import create_topics
from pipeline.errors import UserError
from pipeline.index_settings import index_settings
from pipeline.local.stack import Stack
from pipeline.progress import Steps
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

SCHEMAS = Path(__file__).parents[2] / "schemas"
PART = 600
MIRROR = "upgrade-mirror"


def test_every_upgrade_loses_and_doubles_nothing(stack: Stack, tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, schemas, ignore=shutil.ignore_patterns("__*", "released"))
    made = generate(Recipe(events=8 * PART, seed=31))
    with harness(stack, tmp_path, schemas) as job:
        ledgers = [job.produce(part(made))]
        job.start()
        ledgers.append(job.produce(part(made)))

        job.start(savepoint=stopped_under_way(job))
        ledgers.append(job.produce(part(made)))

        savepoint = stopped_under_way(job)
        change(job, job={"parallelism": 2})
        job.start(savepoint=savepoint)
        ledgers.append(job.produce(part(made)))

        savepoint = stopped_under_way(job)
        add_event_type(schemas)
        change(job, job={"parallelism": 1})
        job.start(savepoint=savepoint)
        ledgers.append(job.produce(with_scooters(part(made))))
        job.drain()

        savepoint = job.stop()
        add_field(schemas)
        change(job, replicate={"mirror": {"kafka_topic": MIRROR}})
        mirrored_from = job.produced
        since = 1 + int(Ledger.of(ledgers).numbers("trip_id").max())
        upgraded = (with_surcharge(part(made, 100), since) for _ in itertools.count())
        ledgers += while_opensearch_is_away(job, savepoint, upgraded)
        job.drain()
        mirrored_to, with_mirror = job.produced, job.submitted.config

        savepoint = job.stop()
        change(job, replicate={})
        with pytest.raises(UserError, match="--allow-dropped-state"):
            job.start(savepoint=savepoint)
        job.start(savepoint=savepoint, allow_dropped_state=True)
        ledgers.append(job.produce(next(upgraded)))
        job.drain()
        job.stop()
        with pytest.raises(UserError, match="is FINISHED; only one that is RUNNING"):
            raise_of(stop(job, job.submitted.job_id))
        with pytest.raises(UserError, match="has no job 'none'"):
            raise_of(stop(job, "none"))

    ledger = Ledger.of(ledgers)
    lines = np.arange(len(ledger))
    verdict = read_back.verdict(
        ledger,
        with_mirror,
        stack.environment(),
        Steps(Console(quiet=True)),
        replicas={"mirror": lambda _: (lines >= mirrored_from) & (lines < mirrored_to)},
    )
    assert verdict.problems() == []
    figures = verdict.as_dict()
    assert figures["archive_records"] == figures["produced"] == job.produced
    assert figures["lake_rows"] == figures["valid"]
    assert indexed(job, SCOOTER) > 0


@pytest.mark.parametrize("version", golden_savepoint.versions())
def test_a_savepoint_of_a_released_version_is_restored(
    stack: Stack, tmp_path: Path, version: str
) -> None:
    before = golden_savepoint.records(version)
    after = generate(Recipe(events=600, seed=32))
    with golden_savepoint.harness(stack, tmp_path, version) as job:
        savepoint = golden_savepoint.upload(job, version)
        ledgers = [job.produce(before)]
        job.start(savepoint=savepoint)
        ledgers.append(job.produce(after))
        job.drain()
        job.stop()

    ledger = Ledger.of(ledgers)
    verdict = job.verdict(ledger, green=lambda _: np.arange(len(ledger)) >= len(before))
    assert verdict.problems() == []
    figures = verdict.as_dict()
    assert figures["archive_records"] == figures["produced"] == job.produced
    assert figures["lake_rows"] == figures["valid"]


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


def stopped_under_way(job: Harness) -> str:
    """A savepoint after a checkpoint, while the records that came last are on their way."""
    job.wait_checkpoints(1)
    result = stop(job, job.submitted.job_id)
    assert result.exit_code == 0, result.output
    return str(json.loads(result.stdout)["savepoint"])


def stop(job: Harness, job_id: str) -> Result:
    """`streaming-etl stop`."""
    options = ["--into", f"s3a://{job.name}/savepoints", "--run-dir", str(job.stack.run_dir)]
    return CliRunner().invoke(app, ["stop", job_id, *options, "--json"])


def raise_of(result: Result) -> None:
    """Raise what the command raised."""
    assert result.exception
    raise result.exception


def change(running: Harness, /, **sections: dict[str, Any]) -> None:
    """Rewrite the configuration of the next start."""
    running.overrides = {**running.overrides, **sections}
    running.config_path.write_text(yaml.safe_dump(running.config()))


def while_opensearch_is_away(
    job: Harness, savepoint: str, upgraded: Iterator[list[Made]]
) -> list[Ledger]:
    """The job starts without OpenSearch, which finds its new field when it is back."""
    job.stack.stop_server("opensearch", print)
    try:
        with pytest.raises(IndexAway, match="no connection"):
            job.start()
        job.start(savepoint=savepoint)
        ledgers = [job.produce(next(upgraded))]
        job.drain()
    finally:
        job.stack.start_server("opensearch", print)

    def has_field() -> bool:
        ledgers.append(job.produce(next(upgraded)))
        job.wait_checkpoints(1)
        return indexed(job, "trip", SURCHARGE) > 0

    wait_for(has_field, PATIENCE_SECONDS, "no document had the new field")
    return ledgers


def indexed(job: Harness, event_type: str, field: str = "trip_id") -> int:
    """How many documents have that field, which must be mapped to be found."""
    config = load_config.load(job.config_path).index
    assert config is not None
    client = opensearch.client(index_settings(config))
    name = opensearch.index_name(config.prefix, event_type)
    client.indices.refresh(index=name)
    query = {"query": {"exists": {"field": field}}}
    return int(client.count(index=name, body=query)["count"])
