"""The client that submits the job ends with the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.job import warm_client


@pytest.fixture(scope="session", autouse=True)
def client_ends() -> Iterator[None]:
    yield
    warm_client.close()
