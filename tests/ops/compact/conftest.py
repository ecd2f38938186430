"""A lake in a folder, and the S3 server alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack
from tests.ops.compact.lakes import Lakes

ROOT = Path(__file__).parents[3]


@pytest.fixture
def lakes(tmp_path: Path) -> Lakes:
    """A partition of four files with three rows each."""
    return filled(Lakes(f"file://{tmp_path}/lake"))


@pytest.fixture(scope="package")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The S3 server."""
    made = Stack(ROOT, run_dir=tmp_path_factory.mktemp("s3"), free_ports=True, servers=("s3",))
    with made.running(print, wipe=True) as stack:
        create_bucket("compact", endpoint=stack.environment()["S3_ENDPOINT"])
        yield stack


@pytest.fixture(params=["file", "s3a"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Lakes:
    """The same on either kind of store."""
    if request.param == "file":
        return filled(Lakes(f"file://{tmp_path}/lake"))
    stack: Stack = request.getfixturevalue("s3")
    return filled(Lakes(f"s3a://compact/{tmp_path.name}", stack.environment()))


def filled(lakes: Lakes) -> Lakes:
    for number in range(4):
        lakes.write(f"part-{number}", range(3 * number, 3 * number + 3))
    return lakes
