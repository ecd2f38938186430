"""The configuration of a backfill's job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from pipeline.config import load as load_config
from pipeline.ops.backfill.rebuild import Rebuild
from pipeline.ops.systems import Systems
from pipeline.progress import Steps

SECTIONS: dict[str, Any] = {
    "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
    "source": {"kafka_topics": ["trips"]},
    "archive": {"path": "s3a://bucket/archive"},
    "lake": {"path": "s3a://bucket/lake"},
}


@pytest.mark.parametrize("key", [{}, {"redrive_key": "${env:THE_KEY}"}])
def test_archived_redrives_can_be_verified(tmp_path: Path, key: dict[str, str]) -> None:
    """Else redriven copies would be in the rebuilt lake again; the reference is not resolved."""
    sections = {**SECTIONS, "dead_letters": {"kafka_topic": "dead", **key}}
    path = tmp_path / "main.yaml"
    path.write_text(yaml.safe_dump(sections))
    config = load_config.load(path, {"THE_KEY": "k" * 32})
    rebuild = Rebuild(
        systems=Systems(config, load_config.event_types(config), {}),
        path=path,
        folder=tmp_path,
        steps=Steps(Console(quiet=True)),
        name="rebuilt",
        into="s3a://bucket/beside",
        index=False,
        parallelism=None,
        start_ms=None,
        end_ms=None,
    )
    written = rebuild._sections()
    assert written["dead_letters"] == {"path": "s3a://bucket/beside-dead-letters", **key}
    load_config.check(written, where="backfill", environment={"THE_KEY": "k" * 32})
