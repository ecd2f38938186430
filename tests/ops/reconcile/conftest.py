"""Kafka, OpenSearch and Kinesis, without Flink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.servers.stack import Stack
from tests.ops.reconcile.plant import Plant, World, on_topic

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    run_dir = tmp_path_factory.mktemp("run")
    servers = ("kafka", "opensearch", "kinesis")
    made = Stack(ROOT, run_dir=run_dir, free_ports=True, servers=servers)
    with made.running(print, wipe=True) as stack:
        yield World(stack.environment(), run_dir)


@pytest.fixture(scope="package")
def template(world: World, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A faultless run on Kafka, not to be touched."""
    return on_topic(world, tmp_path_factory.mktemp("template"))


@pytest.fixture
def plant(template: Plant, tmp_path: Path) -> Plant:
    """A faultless run whose folders may be damaged; its topics are not to be."""
    return template.copy(tmp_path)


@pytest.fixture
def own(world: World, tmp_path: Path) -> Plant:
    """A faultless run whose topics may be damaged too."""
    return on_topic(world, tmp_path)
