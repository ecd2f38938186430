"""The session's servers as taps need them."""

from __future__ import annotations

import pytest

from dev.servers.stack import Stack
from tests.ops.tap.harness import Place


@pytest.fixture(scope="package")
def place(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(stack.environment(), tmp_path_factory.mktemp("configs"))
