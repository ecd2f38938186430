"""Events that are no trips, with partitions of their own, from the topic to a query."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from dev.servers.stack import Stack
from pipeline.events.folders import HIVE_NULL, escape
from tests.job.harness import PATIENCE_SECONDS, Harness
from tests.ops.compact.lakes import Lakes

TIME = {"type": "long", "logicalType": "timestamp-millis"}
SCHEMA = {
    "type": "record",
    "name": "Reading",
    "doc": "A reading of a sensor.",
    "eventType": "reading",
    "version": 1,
    "id": "reading_id",
    "eventTime": "at",
    "versionTime": "at",
    "partitionBy": [
        {"name": "site", "from": "device"},
        {"name": "part", "from": "reading_id", "transform": "bucket[4]", "format": "%02d"},
        {"name": "day", "from": "at", "transform": "day"},
    ],
    "fields": [
        {"name": "reading_id", "type": "string", "doc": "Its number."},
        {"name": "type", "type": "string", "doc": "Always reading."},
        {"name": "at", "type": TIME, "doc": "When."},
        {"name": "device", "type": ["null", "string"], "doc": "Where."},
        {"name": "value", "type": "double", "doc": "What."},
    ],
}
DEVICES = ["a/b=1", "Zürich 7", "x%41", "..", None]
BAD = ["", HIVE_NULL, "y" * 300]
EACH = 20


def readings() -> list[dict[str, Any]]:
    return [
        {
            "reading_id": f"r-{number}-{row}",
            "type": "reading",
            "at": f"2026-01-{1 + row % 3:02d}T23:59:59.999Z",
            "device": device,
            "value": row / 4,
        }
        for number, device in enumerate([*DEVICES, *BAD])
        for row in range(EACH)
    ]


def test_every_tool_follows_the_schema_s_partitions(stack: Stack, tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "reading.avsc").write_text(json.dumps(SCHEMA))
    sections: dict[str, Any] = {"decode": {"schemas": str(schemas)}, "index": None}
    job = Harness(stack=stack, name="own-partitions", folder=tmp_path, overrides=sections)
    with job:
        job.start()
        for half in (readings()[::2], readings()[1::2]):  # two files for a partition
            send(job, half)
            job.drain()
        job.stop(drain=True)

    assert counted(job) == [
        ["..", EACH], ["Zürich 7", EACH], ["a/b=1", EACH], ["x%41", EACH], [None, EACH],
    ]  # fmt: skip
    lakes = Lakes(f"s3a://{job.name}/lake", stack.environment())
    names = {each.name for each in lakes.lake.partitions("reading")}
    assert {name.split("/")[1] for name in names} == {
        f"site={HIVE_NULL if device is None else escape(device)}" for device in DEVICES
    }
    assert all(
        name.split("/")[2] in {f"part={number:02d}" for number in range(4)} for name in names
    )
    assert {name.split("/")[3] for name in names} == {f"day=2026-01-0{day}" for day in (1, 2, 3)}

    assert run(job, "validate", json.dumps(readings()[0]))["lake"] in {
        f"s3a://{job.name}/lake/{name}/" for name in names
    }
    rejects = run(job, "dead-letters", "list")
    assert "invalid_partition" in json.dumps(rejects)
    assert run(job, "reconcile")["problems"] == []
    assert run(job, "compact", "--older-than", "0", "--min-files", "2")["merged_files"] > 0
    assert run(job, "reconcile")["problems"] == []
    assert counted(job)[-1] == [None, EACH]


def counted(job: Harness) -> list[list[Any]]:
    """Query the events of each site."""
    sql = "SELECT site, count(*) AS n FROM reading GROUP BY ALL ORDER BY site NULLS LAST"
    rows = run(job, "query", sql)
    return [[row["site"], row["n"]] for row in rows]


def send(job: Harness, events: list[dict[str, Any]]) -> None:
    producer = Producer({"bootstrap.servers": job.servers})
    for event in events:
        producer.produce(job.topic, json.dumps(event).encode())
        job.produced += 1
    assert producer.flush(30) == 0


def run(job: Harness, *words: str) -> Any:
    """Run a command as a user does, and return its report."""
    program = "from pipeline.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--json", "--config", str(job.config_path)],
        env=os.environ | job.stack.environment(), capture_output=True, text=True,
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
