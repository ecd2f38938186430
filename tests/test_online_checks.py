"""`config check --online` looks at every system, and one that is away hides no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AdminClient, NewTopic

from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack

COMMAND = [str(Path(sys.executable).parent / "streaming-etl"), "config", "check"]
AWAY = "http://127.0.0.1:1"


def config(**changed: Any) -> dict[str, Any]:
    return {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "source": {"kafka_topics": ["online-trips"]},
        "lake": {"path": "s3a://online/lake"},
        "index": {"url": AWAY, "prefix": "online-"},
        "dead_letters": {"kafka_topic": "online-dead", "large_path": "s3a://online/large"},
        "job": {"checkpoint_seconds": 10},
        **changed,
    }


def check(
    folder: Path, given: dict[str, Any], environment: dict[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(given))
    return subprocess.run(
        [*COMMAND, "--config", str(path), *options],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_each_system_that_is_away_is_told_once(tmp_path: Path) -> None:
    environment = {
        "S3_ENDPOINT": AWAY, "FLINK_REST_URL": AWAY, "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none",
    }  # fmt: skip
    kept = config(archive={"path": f"file://{tmp_path}/archive"})
    done = check(tmp_path, kept, environment, "--online")
    assert (done.returncode, done.stderr) == (1, "")
    first, *lines = done.stdout.splitlines()
    assert first.endswith("config.yaml: fine")
    begin = [
        f"failed  Flink at {AWAY}: the Flink cluster at {AWAY} does not answer",
        "failed  Kafka at 127.0.0.1:1: no Kafka broker answers at 127.0.0.1:1",
        "not checked  source.kafka_topics online-trips",
        "not checked  dead_letters.kafka_topic online-dead",
        "failed  lake.path s3a://online/lake: cannot write below s3a://online/lake",
        f"ok  archive.path file://{tmp_path}/archive",
        "failed  dead_letters.large_path s3a://online/large: cannot write below",
        f"failed  index.url {AWAY}: index online-fhv_trip at {AWAY}: no connection",
    ]
    assert [line[: len(each)] for line, each in zip(lines, begin, strict=True)] == begin
    assert list(tmp_path.rglob("*probe*")) == []


def test_a_wrong_filter_is_refused_offline(tmp_path: Path) -> None:
    replica = {"kafka_topic": "airport", "event_types": ["tirp"], "filter": "a == 1"}
    done = check(tmp_path, config(replicate={"airport": replica}), {})
    assert (done.returncode, done.stdout) == (2, "")
    assert "replicate.airport.event_types has tirp; decode.schemas has" in done.stderr
    assert "replicate.airport.filter is 'a == 1': equal is written =." in done.stderr


def test_what_is_there_is_ok_and_what_is_missing_is_named(stack: Stack, tmp_path: Path) -> None:
    environment = stack.environment()
    kafka = environment["KAFKA_BOOTSTRAP_SERVERS"]
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic("online-trips", 1, 1)])["online-trips"].result()
    create_bucket("online", endpoint=environment["S3_ENDPOINT"])
    there = config(
        kafka={"bootstrap_servers": kafka},
        index={"url": environment["OPENSEARCH_URL"], "prefix": "online-"},
    )
    done = check(tmp_path, there, environment, "--online", "--json")
    assert done.returncode == 1, done.stderr
    found = {one["check"].split()[0]: one for one in json.loads(done.stdout)["online"]}
    failed = found.pop("dead_letters.kafka_topic")
    assert (failed["state"], failed["detail"]) == (
        "failed", f"the topic online-dead does not exist at {kafka}; create it first.",
    )  # fmt: skip
    assert {one["state"] for one in found.values()} == {"ok"}
    assert found["index.url"]["detail"].startswith("the job makes online-fhv_trip, ")
    assert {"Flink", "Kafka", "lake.path"} <= found.keys()

    admin.create_topics([NewTopic("online-dead", 1, 1)])["online-dead"].result()
    done = check(tmp_path, there, environment, "--online")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.server
def test_a_filter_that_only_the_planner_refuses(tmp_path: Path) -> None:
    replica = {"kafka_topic": "airport", "filter": "LOWR(store_and_fwd_flag) = 'n'"}
    given = config(replicate={"airport": replica})
    del given["index"]
    assert check(tmp_path, given, {}).returncode == 0
    last = check(tmp_path, given, {}, "--online").stdout.splitlines()[-1]
    assert last.startswith("failed  filters, by Flink's planner: replicate.airport.filter is")
    assert "No match found for function signature LOWR" in last
