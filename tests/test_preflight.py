"""What is missing outside is told before the job is submitted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.errors import UserError
from connectors.kafka.admin import connect
from connectors.opensearch.client import client
from connectors.opensearch.templates import IndexAway
from connectors.s3.store import open_store
from connectors.s3.uploads import Uploads
from dev.servers.kinesis import create_stream
from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack
from pipeline import preflight
from pipeline.config import load as load_config
from pipeline.config.model import Config
from pipeline.events.event_types import EventTypes, load

TYPES: EventTypes = load(Path(__file__).parents[1] / "schemas")
LARGE = {"max.message.bytes": "2097152"}


@pytest.fixture(scope="module")
def kafka(stack: Stack) -> dict[str, Any]:
    address = stack.environment()["KAFKA_BOOTSTRAP_SERVERS"]
    topics = [NewTopic("pre-a", 1, 1), NewTopic("pre-small", 1, 1), NewTopic("pre-b", 1, 1)]
    topics.append(NewTopic("pre-large", 1, 1, config=LARGE))
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics(topics).values():
        future.result()
    return {"bootstrap_servers": address}


def problems(kafka: dict[str, Any], checkpoint: float | None = 10, **changed: Any) -> list[str]:
    """What the start would say of a job that reads pre-a and has these sections."""
    sections = {
        "kafka": kafka,
        "source": {"kafka_topics": ["pre-a"]},
        "archive": {"path": "s3a://bucket/a"},
        "dead_letters": {"path": "s3a://bucket/d"},
    }
    config = load_config.check({**sections, **changed}, where="test")
    return list(preflight.problems(config, TYPES, checkpoint, connect))


def test_a_topic_that_is_not_there_is_named(kafka: dict[str, Any]) -> None:
    assert problems(kafka) == []
    found = problems(kafka, source={"kafka_topics": ["pre-a", "nowhere"]})
    assert "source.kafka_topics: the topic nowhere does not exist" in found[0]


def test_a_dead_letter_topic_that_is_too_small_is_refused(kafka: dict[str, Any]) -> None:
    assert problems(kafka, dead_letters={"kafka_topic": "pre-large"}) == []
    found = problems(kafka, dead_letters={"kafka_topic": "pre-small"})
    assert "pre-small takes messages of 1,048,588 bytes" in found[0]
    checked = {"kafka_topic": "pre-small", "large_path": "s3a://bucket/large"}
    assert problems(kafka, dead_letters=checked) == []


def test_a_transaction_longer_than_the_brokers_allow_is_refused(kafka: dict[str, Any]) -> None:
    replicate = {"b": {"kafka_topic": "pre-b"}}
    assert problems(kafka, replicate=replicate) == []
    found = problems(kafka, replicate=replicate, job={"transaction_timeout_seconds": 901})
    assert "901000 ms" in found[0] and "allow 900000 ms" in found[0]
    at_least_once = {"b": {"kafka_topic": "pre-b", "guarantee": "at_least_once"}}
    assert problems(kafka, replicate=at_least_once, job={"transaction_timeout_seconds": 901}) == []


def test_transactions_are_held_against_the_clusters_own_checkpoints(kafka: dict[str, Any]) -> None:
    replicate = {"b": {"kafka_topic": "pre-b"}}
    assert "checkpoint is taken every 301 s" in problems(kafka, 301, replicate=replicate)[0]
    assert "checkpoints are off" in problems(kafka, None, replicate=replicate)[0]


def test_an_event_type_without_schema_is_named(kafka: dict[str, Any]) -> None:
    replicate = {"b": {"kafka_topic": "pre-b", "event_types": ["scooter"]}}
    assert "event_types has scooter" in problems(kafka, replicate=replicate)[0]


def test_streams_must_be_there_and_be_ours(
    kafka: dict[str, Any], stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = stack.environment()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, environment[name])
    endpoint = environment["KINESIS_ENDPOINT"]
    kinesis = {"endpoint": endpoint, "region": environment["AWS_REGION"]}
    arn = create_stream("pre-stream", endpoint=endpoint)
    for given in ("pre-stream", arn):
        assert problems(kafka, kinesis=kinesis, source={"kinesis_streams": [given]}) == []
    large = {"a": {"kinesis_stream": "pre-stream", "max_bytes": 2_000_000}}
    found = problems(kafka, kinesis=kinesis, replicate=large)
    assert (
        "replicate.a.max_bytes is 2,000,000, but pre-stream takes records of 1,048,576" in found[0]
    )
    topic = {"kafka_topic": "pre-small"}
    found = problems(
        kafka, kinesis=kinesis, source={"kinesis_streams": ["pre-stream"]}, dead_letters=topic
    )
    assert "pre-small takes messages" in found[0]
    found = problems(kafka, kinesis=kinesis, source={"kinesis_streams": ["nowhere"]})
    assert "nowhere: there is no such stream" in found[0]
    others = arn.replace("000000000000", "123456789012")
    found = problems(kafka, kinesis=kinesis, source={"kinesis_streams": [others]})
    assert "another account's stream" in found[0]


def test_brokers_that_are_away_are_named() -> None:
    with pytest.raises(UserError, match=r"no Kafka broker answers at 127.0.0.1:1"):
        problems({"bootstrap_servers": "127.0.0.1:1"})


def test_scram_over_tls(stack: Stack, kafka: dict[str, Any]) -> None:
    environment = stack.environment()
    secure = {
        "bootstrap_servers": environment["KAFKA_TLS_BOOTSTRAP_SERVERS"],
        "security": "scram",
        "ca_file": environment["KAFKA_CA_FILE"],
        "username": environment["KAFKA_USERNAME"],
        "password": environment["KAFKA_PASSWORD"],
    }
    assert problems(secure) == []
    with pytest.raises(UserError, match="over scram .* are security, username and password right"):
        problems({**secure, "password": "wrong"})


def test_an_index_that_is_away_is_refused_at_a_first_start_and_warned_of_at_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sections = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "source": {"kafka_topics": ["pre-a"]},
        "archive": {"path": "s3a://bucket/a"},
        "index": {"url": "http://127.0.0.1:1"},
    }
    config = load_config.check(sections, where="test")
    with pytest.raises(IndexAway, match="no connection"):
        preflight.indices(config, TYPES, may_be_away=False)
    preflight.indices(config, TYPES, may_be_away=True)
    assert "starting without the index: index fhv_trip at" in capsys.readouterr().err


def of_paths(lake: str) -> Config:
    """A configuration that writes a lake there."""
    sections = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "source": {"kafka_topics": ["pre-a"]},
        "lake": {"path": lake},
        "dead_letters": {"kafka_topic": "pre-b"},
    }
    return load_config.check(sections, where="test")


def test_a_path_that_cannot_be_written_to_is_named(stack: Stack, tmp_path: Path) -> None:
    environment = stack.environment()
    missing = "lake.path: cannot write below s3a://pre-nowhere/lake: .*bucket"
    with pytest.raises(UserError, match=missing):
        preflight.paths(of_paths("s3a://pre-nowhere/lake"), environment)
    closed = {**environment, "S3_ENDPOINT": "http://127.0.0.1:1"}
    with pytest.raises(UserError, match="lake.path: cannot write below .*127.0.0.1:1"):
        preflight.paths(of_paths("s3a://pre-paths/lake"), closed)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="lake.path: cannot write"):
        preflight.paths(of_paths(f"file://{tmp_path}/file/lake"), environment)


def test_a_probe_leaves_nothing_behind(stack: Stack, tmp_path: Path) -> None:
    environment = stack.environment()
    create_bucket("pre-paths", endpoint=environment["S3_ENDPOINT"])
    for root in ("s3a://pre-paths/lake", f"file://{tmp_path}/lake"):
        preflight.paths(of_paths(root), environment)
        assert open_store(root, environment).everything() == []
    assert list(Uploads("s3a://pre-paths", environment).open()) == []


@pytest.mark.parametrize("may_be_away", [False, True])
def test_an_index_behind_an_alias_of_two_is_refused_at_every_start(
    opensearch_url: str, may_be_away: bool
) -> None:
    prefix = f"pre-{may_be_away}-".lower()
    sections = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "source": {"kafka_topics": ["pre-a"]},
        "archive": {"path": "s3a://trips/a"},
        "index": {"url": opensearch_url, "prefix": prefix},
    }
    config = load_config.check(sections, where="test")
    assert config.index
    opensearch = client(config.index)
    for number in (1, 2):
        opensearch.indices.create(index=f"{prefix}old-{number}")
        opensearch.indices.put_alias(index=f"{prefix}old-{number}", name=f"{prefix}trip")
    named = rf"{prefix}trip is an alias of several indices \({prefix}old-1, {prefix}old-2\)"
    try:
        with pytest.raises(UserError, match=named):
            preflight.indices(config, TYPES, may_be_away=may_be_away)
    finally:
        opensearch.indices.delete(index=f"{prefix}*")
        opensearch.indices.delete_index_template(name=f"{prefix}*")


# What the program that Flink runs may not import: its package, for an older C library, lacks them.
WITHOUT_LIBRDKAFKA = """
import sys

class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("confluent_kafka", "aws_msk_iam_sasl_signer"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Lacking())
from pathlib import Path
from pipeline import main
"""
PLANNED = """
from pipeline.config import load
config = load.load(Path(sys.argv[1]))
stream = main.planned(config, load.event_types(config))
print(stream.get_execution_plan())
"""


def without_librdkafka(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = [sys.executable, "-c", WITHOUT_LIBRDKAFKA + program, *arguments]
    root = Path(__file__).parents[1]
    return subprocess.run(code, cwd=root, capture_output=True, text=True, check=False)


def test_the_program_of_the_job_imports_no_librdkafka() -> None:
    done = without_librdkafka("")
    assert (done.returncode, done.stderr) == (0, "")
    done = without_librdkafka("import confluent_kafka")
    assert "ModuleNotFoundError: confluent_kafka" in done.stderr


def test_a_job_of_kafka_is_checked_and_planned_without_librdkafka(
    kafka: dict[str, Any], tmp_path: Path
) -> None:
    sections: dict[str, Any] = {
        "kafka": kafka,
        "source": {"kafka_topics": ["pre-a"]},
        "archive": {"path": f"file://{tmp_path}/archive"},
        "dead_letters": {"kafka_topic": "pre-large"},
        "replicate": {"b": {"kafka_topic": "pre-b"}},
        "job": {"checkpoint_seconds": 10},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(sections))
    done = without_librdkafka(PLANNED, str(path))
    assert done.returncode == 0, done.stderr
    steps = {node["type"] for node in json.loads(done.stdout)["nodes"]}
    assert {"Source: records_kafka", "replicate_b: Writer", "dead_letters: Writer"} <= steps
