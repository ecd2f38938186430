"""The command, and a lake in a folder and on S3 for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import s3_servers
from tests.ops.compact.lakes import Lakes
from tests.ops.query.command import Query

BUCKET = "query"


@pytest.fixture(scope="session")
def s3_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_servers.versitygw(BUCKET, tmp_path_factory.mktemp("run")) as environment:
        yield environment


@pytest.fixture
def local(tmp_path: Path) -> Lakes:
    return Lakes(f"file://{tmp_path}/lake")


@pytest.fixture(params=["file", pytest.param("s3a", marks=pytest.mark.server)])
def lakes(request: pytest.FixtureRequest, tmp_path: Path) -> Lakes:
    """An empty lake on either kind of store."""
    if request.param == "file":
        return Lakes(f"file://{tmp_path}/lake")
    environment: dict[str, str] = request.getfixturevalue("s3_environment")
    return Lakes(f"s3a://{BUCKET}/{tmp_path.name}", environment)


@pytest.fixture
def query(lakes: Lakes, tmp_path: Path) -> Query:
    return Query(lakes.uri, tmp_path, lakes.environment)


@pytest.fixture
def local_query(local: Lakes, tmp_path: Path) -> Query:
    return Query(local.uri, tmp_path)
