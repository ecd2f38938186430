"""The same data sets below an S3 prefix, on a real server."""

from __future__ import annotations

from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest

from connectors.errors import UserError
from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack
from pipeline.ops.replay.history import History
from pipeline.ops.replay.selection import Selection
from tests.ops.replay.input_archive import HOUR_MS, archived, keep, on_kafka
from tests.ops.replay.input_data import CODECS, START, raws, seconds, trips, write
from tests.ops.replay.test_input_tlc import yellow

BUCKET = "history"


@pytest.fixture(scope="module")
def environment(stack: Stack) -> dict[str, str]:
    variables = stack.environment()
    create_bucket(BUCKET, endpoint=variables["S3_ENDPOINT"])
    return variables


def upload(environment: dict[str, str], folder: Path, prefix: str) -> str:
    client = boto3.client(
        "s3",
        endpoint_url=environment["S3_ENDPOINT"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            client.upload_file(str(path), BUCKET, f"{prefix}/{path.relative_to(folder)}")
    return f"s3a://{BUCKET}/{prefix}"


def test_files_of_every_kind_are_read(environment: dict[str, str], tmp_path: Path) -> None:
    for at, codec in enumerate([None, *CODECS]):
        suffix = CODECS[codec] if codec else ".json"
        write(tmp_path / f"part-{at}{suffix}", trips(range(at * 2_000, at * 2_000 + 2_000)), codec)
    pq.write_table(yellow(100), tmp_path / "yellow_tripdata_2018-01.parquet")
    write(tmp_path / "README.md", [b"about"])
    write(tmp_path / "_SUCCESS", [])
    uri = upload(environment, tmp_path, "all")
    source = History(uri, Selection(), environment)
    come = seconds(source.blocks())
    assert come == sorted([*range(10_000), *range(900, 1_000)])
    assert (source.counts.files, source.counts.bad_lines, source.counts.bad_files) == (6, 0, [])
    local = History(str(tmp_path), Selection(), environment)
    assert raws(local.blocks()) == raws(source.blocks())
    assert local.fingerprint() == source.fingerprint()


def test_one_object_is_a_data_set_and_an_empty_prefix_is_refused(
    environment: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "a.json.lz4", trips([5]), "lz4")
    uri = upload(environment, tmp_path, "one")
    assert seconds(History(f"{uri}/a.json.lz4", Selection(), environment).blocks()) == [5]
    for nothing in (f"{uri}/b.json.lz4", f"{uri}/nothing", f"{uri}/a.json.lz4/", f"{uri}x/"):
        with pytest.raises(UserError, match=f"cannot read {nothing}: there is no data file"):
            History(nothing, Selection(), environment)


def test_an_archive_is_read(environment: dict[str, str], tmp_path: Path) -> None:
    for hour in range(3):
        for at in range(4):
            records = [
                on_kafka(START + hour * HOUR_MS + one * 4 + at, at, one) for one in range(50)
            ]
            keep(tmp_path, f"part-{at}.parquet", records)
    uri = upload(environment, tmp_path, "archive")
    read = archived(uri, START + HOUR_MS, environment=environment)
    arrivals = [record.arrival_ms for record in read]
    assert arrivals == [START + hour * HOUR_MS + at for hour in (1, 2) for at in range(200)]


def test_an_absent_bucket_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(UserError, match="cannot list s3a://nowhere/x"):
        History("s3a://nowhere/x", Selection(), environment)
