"""The files of a job are those in its configuration's folders that are younger than it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.errors import UserError
from connectors.flink.rest import Job
from pipeline.ops.top.files import Counter, Files, count

STARTED_MS = 1_800_000_000_500
JOB = Job("a" * 32, "counted", "RUNNING", STARTED_MS)


def configured(folder: Path, **sections: Mapping[str, Any]) -> Path:
    """Write a configuration with sinks below the folder; return its path."""
    path = folder / "job.yaml"
    own = {
        "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
        "source": {"kafka_topics": ["trips"]},
        "archive": {"path": f"file://{folder}/archive"},
        "lake": {"path": f"file://{folder}/lake"},
        "dead_letters": {"kafka_topic": "letters"},
        "job": {"name": JOB.name},
    }
    path.write_text(yaml.safe_dump(own | sections))
    return path


def write(path: Path, size: int, *, seconds: float) -> None:
    """Write a file that many seconds after the job's start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    written = STARTED_MS / 1000 + seconds
    os.utime(path, (written, written))


def test_files_since_the_start_are_counted_by_step(tmp_path: Path) -> None:
    write(tmp_path / "archive" / "arrival_date=2026-11-29" / "part-0", 10, seconds=5)
    write(tmp_path / "archive" / "arrival_date=2026-11-28" / "part-0", 10, seconds=-60)
    write(tmp_path / "lake" / "trip" / "year=2018" / "part-0", 3, seconds=5)
    write(tmp_path / "lake" / "trip" / "year=2018" / "part-1", 4, seconds=-0.4)
    write(tmp_path / "lake" / "trip" / "year=2018" / ".part-2.inprogress", 5, seconds=5)
    made = count(configured(tmp_path), {}, JOB)
    assert made.of("archive") == Files(1, 10)
    assert made.of("lake") == Files(2, 7)
    assert made.of("dead_letters") is made.of("index") is None


def test_the_folders_of_another_job_are_not_counted(tmp_path: Path) -> None:
    path = configured(tmp_path, job={"name": "another"})
    with pytest.raises(UserError, match="is of the job 'another'"):
        count(path, {}, JOB)


def test_why_files_are_not_known_is_told(tmp_path: Path) -> None:
    counter = Counter(tmp_path / "absent.yaml", {}, JOB)
    counter.wait(60)
    counter.close()
    assert "absent.yaml" in counter.made.problem
    assert counter.made.of("archive") is None
