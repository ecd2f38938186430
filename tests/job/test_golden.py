"""The schemas' examples through the whole job, two topics at once; every output equals its golden.

When an output changes on purpose, look at the new one in build/golden/ and copy it over.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from connectors.block import Headers
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.opensearch import client as opensearch
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from pipeline.cli import app
from tests.documents import read_index
from tests.job.harness import Harness
from tests.sending import varied

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden"
TOPICS = ("trips", "more")
ADDED = {"source.topic", "source.partition", "source.offset", "source.arrival_time"}
"""The headers that a replay adds, in place of those that the record had."""


@pytest.fixture(scope="module")
def finished(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with Harness(
        stack=stack,
        name="golden",
        folder=tmp_path_factory.mktemp("golden"),
        overrides={
            "dead_letters": {"path": "s3a://golden/dead-letters"},
            "lake": {"success_file": True},
        },
        topics=TOPICS,
        partitions=1,
    ) as harness:
        send(harness)
        harness.start(by_command=True)
        harness.drain()
        harness.stop(drain=True)
        yield harness


def test_lake(finished: Harness) -> None:
    assert_golden("lake", map(without_clock, rows(finished, "lake")))


def test_dead_letters(finished: Harness) -> None:
    found = list(rows(finished, "dead-letters"))
    assert_golden("dead_letters", map(without_clock, found))
    sent = {place: varied(number) for number, (place, _) in enumerate(numbered(finished.name))}
    assert [own_headers(row) for row in found] == [
        sent[row["topic"], row["offset"]] for row in found
    ]


def test_archive_holds_the_very_bytes(finished: Harness) -> None:
    found = {(row["topic"], row["offset"]): row for row in rows(finished, "archive")}
    sent = dict(numbered(finished.name))
    assert {position: row["raw"] for position, row in found.items()} == sent
    assert {row["key"] for row in found.values()} == {b"key"}
    assert {position: own_headers(row) for position, row in found.items()} == {
        position: varied(number) for number, position in enumerate(sent)
    }


def test_a_replay_of_the_archive_sends_every_header(finished: Harness) -> None:
    topic, options = "golden-replayed", finished.stack.environment()
    create_topics(finished.servers, source=topic, dead_letters=None, partitions=1)
    command = ["replay", "--archive", "s3a://golden/archive", "--topic", topic, "--rate", "1000"]
    result = CliRunner().invoke(app, command, env=options)
    assert result.exit_code == 0, (result.output, result.exception)
    replayed: dict[tuple[str, int], Headers] = {}
    for message in kafka_topic.messages(Kafka(bootstrap_servers=finished.servers), topic):
        pairs: Any = message.headers()
        position, own = dict(pairs[-4:]), pairs[:-4]
        assert {name for name, _ in pairs[-4:]} == ADDED
        where = position["source.topic"].decode(), int(position["source.offset"])
        replayed[where] = tuple(own)
    archived = {
        (row["topic"], row["offset"]): own_headers(row) for row in rows(finished, "archive")
    }
    assert replayed == {
        position: tuple(pair for pair in headers if pair[0] not in ADDED)
        for position, headers in archived.items()
    }


def test_documents(finished: Harness) -> None:
    index = finished.submitted.config.index
    assert index is not None
    client = opensearch.client(index)
    found = [
        {"index": name, "id": identifier, "version": version, "document": document}
        for name in ("fhv_trip", "green_trip", "trip")
        for identifier, version, document in read_index(client, f"golden-{name}")
    ]
    assert_golden("documents", found)


def test_a_partition_says_that_it_was_committed(finished: Harness) -> None:
    paths = [Path(stored.path) for stored in finished.store("lake").everything()]
    partitions = {path.parent for path in paths if path.name.startswith("part-")}
    assert partitions and {folder / "_SUCCESS" for folder in partitions} <= set(paths)


def examples() -> Iterator[tuple[str, bytes | None]]:
    """Each file's examples go to one topic, so that equal versions of one id arrive in order."""
    paths = sorted((ROOT / "schemas").glob("*.examples.ndjson"))
    for topic, path in zip(itertools.cycle(TOPICS), paths, strict=False):
        for line in path.read_text().splitlines():
            example = json.loads(line)
            if "raw_base64" in example:
                yield topic, base64.b64decode(example["raw_base64"])
            elif "raw" in example:
                yield topic, example["raw"].encode()
            else:
                yield topic, json.dumps(example["event"], separators=(",", ":")).encode()
    yield TOPICS[0], None


def numbered(name: str) -> Iterator[tuple[tuple[str, int], bytes | None]]:
    offsets = {topic: itertools.count() for topic in TOPICS}
    for topic, raw in examples():
        yield (f"{name}-{topic}", next(offsets[topic])), raw


def send(harness: Harness) -> None:
    producer = Producer(
        {
            "bootstrap.servers": harness.servers,
            "acks": "all",
            "max.in.flight": 1,
            "message.max.bytes": 1_048_588,
        }
    )
    for number, ((topic, _), raw) in enumerate(numbered(harness.name)):
        headers: Any = list(varied(number))
        producer.produce(topic, value=raw, key=b"key", headers=headers)
    assert producer.flush(60) == 0


def own_headers(row: dict[str, Any]) -> Headers:
    """A record without headers has none of the two lists."""
    return tuple(zip(row["header_names"] or (), row["header_values"] or (), strict=True))


def rows(harness: Harness, folder: str) -> Iterator[dict[str, Any]]:
    store = harness.store(folder)
    for stored in store.listing():
        place, _, _ = stored.path.rpartition("/")
        for row in pq.ParquetFile(io.BytesIO(store.read(stored.path))).read().to_pylist():
            yield {"place": place, **row}


def without_clock(row: dict[str, Any]) -> dict[str, Any]:
    place = row["place"].partition("arrival_date=")[0]
    return {key: value for key, value in row.items() if key != "arrival_time"} | {"place": place}


def assert_golden(name: str, found: Iterable[dict[str, Any]]) -> None:
    text = "".join(sorted(json.dumps(row, sort_keys=True, default=as_text) + "\n" for row in found))
    golden = GOLDEN / f"{name}.ndjson"
    actual = ROOT / "build" / "golden" / golden.name
    actual.parent.mkdir(parents=True, exist_ok=True)
    actual.write_text(text)
    assert golden.exists() and text == golden.read_text(), f"{actual} differs from {golden}"


def as_text(value: Any) -> str:
    """Bytes as text, and times, which are all UTC, without a zone."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    assert value.tzinfo is not None and not value.utcoffset()
    return str(value.replace(tzinfo=None).isoformat())
