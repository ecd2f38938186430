"""A topic of Avro records beside one of JSON: a real registry, which is away for a while."""

from __future__ import annotations

import io
import json
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import Producer

from connectors.flink.rest import wait_for
from dev.servers.setup import setup
from dev.servers.stack import Stack
from tests.job.harness import PATIENCE_SECONDS, Harness
from tests.job.test_own_partitions import run

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "examples" / "readings" / "schemas"
READING = json.loads((SCHEMAS / "reading.avsc").read_text())
SERIAL = {"name": "serial", "type": "string", "default": ""}
"""A field that our schema lacks."""


QUERY = """SELECT count(*) AS n, count(DISTINCT device) AS devices, max(tags[1]) AS tag,
    sum(measured[1].value) AS total, max(calibrated) AS day
    FROM reading WHERE device LIKE 'avro-%'"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Stack]:
    setup(ROOT, say=print, servers=("registry",))
    made = Stack(ROOT, run_dir=tmp_path / "registry", free_ports=True, servers=("registry",))
    with made.running(print) as running:
        yield running


def test_avro_and_json_are_one_stream(stack: Stack, registry: Stack, tmp_path: Path) -> None:
    url = registry.environment()["SCHEMA_REGISTRY_URL"]
    older = {**READING, "fields": [each for each in READING["fields"] if each["name"] != "tags"]}
    newer = {**READING, "fields": [*READING["fields"], SERIAL]}
    first, second, third = (
        register(url, f"{name}-value", schema)
        for name, schema in {"a": READING, "b": older, "c": newer}.items()
    )
    sections: dict[str, Any] = {
        "decode": {"schemas": str(SCHEMAS)},
        "source": {
            "event_type": "reading",
            "avro": ["avro-a"],
        },
        "schema_registry": {"url": url},
        "dead_letters": {"path": "s3a://avro/dead-letters"},
    }
    job = Harness(stack=stack, name="avro", folder=tmp_path, overrides=sections, topics=("a", "j"))
    with job:
        job.start()
        sample = (SCHEMAS.parent / "sample.jsonl").read_bytes().splitlines()[:10]
        send(job, "avro-j", sample)
        send(job, "avro-a", [framed(READING, first, reading(number)) for number in range(10)])
        job.drain()
        with paused(registry):
            later = [framed(older, second, reading(number)) for number in range(10, 15)]
            send(job, "avro-a", later)
            wait_for(partial(says_so, stack), PATIENCE_SECONDS, "the job did not wait")
        odd = [b"{}", framed(READING, 999, reading(15)), framed(newer, third, reading(16))]
        send(job, "avro-a", [*odd, framed(READING, first, reading(17))[:-1]])
        job.drain()
        waits = job.submitted.cluster.step_metrics()["decode.registry_waits"]
        job.stop(drain=True)

    (row,) = run(job, "query", QUERY)
    assert (row["n"], row["devices"], row["tag"]) == (15, 15, "street")
    assert Decimal(str(row["total"])) == sum(range(15)) + 15 * Decimal("0.125")
    assert row["day"].startswith("2025-02-03")
    rejects = json.dumps(run(job, "dead-letters", "list"))
    for reason in ("avro_magic", "avro_unknown_schema", "unknown_field", "avro_undecodable"):
        assert reason in rejects
    assert waits > 0
    assert run(job, "reconcile")["problems"] == []
    assert job.failures() == 0


def says_so(stack: Stack) -> bool:
    """Whether a worker's log says that records wait; metrics come only when it goes on."""
    logs = stack.run_dir.rglob("taskmanager-*.log*")
    return any("is away" in path.read_text(errors="replace") for path in logs)


def reading(number: int) -> dict[str, Any]:
    return {
        "device": f"avro-{number}",
        "at": datetime(2025, 6, 1, number, 30, 0, 123_456, tzinfo=UTC),
        "position": {"lat": 48.5, "lon": 16.25, "altitude": None if number % 2 else 170.5},
        "tags": ["street"],
        "measured": [{"what": "no2", "value": Decimal(number) + Decimal("0.125")}],
        "labels": {"owner": "city"},
        "calibrated": date(2025, 2, 3) if number % 3 else None,
        "status": "ok" if number % 2 else 3,
        "serial": "x",
    }


def framed(schema: dict[str, Any], schema_id: int, record: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), record)
    return b"\0" + schema_id.to_bytes(4, "big") + body.getvalue()


def register(url: str, subject: str, schema: dict[str, Any]) -> int:
    body = json.dumps({"schema": json.dumps(schema)}).encode()
    request = urllib.request.Request(
        f"{url}/subjects/{subject}/versions", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return int(json.load(response)["id"])


def send(job: Harness, topic: str, records: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": job.servers})
    for record in records:
        producer.produce(topic, record)
        job.produced += 1
    assert producer.flush(30) == 0


@contextmanager
def paused(registry: Stack) -> Iterator[None]:
    """Stop the registry's process for a while: it keeps its schemas in memory."""
    for process in registry.processes():
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in registry.processes():
            process.send_signal(signal.SIGCONT)
