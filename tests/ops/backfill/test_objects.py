"""S3 and local folders keep one contract: every step may be repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.s3.objects import objects_of
from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack


@pytest.mark.parametrize("kind", ["file", "s3a"])
def test_objects_are_copied_deleted_and_read_as_often_as_wanted(
    kind: str, stack: Stack, tmp_path: Path
) -> None:
    environment = stack.environment()
    create_bucket("objects", endpoint=environment["S3_ENDPOINT"])
    root = {"file": f"file://{tmp_path}", "s3a": "s3a://objects/some"}[kind]
    objects = objects_of(root, environment)
    first, second = f"{root}/month=01/a.parquet", f"{root}/_kept/one/month=01/a.parquet"

    assert objects.read(first) is None
    assert not objects.exists(first)
    objects.delete(first)
    for content in (b"before", b"\x00bytes\xff"):
        objects.write(first, content)
    for _ in range(2):
        objects.copy(first, second)
        assert objects.read(second) == b"\x00bytes\xff"
    for _ in range(2):
        objects.delete(first)
    assert not objects.exists(first)
    assert objects.exists(second)
