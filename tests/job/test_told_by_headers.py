"""Events whose type a header tells, without an id and a version of their own, in every sink."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from tests.job.harness import Harness
from tests.job.test_own_partitions import run

TIME = {"type": "long", "logicalType": "timestamp-millis", "wire": "epoch-millis"}
DAY = [{"name": "day", "from": "at", "transform": "day"}]
NOTE: dict[str, Any] = {
    "type": "record", "name": "Note", "doc": "A text.", "eventType": "note", "version": 1,
    "eventTime": "at", "partitionBy": DAY,
    "fields": [
        {"name": "at", "type": TIME, "doc": "When."},
        {"name": "type", "type": "string", "doc": "A field as any other."},
        {"name": "key", "type": ["null", "string"], "doc": "So is this.", "default": None},
    ],
}  # fmt: skip
ORDER: dict[str, Any] = {
    **NOTE, "name": "Order", "eventType": "order", "id": ["shop", "number"],
    "fields": [
        {"name": "at", "type": TIME, "doc": "When."},
        {"name": "shop", "type": "string", "doc": "Where."},
        {"name": "number", "type": "int", "doc": "Its number there."},
        {"name": "total", "doc": "What it costs.",
         "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    ],
}  # fmt: skip
AT = 1_750_000_000_000


def test_headers_tell_types_and_positions_are_ids(stack: Stack, tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    for schema in (NOTE, ORDER):
        (schemas / f"{schema['eventType']}.avsc").write_text(json.dumps(schema))
    sections: dict[str, Any] = {
        "decode": {"schemas": str(schemas)},
        "source": {"event_type_header": "kind", "event_type_values": ["OrderPlaced=order"]},
        "replicate": {"big": {"kafka_topic": "told-big", "event_types": ["note"],
                              "filter": "key IS NOT NULL"}},
        "dead_letters": {"path": "s3a://told/dead-letters"},
    }  # fmt: skip
    job = Harness(stack=stack, name="told", folder=tmp_path, overrides=sections, topics=("in",))
    create_topics(job.servers, source="told-big", dead_letters="told-unused", partitions=1)
    with job:
        job.start()
        note = {"at": AT, "type": "anything"}
        send(job, [(b"note", note), (b"note", {**note, "key": "k"}), (b"note", note)])
        send(job, [(b"OrderPlaced", order(number, total=number)) for number in range(3)])
        send(job, [(None, note), (b"order", order(9)), (b"note", order(9))])
        job.drain()
        send(job, [(b"OrderPlaced", order(1, total=50))])
        job.drain()
        job.stop(drain=True)

    assert run(job, "reconcile")["problems"] == []
    (row,) = run(job, "query", "SELECT count(*) AS n, count(key) AS keys FROM note")
    assert (row["n"], row["keys"]) == (3, 1)
    (row,) = run(job, "query", 'SELECT count(*) AS n, sum(total) AS total FROM "order"')
    assert (row["n"], float(row["total"])) == (4, 53.0)
    assert documents(stack, "told-note") == ["told-in/0/0", "told-in/0/1", "told-in/0/2"]
    assert documents(stack, "told-order") == ["a%2Fb%25/0", "a%2Fb%25/1", "a%2Fb%25/2"]
    rejects = run(job, "dead-letters", "list")
    assert sorted((each["reason"], each["count"]) for each in rejects) == [
        ("unknown_event_type", 2), ("unknown_field", 1),
    ]  # fmt: skip


def order(number: int, total: int = 0) -> dict[str, Any]:
    return {"at": AT, "shop": "a/b%", "number": number, "total": total}


def documents(stack: Stack, index: str) -> list[str]:
    """Return the ids of an index; the newest order 1 has the total of its last version."""
    url = f"{stack.environment()['OPENSEARCH_URL']}/{index}"
    urllib.request.urlopen(f"{url}/_refresh", b"", timeout=30).close()
    with urllib.request.urlopen(f"{url}/_search?size=99", timeout=30) as response:
        hits = json.load(response)["hits"]["hits"]
    totals = {hit["_id"]: hit["_source"].get("total") for hit in hits}
    assert totals.get("a%2Fb%25/1", 50) == 50
    return sorted(totals)


def send(job: Harness, events: list[tuple[bytes | None, dict[str, Any]]]) -> None:
    """Send to one partition, so that what is sent later arrives later."""
    producer = Producer({"bootstrap.servers": job.servers})
    for kind, event in events:
        headers: dict[str, str | bytes | None] = {"kind": kind} if kind is not None else {}
        producer.produce("told-in", json.dumps(event).encode(), headers=headers, partition=0)
        job.produced += 1
    assert producer.flush(30) == 0
