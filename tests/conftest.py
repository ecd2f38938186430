"""The real servers, started once for all tests that need them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dev.servers.flink_settings import CLIENT_OPTIONS
from dev.servers.layout import ALL_SERVERS
from dev.servers.setup import setup
from dev.servers.stack import Stack

ROOT = Path(__file__).parent.parent
SERVERS = {"stack", "localstack_stack", "node", "server"}
"""Fixtures that start a server; others that do mark their tests themselves."""

PLANTED = {
    name: f"planted-{uuid4().hex}"
    for name in ("PLANTED_SHELL_PW", "PLANTED_INDEX_PW", "PLANTED_REDRIVE_PW")
}
"""Secrets of the shell that starts servers and jobs, for the test that no log has one.

Flink hides variables with `password`, `secret` or `token` in their names; these have other names.
"""

os.environ.update(PLANTED)
os.environ.setdefault("FLINK_HOME", str(ROOT / ".cache" / "flink"))
os.environ.setdefault("JVM_ARGS", " ".join(CLIENT_OPTIONS))  # of the JVM that plans the job


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka, S3, OpenSearch, Kinesis and Flink with one TaskManager, on free ports."""
    setup(ROOT, say=print)
    folder = tmp_path_factory.mktemp("stack")
    made = Stack(ROOT, run_dir=folder, free_ports=True, servers=ALL_SERVERS)
    with made.running(print) as running:
        yield running


@pytest.fixture(scope="session")
def localstack_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """LocalStack alone, on a free port; its first set-up installs 512 MB."""
    setup(ROOT, say=print, servers=("localstack",))
    folder = tmp_path_factory.mktemp("localstack")
    made = Stack(ROOT, run_dir=folder, free_ports=True, servers=("localstack",))
    with made.running(print) as running:
        yield running


@pytest.fixture(scope="session")
def opensearch_url(stack: Stack) -> str:
    """The address of the real OpenSearch."""
    return stack.environment()["OPENSEARCH_URL"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses a server's fixture, so that `make check` can leave it out."""
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)
