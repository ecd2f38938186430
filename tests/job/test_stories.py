"""Two days in the life of an operator: dead letters are redriven, and everything adds up."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from typer.testing import CliRunner

from connectors.flink.rest import wait_for
from connectors.kafka import reader as kafka_topic
from connectors.opensearch.options import index_name
from connectors.s3.parquet import pages
from dev.demo.generate import Recipe, generate
from dev.demo.made import EVENT, Made
from dev.servers.job_watch import wait_archived
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from pipeline import metrics
from pipeline.cli import app
from pipeline.ops.reconcile.options import Options
from pipeline.ops.reconcile.report import Row
from pipeline.ops.reconcile.run import reconcile
from pipeline.ops.systems import systems
from pipeline.progress import Steps
from tests.job.harness import PATIENCE_SECONDS, Harness
from tests.oracle import Sent
from tests.sending import varied

SCHEMAS = Path(__file__).parents[2] / "schemas"
FORGOTTEN = "fhv_trip"
SHOWN = {f"decode.{name}" for name in metrics.names("decode")}


def test_a_deploy_without_a_schema_filled_the_dead_letters(stack: Stack, tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, schemas, ignore=shutil.ignore_patterns(f"{FORGOTTEN}*", "__*"))
    made = list(generate(Recipe(events=3_000, seed=11, defective=0)))
    forgotten = [one for one in made if one.event_type == FORGOTTEN]
    mirror = {"kafka_topic": "deploy-mirror", "max_bytes": 400}
    overrides: dict[str, Any] = {
        "decode": {"schemas": str(schemas)},
        "replicate": {"mirror": mirror},
    }
    create_topics(
        stack.environment()["KAFKA_BOOTSTRAP_SERVERS"],
        source="deploy-mirror",
        dead_letters=None,
        partitions=2,
    )
    with Harness(stack=stack, name="deploy", folder=tmp_path, overrides=overrides) as harness:
        harness.start()
        sent = harness.produce(made, headers=varied)
        covered(harness)
        # Those too that never grew: who looks for a growth must have seen the 0.
        wait_for(lambda: SHOWN <= harness.submitted.cluster.step_metrics().keys(), 30, "a counter")
        savepoint = harness.stop()
        assert counted(harness, "unknown_event_type") == (len(forgotten), 0)
        assert FORGOTTEN not in lake_ids(harness)
        too_large, _ = counted(harness, "replica_too_large")
        assert 0 < too_large

        mirror["max_bytes"] = 1_000_000
        harness.config_path.write_text(yaml.safe_dump(harness.config()))
        for path in SCHEMAS.glob(f"{FORGOTTEN}*"):
            shutil.copy(path, schemas)
        harness.start(savepoint=savepoint)
        report = redrive(harness, "--reason", "unknown_event_type")
        assert report["redriven"] == len(forgotten)
        assert redrive(harness, "--step", "replicate")["redriven"] == too_large
        covered(harness, more=len(forgotten) + too_large)

        again = redrive(harness, "--reason", "unknown_event_type")
        assert (again["redriven"], again["already_redriven"]) == (0, len(forgotten))
        harness.stop(drain=True)

    assert counted(harness, "unknown_event_type") == (len(forgotten), len(forgotten))
    everything_is_there(harness, made)
    headers_are_restored(harness, sent)
    mirrored = Counter(
        message.key()
        for message in kafka_topic.messages(harness.submitted.config.cluster(""), "deploy-mirror")
    )
    assert mirrored == Counter(one.key for one in made if one.expect == EVENT)


def headers_are_restored(harness: Harness, sent: list[Sent]) -> None:
    """A redriven record has those that it was first sent with, then those of the redrive."""
    original = {one.position: varied(number) for number, one in enumerate(sent)}
    topic, redriven = harness.topic, 0
    for message in kafka_topic.messages(harness.submitted.config.cluster(""), topic):
        pairs: Any = message.headers() or ()
        headers = dict(pairs)
        if "redrive_position" in headers:
            _, partition, offset = headers["redrive_position"].decode().split("/")
            expected = original[f"{topic}/{partition}@{offset}"]
            assert tuple(pairs[: len(expected)]) == expected
            assert all(name.startswith("redrive_") for name, _ in pairs[len(expected) :])
            redriven += 1
    assert redriven > len(original) / 10


def test_opensearch_was_away_for_a_day(stack: Stack, tmp_path: Path) -> None:
    overrides = {"index": {"retry_seconds": 2, "breaker_seconds": 1, "timeout_seconds": 5}}
    made = list(generate(Recipe(events=3_000, seed=12)))
    half = len(made) // 2
    with Harness(stack=stack, name="day", folder=tmp_path, overrides=overrides) as harness:
        harness.start()
        harness.produce(made[:half])
        send_forged(harness, made)
        covered(harness)
        stack.stop_server("opensearch", print)
        try:
            harness.produce(made[half:])
            covered(harness)
        finally:
            stack.start_server("opensearch", print)
        before = lake_ids(harness)
        lost, _ = counted(harness, "index_unavailable")
        assert lost == sum(one.expect == EVENT for one in made[half:])

        report = redrive(harness, "--step", "index")
        assert report["redriven"] == lost
        covered(harness, more=lost)
        step_metrics = harness.submitted.cluster.step_metrics
        wait_for(lambda: step_metrics().get("decode.forged_redrives") == FORGED, 30, "the counter")
        harness.stop(drain=True)

    assert lake_ids(harness) == before, "what was redriven for the index is in the lake already"
    assert counted(harness, "index_unavailable") == (lost, lost)
    rejected = dead_letters(harness, "list", "--reason", "truncated_json", "--step", "decode")
    assert sum(group["distinct"] for group in rejected) == truncated(made) + 2
    forged = [one for one in made if one.expect == EVENT][:2]
    source = everything_is_there(harness, [*made, *forged])
    assert source.figures["redriven_copies"] == lost
    assert source.figures["forged_redrives"] == FORGED


FORGED = 4


def send_forged(harness: Harness, made: list[Made]) -> None:
    """Send two events again, and two bad records, as if they were redriven ones."""
    events = [one for one in made if one.expect == EVENT][:2]
    bad = Made(b'{"type":', b"bad", "truncated_json")
    for one, step in zip(events, (b"index", b"replicate"), strict=True):
        mark = (("redrive_step", step), ("redrive_replica", b"any"))
        position = ("redrive_position", f"{harness.topic}/0/0".encode())
        whole = (*mark, position, ("redrive_signature", b"0" * 64))
        harness.produce([one, bad], headers=(whole, mark).__getitem__)


def truncated(made: list[Made]) -> int:
    return sum(one.expect == "truncated_json" for one in made)


def covered(harness: Harness, *, more: int = 0) -> None:
    """Wait until completed checkpoints cover all that was sent, and its files are there."""
    harness.produced += more
    environment = harness.stack.environment()
    wait_archived(harness.submitted, environment, harness.produced, PATIENCE_SECONDS)
    harness.wait_closed()


def redrive(harness: Harness, *options: str) -> dict[str, Any]:
    found = dead_letters(harness, "redrive", *options)
    assert isinstance(found, dict)
    assert found["cannot_be_redriven"] == {}
    return found


def counted(harness: Harness, reason: str) -> tuple[int, int]:
    """How many dead letters there are of a reason, and how many of them were redriven."""
    found = dead_letters(harness, "list", "--reason", reason)
    return sum(one["distinct"] for one in found), sum(one["redriven"] for one in found)


def dead_letters(harness: Harness, *arguments: str) -> Any:
    command = ["dead-letters", *arguments, "--config", str(harness.config_path), "--json"]
    result = CliRunner().invoke(app, command, env=harness.stack.environment())
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def lake_ids(harness: Harness) -> dict[str, Counter[int]]:
    """How often each id is in the lake, by event type."""
    found: dict[str, Counter[int]] = {}
    store = harness.store("lake")
    for batch in pages(store, store.listing(), ["trip_id"]):
        for stored, table in batch:
            event_type = stored.path.partition("/")[0]
            found.setdefault(event_type, Counter()).update(table["trip_id"].to_pylist())
    return found


def everything_is_there(harness: Harness, made: list[Made]) -> Row:
    """Every event in the lake as often as it was sent and in the index once; nothing else.

    Returns what reconcile reports of the source.
    """
    due: dict[str, Counter[int]] = {}
    for one in made:
        if one.expect == EVENT:
            due.setdefault(one.event_type, Counter())[one.trip_id] += 1
    assert lake_ids(harness) == due
    opened = systems(harness.config_path, harness.stack.environment())
    client = opened.opensearch()
    for event_type, ids in due.items():
        name = index_name(f"{harness.name}-", event_type)
        client.indices.refresh(index=name)
        assert client.count(index=name)["count"] == len(ids)
    # A job that is stopped soon after its last record may have committed no offset of it.
    report = reconcile(opened, Options(complete=True), Steps(Console(quiet=True)))
    assert report.problems() == []
    assert report.ok
    return report.row("source")
