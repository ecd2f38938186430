"""Kafka, S3, OpenSearch and Kinesis, without Flink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack
from tests.ops.dead_letters.desk import BUCKET, Desk

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="package")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    run_dir = tmp_path_factory.mktemp("run")
    servers = ("kafka", "s3", "opensearch", "kinesis")
    made = Stack(ROOT, run_dir=run_dir, free_ports=True, servers=servers)
    with made.running(print, wipe=True) as stack:
        environment = stack.environment()
        create_bucket(BUCKET, endpoint=environment["S3_ENDPOINT"])
        yield Desk(environment, run_dir, tmp_path_factory.mktemp("configs"))
