"""What is replicated is read by the same job as a source, and gives the same lake.

The first job reads and writes over SASL_SSL with SCRAM, its archive is a topic written by
transactions; the second reads the first one's replicas, a topic and a stream together.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.demo.generate import Recipe, generate
from pipeline.demo.ledger import Ledger
from pipeline.demo.produce import create_topics
from pipeline.demo.read_lake import LakeRows, read_lake
from pipeline.local import kinesis
from pipeline.local.stack import Stack
from tests.job.harness import Harness, open_transactions

TYPES = ["fhv_trip", "green_trip", "trip"]


def test_replicas_as_a_source_give_the_same_lake(stack: Stack, tmp_path: Path) -> None:
    with first(stack, tmp_path) as job:
        ledger = job.produce(generate(Recipe(events=5_000, seed=5)))
        job.start()
        job.drain()
        job.stop()
    verdict = job.verdict(ledger, stream=lambda sent: sent.codes("event_type", ["trip"]) < 0)
    assert verdict.problems() == []
    assert verdict.as_dict()["archive_records"] == len(ledger)
    assert open_transactions(job.servers, "round-archive") == {}
    assert open_transactions(job.servers, "round-copy") == {}

    with second(stack, tmp_path) as copy:
        copy.produced = int(ledger.valid.sum())
        copy.start()
        copy.drain()
        copy.stop()
    assert contents(copy, ledger) == contents(job, ledger)
    assert verdict.as_dict()["lake_rows"] == copy.produced


def first(stack: Stack, folder: Path) -> Harness:
    """Everything over TLS with a password; trips to a topic, the other two types to a stream."""
    environment = stack.environment()
    create_topics(
        environment["KAFKA_BOOTSTRAP_SERVERS"],
        source="round-copy",
        dead_letters="round-archive",
        partitions=2,
    )
    kinesis.create_stream("round-copy", endpoint=environment["KINESIS_ENDPOINT"], shards=2)
    secure = {
        "bootstrap_servers": environment["KAFKA_TLS_BOOTSTRAP_SERVERS"],
        "security": "scram",
        "ca_file": environment["KAFKA_CA_FILE"],
        "username": environment["KAFKA_USERNAME"],
        "password": environment["KAFKA_PASSWORD"],
    }
    replicate = {
        "copy": {"kafka_topic": "round-copy", "event_types": ["trip"]},
        "stream": {"kinesis_stream": "round-copy", "filter": "type <> 'trip'"},
    }
    archive = {"path": "", "kafka_topic": "round-archive"}
    overrides: dict[str, Any] = {"kafka": secure, "replicate": replicate, "archive": archive}
    return Harness(stack=stack, name="round", folder=folder, overrides=overrides)


def second(stack: Stack, folder: Path) -> Harness:
    """Reads the two replicas of the first."""
    source = {"kafka_topics": ["round-copy"], "kinesis_streams": ["round-copy"]}
    return Harness(
        stack=stack,
        name="second",
        folder=folder,
        streams=("unused",),
        overrides={"source": source},
    )


def contents(job: Harness, ledger: Ledger) -> Counter[tuple[int, int]]:
    """Every row of the lake, by its partition and values; where it came from is left out."""
    rows: LakeRows = read_lake(job.store("lake"), ledger, TYPES)
    return Counter(zip(rows.partition.tolist(), rows.contents.tolist(), strict=True))
