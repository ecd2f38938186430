"""OpenSearch goes away for good: the lake goes on, the events become dead letters.

The archive of this job is a Kinesis stream, with a folder for the records too large for it.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from dev.demo.generate import Recipe, generate
from dev.servers import kinesis
from dev.servers.stack import Stack
from tests.job.harness import Harness


def test_an_opensearch_that_stays_away_does_not_stop_the_lake(stack: Stack, tmp_path: Path) -> None:
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
        sent = harness.produce(itertools.islice(made, 3_000))
        harness.drain()
        stack.stop_server("opensearch", print)
        try:
            sent += harness.produce(made)
            harness.drain()
            harness.stop()
        finally:
            stack.start_server("opensearch", print)

    verdict = harness.verdict(sent)
    assert verdict.problems() == []
    assert verdict.counts["archive"] == len(sent)
    assert verdict.counts["dead_letters"] > 2_900, "the later half must be the index step's"
