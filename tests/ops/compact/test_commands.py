"""`streaming-etl compact` and `lake files`, run as a user does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.ops.compact.run import uri
from tests.ops.compact.lakes import TRIPS, Lakes

PROGRAM = str(Path(sys.executable).parent / "streaming-etl")
ALL = list(range(12))


class Command:
    """The program, on a lake in a folder."""

    def __init__(self, lakes: Lakes, folder: Path) -> None:
        self._config = folder / "job.yaml"
        sections = {
            "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
            "source": {"kafka_topics": ["trips"]},
            "lake": {"path": lakes.uri},
            "dead_letters": {"kafka_topic": "dead-letters"},
        }
        self._config.write_text(yaml.safe_dump(sections))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [PROGRAM, *words, "--config", str(self._config)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def told(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def command(lakes: Lakes, tmp_path: Path) -> Command:
    return Command(lakes, tmp_path)


def test_a_run_tells_what_it_did(lakes: Lakes, command: Command) -> None:
    asked = ("compact", "--min-files", "2", "--older-than", "0")
    planned = command.told(*asked, "--dry-run")
    assert planned.pop("dry_run") is True
    done = command.told(*asked)
    assert (done["files_before"], done["files_after"], done["merged_rows"]) == (4, 1, 12)
    assert planned["bytes_after"] < done["bytes_before"]
    assert done.pop("dry_run") is False
    assert planned == {**done, "bytes_after": planned["bytes_after"]}
    assert lakes.offsets() == ALL
    assert command.told(*asked, "--clean", "--grace", "60")["deleted_files"] == 0
    text = command.run(*asked).stdout.splitlines()
    assert "files_after: 1" in text


def test_what_was_just_written_and_few_files_are_left_alone(command: Command) -> None:
    assert command.told("compact")["merged_files"] == 0


def test_the_listed_files_are_what_any_reader_needs(lakes: Lakes, command: Command) -> None:
    command.told("compact", "--min-files", "2", "--older-than", "0")
    lakes.write("part-9", [100])
    (merged, new) = command.told("lake", "files", "--partition", TRIPS)
    assert merged["partition"] == new["partition"] == TRIPS
    assert merged["bytes"] == Path(merged["uri"].removeprefix("file://")).stat().st_size
    names = command.run("lake", "files").stdout.split()
    found = [pq.read_table(name.removeprefix("file://"))["source_offset"] for name in names]
    assert sorted(each for column in found for each in column.to_pylist()) == [*ALL, 100]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--event-type", "boat"), "'boat' is no event type of this configuration; it has"),
        (("--partition", "trip/041"), "--partition is 'trip/041'; give TYPE/"),
        (("--event-type", "trip", "--partition", TRIPS), "not both"),
        (("--grace", "5"), "60"),
        (("--min-files", "1"), "2"),
    ],
)
def test_what_cannot_be_done_is_refused(command: Command, words: tuple[str], said: str) -> None:
    done = command.run("compact", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_addresses_are_those_that_other_readers_know() -> None:
    assert uri("s3a://bucket/lake", "a/b") == "s3://bucket/lake/a/b"
    assert uri("s3a://bucket", "a") == "s3://bucket/a"
    assert uri("file:///lake/", "a") == "file:///lake/a"
