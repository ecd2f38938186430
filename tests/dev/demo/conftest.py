"""A Kafka and a Kinesis server for the tests of topics and streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.kafka.options import Kafka
from connectors.positions import Position
from dev.demo.produce import produce_kinesis
from dev.servers import kinesis
from dev.servers.stack import Stack
from tests.dev.demo.edges import MADE, ROOT, STREAM, Edges, Sent
from tests.dev.demo.sinks import Record


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    made = Stack(ROOT, run_dir=folder, free_ports=True, servers=("kafka", "kinesis"))
    with made.running(print, wipe=True) as stack:
        yield stack.environment()


@pytest.fixture(scope="package")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edges]:
    with running(tmp_path_factory.mktemp("run")) as found:
        endpoint = found["KINESIS_ENDPOINT"]
        brokers = Kafka(bootstrap_servers=found["KAFKA_BOOTSTRAP_SERVERS"])
        yield Edges(brokers, endpoint, kinesis.client(endpoint))


@pytest.fixture(scope="package")
def sent(edges: Edges) -> Sent:
    kinesis.create_stream(STREAM, endpoint=edges.endpoint, shards=3)
    ledger = produce_kinesis(MADE, client=edges.client, stream=STREAM)
    rows = ledger.table.select(["stream", "shard", "sequence_number"]).to_pylist()
    found = [Record(one, Position(**row)) for one, row in zip(MADE, rows, strict=True)]
    return Sent(found, ledger)
