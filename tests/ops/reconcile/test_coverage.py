"""How far a job has read, of a configuration without Kafka."""

from __future__ import annotations

from pathlib import Path

from pipeline.config import load as load_config
from pipeline.ops.reconcile import coverage
from pipeline.ops.reconcile.options import Options
from pipeline.ops.systems import Systems

CONFIG = Path(__file__).parents[3] / "conf" / "local-kinesis.yaml"


def test_a_job_that_reads_streams_alone_needs_no_kafka() -> None:
    config = load_config.load(CONFIG, {})
    assert config.kafka is None
    systems = Systems(config, load_config.event_types(config), {})
    shards = {("trips", -1, "shardId-000000000000"): (0, 9)}
    read = coverage.read(systems, Options(), lambda: shards)
    assert read == coverage.Coverage(shards, 0, ())
