"""The session's servers as dead letters need them."""

from __future__ import annotations

import pytest

from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack
from tests.ops.dead_letters.harness import BUCKET, Servers


@pytest.fixture(scope="package")
def servers(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    environment = stack.environment()
    create_bucket(BUCKET, endpoint=environment["S3_ENDPOINT"])
    return Servers(environment, tmp_path_factory.mktemp("configs"))
