"""A lake in a folder, and on S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack
from tests.ops.compact.lakes import Lakes


@pytest.fixture
def lakes(tmp_path: Path) -> Lakes:
    """A partition of four files with three rows each."""
    return filled(Lakes(f"file://{tmp_path}/lake"))


@pytest.fixture(params=["file", pytest.param("s3a", marks=pytest.mark.server)])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Lakes:
    """The same on either kind of store."""
    if request.param == "file":
        return filled(Lakes(f"file://{tmp_path}/lake"))
    stack: Stack = request.getfixturevalue("stack")
    create_bucket("compact", endpoint=stack.environment()["S3_ENDPOINT"])
    return filled(Lakes(f"s3a://compact/{tmp_path.name}", stack.environment()))


def filled(lakes: Lakes) -> Lakes:
    for number in range(4):
        lakes.write(f"part-{number}", range(3 * number, 3 * number + 3))
    return lakes
