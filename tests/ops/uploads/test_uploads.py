"""`streaming-etl uploads`, run as a user does, on two S3 servers.

moto says of every upload that it began in 2010, so ages are tested on versitygw alone.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.s3.client import s3_client
from tests import s3_servers

PROGRAM = str(Path(sys.executable).parent / "streaming-etl")
BUCKET = "uploads"
LONG_AGO = (datetime.now(UTC) + timedelta(days=2)).isoformat()
"""A checkpoint so late that no upload of these tests is younger than it."""
PART = b"x" * 1000
_NUMBERS = itertools.count()


@dataclass
class Place:
    """A configuration whose folders are below a prefix of its own, on one server."""

    environment: dict[str, str]
    folder: Path
    prefix: str

    def __post_init__(self) -> None:
        self.client = s3_client(self.environment)
        self.root = f"s3a://{BUCKET}/{self.prefix}"
        self.config = self.folder / "job.yaml"
        self.configure()

    def configure(self, **job: Any) -> None:
        sections = {
            "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
            "source": {"kafka_topics": ["trips"]},
            "archive": {"kafka_topic": "archive", "large_path": f"{self.root}/large"},
            "lake": {"path": f"{self.root}/lake"},
            "dead_letters": {"path": f"{self.root}/dead"},
            "job": job,
        }
        self.config.write_text(yaml.safe_dump(sections))

    def begin(self, path: str, parts: int = 1) -> dict[str, str]:
        """Open an upload, as a job that is killed leaves it."""
        at = {"Bucket": BUCKET, "Key": f"{self.prefix}/{path}"}
        at["UploadId"] = self.client.create_multipart_upload(**at)["UploadId"]
        for number in range(1, parts + 1):
            self.client.upload_part(**at, PartNumber=number, Body=PART)
        return at

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [PROGRAM, "uploads", *words, "--config", str(self.config)]
        known = {key: value for key, value in os.environ.items() if key != "FLINK_REST_URL"}
        settings = {key: self.environment[key] for key in self.environment if key[:3] != "FLI"}
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**known, **settings, **environment},
        )

    def told(self, *words: str) -> list[dict[str, Any]]:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def paths(self, *words: str) -> list[str]:
        return [each["path"].removeprefix(f"{self.root}/") for each in self.told(*words)]


@pytest.fixture(scope="module")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_servers.versitygw(BUCKET, tmp_path_factory.mktemp("run")) as environment:
        yield environment


@pytest.fixture(scope="module")
def moto() -> Iterator[dict[str, str]]:
    with s3_servers.moto(BUCKET) as environment:
        yield environment


@pytest.fixture(params=[pytest.param("versitygw", marks=pytest.mark.server), "moto"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    environment: dict[str, str] = request.getfixturevalue(request.param)
    return Place(environment, tmp_path, f"case-{next(_NUMBERS)}")


@pytest.fixture
def dated(versitygw: dict[str, str], tmp_path: Path) -> Place:
    return Place(versitygw, tmp_path, f"case-{next(_NUMBERS)}")


def passed(seconds: float) -> None:
    """Let uploads become so old; their start has whole seconds."""
    until = time.time() + seconds
    while time.time() < until:
        time.sleep(until - time.time())


def test_open_uploads_of_all_folders_are_listed_and_no_others(place: Place) -> None:
    for path in ("lake/trip/a.parquet", "large/b", "dead/c", "lake-2/other", "checkpoints/d"):
        place.begin(path)
    place.begin("lake/trip/a.parquet", parts=0)
    passed(1.1)
    rows = place.told("list")
    assert sorted(place.paths("list")) == [
        *("dead/c", "lake/trip/a.parquet", "lake/trip/a.parquet", "large/b")
    ]
    assert sorted(each["bytes"] for each in rows) == [0, 1000, 1000, 1000]
    shown = place.run("list").stdout
    assert f"{place.root}/large/b" in shown and "4 uploads, 3,000 bytes" in shown


def test_uploads_of_that_age_are_aborted_and_objects_stay(place: Place) -> None:
    place.client.put_object(Bucket=BUCKET, Key=f"{place.prefix}/lake/a", Body=b"whole")
    old, done = place.begin("lake/a", parts=2), place.begin("lake/b")
    part = {"PartNumber": 1, "ETag": place.client.list_parts(**done)["Parts"][0]["ETag"]}
    place.client.complete_multipart_upload(**done, MultipartUpload={"Parts": [part]})
    passed(2.1)
    words = ("abort", "--older-than", "1s", "--needed-since", LONG_AGO)
    aborted = place.told(*words)
    assert [(each["path"], each["bytes"]) for each in aborted] == [(f"{place.root}/lake/a", 2000)]
    assert place.told("list") == place.told(*words) == []
    with pytest.raises(place.client.exceptions.NoSuchUpload):
        place.client.list_parts(**old)
    for name, content in (("a", b"whole"), ("b", PART)):
        at = {"Bucket": BUCKET, "Key": f"{place.prefix}/lake/{name}"}
        assert place.client.get_object(**at)["Body"].read() == content


@pytest.mark.server
def test_younger_uploads_stay(dated: Place) -> None:
    dated.begin("lake/a")
    assert dated.told("abort", "--older-than", "1h", "--needed-since", LONG_AGO) == []
    passed(1.1)
    assert dated.told("list", "--older-than", "10m") == []
    [row] = dated.told("list")
    assert row["path"] == f"{dated.root}/lake/a" and 1 <= row["age_seconds"] < 600


@pytest.mark.server
@pytest.mark.parametrize("named", ["checkpoint_dir", "savepoints"])
def test_what_a_retained_checkpoint_may_need_is_refused(dated: Place, named: str) -> None:
    place = dated
    place.begin("lake/a")
    folder = f"{place.root}/{named}"
    key = f"{place.prefix}/{named}/0ab1/chk-7/_metadata"
    place.client.put_object(Bucket=BUCKET, Key=key, Body=b"")
    more: tuple[str, ...] = ("--savepoints", folder)
    if named == "checkpoint_dir":
        place.configure(checkpoint_dir=folder)
        more = ()
    for age in ("0s", "24h"):
        done = place.run("abort", "--older-than", age, *more, "--needed-since", LONG_AGO)
        assert done.returncode == 2
        assert f"{folder}/0ab1/chk-7/_metadata" in done.stderr
        assert "give 25h or more" in done.stderr
    assert place.told("abort", "--older-than", "25h", *more) == []
    passed(1.1)
    assert place.paths("list") == ["lake/a"]


def test_without_a_known_checkpoint_nothing_is_aborted(place: Place) -> None:
    place.begin("lake/a")
    done = place.run("abort", "--older-than", "365d")
    assert done.returncode == 2
    assert "no checkpoint and no savepoint is known" in done.stderr
    away = place.run("abort", "--older-than", "365d", FLINK_REST_URL="http://127.0.0.1:9")
    assert away.returncode == 2
    assert "http://127.0.0.1:9, which does not answer" in away.stderr
    passed(1.1)
    assert place.paths("list") == ["lake/a"]


@pytest.mark.parametrize("age", ["7w", "-1d", "1d\n", "1234567d"])
def test_an_age_that_is_none_is_refused(age: str, tmp_path: Path) -> None:
    place = Place({"S3_ENDPOINT": "http://127.0.0.1:9"}, tmp_path, "none")
    done = place.run("list", f"--older-than={age}")
    assert done.returncode == 2
    assert "give such as 90s, 30m, 36h or 14d" in done.stderr


def test_local_folders_have_no_uploads(tmp_path: Path) -> None:
    place = Place({}, tmp_path, "none")
    place.root = f"file://{tmp_path}"
    place.configure()
    assert place.told("list") == []
