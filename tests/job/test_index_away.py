"""OpenSearch goes away for good, or takes its time: nothing is lost, and the lake goes on."""

from __future__ import annotations

import itertools
import json
import time
from base64 import b64decode
from pathlib import Path
from threading import Event
from typing import Any

from connectors.block import Headers
from connectors.flink.rest import wait_for
from dev.bench.slow_index import slowed
from dev.demo.generate import Recipe, generate
from dev.demo.made import Made
from dev.servers import kinesis
from dev.servers.stack import Stack
from tests.job.harness import PATIENCE_SECONDS, Harness
from tests.oracle_read import position
from tests.sending import VARIED, varied

LARGE = Made(raw=b"[%s]" % (b" " * 800_000), key=b"large", expect="not_an_object")


HELD_MS = 3_000
"""Longer than a checkpoint of the test's job takes, with one every second."""


def test_an_opensearch_that_stays_away_does_not_stop_the_lake(stack: Stack, tmp_path: Path) -> None:
    """The archive is a Kinesis stream, with a folder for the records too large for it."""
    kinesis.create_stream("away-archive", endpoint=stack.environment()["KINESIS_ENDPOINT"])
    overrides: dict[str, dict[str, Any]] = {
        "index": {"retry_seconds": 2, "breaker_seconds": 5, "timeout_seconds": 5},
        "archive": {
            "path": "",
            "kinesis_stream": "away-archive",
            "large_path": "s3a://away/large-archive",
        },
    }
    made = generate(Recipe(events=6_000, seed=7))
    with Harness(stack=stack, name="away", folder=tmp_path, overrides=overrides) as harness:
        harness.start()
        sent = harness.produce(itertools.islice(made, 3_000), headers=varied)
        sent += harness.produce([LARGE], headers=lambda number: VARIED[2])
        harness.drain()
        stack.stop_server("opensearch", print)
        try:
            sent += harness.produce(made)
            harness.drain()
            harness.stop(drain=True)
        finally:
            stack.start_server("opensearch", print)

    verdict = harness.verdict(sent)
    assert verdict.problems() == []
    assert verdict.counts["archive"] == len(sent)
    expected = {one.position: varied(number) for number, one in enumerate(sent[:3_000])}
    archived = harness.reader().entries("away-archive")
    envelopes = {position(each): each for _, data in archived for each in [json.loads(data)]}
    assert {place: headers_of(envelopes[place]) for place in expected} == expected
    assert [headers_of(row) for row in whole_records(harness)] == [VARIED[2]]
    assert "full_record" in envelopes[sent[3_000].position]
    assert verdict.counts["dead_letters"] > 2_900, "the later half must be the index step's"


def test_no_checkpoint_passes_a_batch_that_the_index_has_not_answered(
    stack: Stack, tmp_path: Path
) -> None:
    """So an event whose checkpoint completed was acknowledged, or is a dead letter."""
    asked, answered = Event(), Event()

    def hold() -> None:
        asked.set()
        assert answered.wait(PATIENCE_SECONDS)

    node = stack.environment()["OPENSEARCH_URL"]
    with slowed(node, hold) as slow:
        overrides = {"index": {"url": slow, "timeout_seconds": PATIENCE_SECONDS}}
        with Harness(stack=stack, name="held", folder=tmp_path, overrides=overrides) as harness:
            harness.start()
            harness.wait_checkpoints(1)
            sent = harness.produce(generate(Recipe(events=500, seed=9)))
            assert asked.wait(PATIENCE_SECONDS)
            asked_ms = time.time_ns() // 1_000_000
            wait_for(lambda: is_held(harness, asked_ms), PATIENCE_SECONDS, "it was not held")
            completed = [each for each in checkpoints(harness) if each["status"] == "COMPLETED"]
            assert all(each["trigger_timestamp"] < asked_ms for each in completed)
            answered.set()
            harness.drain()
            harness.stop(drain=True)
            assert harness.verdict(sent).problems() == []


def checkpoints(harness: Harness) -> list[dict[str, Any]]:
    job = harness.submitted
    return list(job.cluster.get(f"/jobs/{job.job_id}/checkpoints")["history"])


def is_held(harness: Harness, asked_ms: int) -> bool:
    """Return whether a checkpoint has waited; it may have begun before the index was asked."""
    now_ms = time.time_ns() // 1_000_000
    return any(
        each["status"] == "IN_PROGRESS"
        and now_ms - max(each["trigger_timestamp"], asked_ms) > HELD_MS
        for each in checkpoints(harness)
    )


def headers_of(row: dict[str, Any]) -> Headers:
    """Return the record's own headers, of a file or an envelope."""
    pairs = zip(row.get("header_names", ()), row.get("header_values", ()), strict=True)
    return tuple(
        (name, b64decode(value) if isinstance(value, str) else value) for name, value in pairs
    )


def whole_records(harness: Harness) -> list[dict[str, Any]]:
    """Return what is too large for the archive's stream, of the records that the test sent."""
    rows = [row for _, row in harness.reader().rows("s3a://away/large-archive")]
    return [row for row in rows if row["raw"] == LARGE.raw]
