"""The browser is fetched where Node is there to unpack it, and left out elsewhere."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from dev.servers import chromium
from dev.servers.cache import ServerCache
from dev.servers.setup import chromium_parts


def test_without_node_setup_goes_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    assert chromium_parts(ServerCache(tmp_path), said.append) == []
    assert [line.startswith("without a browser to test the HTML page: ") for line in said] == [True]


def test_another_processor_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert chromium.machine_problem() == "@sparticuz/chromium is for x86_64, this is aarch64"
