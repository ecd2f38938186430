"""OpenSearch goes away for good: the lake goes on, the events become dead letters.

The archive of this job is a Kinesis stream, with a folder for the records too large for it.
"""

from __future__ import annotations

import itertools
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from connectors.block import Headers
from dev.demo.generate import Recipe, generate
from dev.demo.made import Made
from dev.servers import kinesis
from dev.servers.stack import Stack
from tests.job.harness import Harness
from tests.oracle_read import position
from tests.sending import VARIED, varied

LARGE = Made(raw=b"[%s]" % (b" " * 800_000), key=b"large", expect="not_an_object")


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
