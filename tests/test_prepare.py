"""`streaming-etl prepare` makes what a configuration names, on real servers, and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from connectors.kafka.admin import connect
from connectors.kafka.options import Kafka
from connectors.s3.store import open_store
from dev.servers.stack import Stack
from pipeline.cli import app
from pipeline.config import load as load_config
from pipeline.prepare import buckets_of, topics_of

ROOT = Path(__file__).parents[1]


def test_all_that_the_configuration_names_is_prepared() -> None:
    config = load_config.load(ROOT / "conf" / "docker.yaml")
    names = [topic for _, topic in topics_of(config)]
    assert sorted(names) == ["trips", "trips.airport", "trips.dead-letters"]
    assert buckets_of(config) == ["streaming-etl"]


@pytest.mark.server
def test_what_is_missing_is_made_once(stack: Stack, tmp_path: Path) -> None:
    environment = stack.environment()
    file = configured(tmp_path, environment)
    missing = run(environment, file, "--dry-run")
    assert {row["state"] for row in missing} == {"missing"}
    kinds = [row["kind"] for row in missing]
    assert [kinds.count(kind) for kind in ("topic", "stream", "bucket", "index")] == [3, 2, 2, 3]
    assert {row["state"] for row in run(environment, file)} == {"made"}
    assert {row["state"] for row in run(environment, file)} == {"exists"}
    brokers = connect(Kafka(bootstrap_servers=environment["KAFKA_BOOTSTRAP_SERVERS"]))
    assert len(brokers.partitions("prepared-trips")) == 3
    assert brokers.max_message_bytes("prepared-dead") == 2 * 1024 * 1024
    assert open_store("s3a://prepared-lake", environment).is_empty()


@pytest.mark.server
def test_what_is_aws_s_is_left_to_its_owner(stack: Stack, tmp_path: Path) -> None:
    environment = stack.environment()
    file = configured(tmp_path, environment, lake="s3a://prepared-elsewhere/lake")
    # No endpoint of our own: S3 is AWS's, here by a profile that leads to the local server.
    endpoint = environment["S3_ENDPOINT"]
    aws = {"S3_ENDPOINT": "", "AWS_ENDPOINT_URL_S3": endpoint}
    result = call({**environment, **aws}, file, "--json")
    assert result.exit_code == 1
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["prepared-elsewhere"]["state"] == "yours"
    assert rows["prepared-elsewhere"]["command"] == "aws s3 mb s3://prepared-elsewhere"


def configured(
    folder: Path, environment: dict[str, str], lake: str = "s3a://prepared-lake/l"
) -> Path:
    sections: dict[str, Any] = {
        "kafka": {"bootstrap_servers": environment["KAFKA_BOOTSTRAP_SERVERS"]},
        "kinesis": {
            "endpoint": environment["KINESIS_ENDPOINT"],
            "region": environment["AWS_REGION"],
        },
        "source": {"kafka_topics": ["prepared-trips"], "kinesis_streams": ["prepared-in"]},
        "lake": {"path": lake},
        "index": {"url": environment["OPENSEARCH_URL"], "prefix": "prepared-"},
        "replicate": {
            "a": {"kafka_topic": "prepared-copy"},
            "b": {"kinesis_stream": "prepared-out"},
        },
        "dead_letters": {"kafka_topic": "prepared-dead"},
        "job": {"checkpoint_seconds": 10, "checkpoint_dir": "s3a://prepared-checkpoints/c"},
    }
    file = folder / "made.yaml"
    file.write_text(yaml.safe_dump(sections))
    return file


def run(environment: dict[str, str], file: Path, *options: str) -> list[dict[str, Any]]:
    result = call(environment, file, "--json", "--partitions", "3", *options)
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def call(environment: dict[str, str], file: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["prepare", "--config", str(file), *options], env=environment)
