"""Planted runs on the session's servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.servers.stack import Stack
from tests.ops.reconcile.plant import Plant, World, on_topic


@pytest.fixture(scope="package")
def world(stack: Stack) -> World:
    return World(stack.environment())


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
