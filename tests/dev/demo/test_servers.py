"""Producing and reading back, against a real Kafka, a real S3 server and a real OpenSearch."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk

from connectors import checksums as content
from connectors.errors import UserError
from connectors.kafka.options import Kafka
from connectors.positions import Position
from connectors.s3.store import open_store, s3_client
from dev.demo import read_dead_letters, read_index
from dev.demo.generate import Recipe, generate
from dev.demo.ledger import Ledger
from dev.demo.made import EVENT, Made
from dev.demo.produce import create_topics, produce
from dev.demo.read_archive import read_archive
from dev.demo.read_dead_letters import DeadLetter
from dev.demo.read_lake import read_lake
from dev.demo.verify import verify
from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack
from tests.dev.demo import sinks as local
from tests.dev.demo.sinks import PARTITIONS, TOPIC, TYPES, Record, Sinks

ROOT = Path(__file__).parents[3]
DEAD = "dead-letters"
BUCKET = "lake"
MADE = list(generate(Recipe(events=300, seed=5, defective=0.1, corrected=0.05, stale=0.05)))


@dataclass(frozen=True, slots=True)
class Servers:
    kafka: str
    s3: dict[str, str]


@contextmanager
def running(folder: Path, *names: str) -> Iterator[dict[str, str]]:
    """These servers on free ports: their addresses by the names of environment variables."""
    made = Stack(ROOT, run_dir=folder, free_ports=True, servers=names)
    with made.running(print, wipe=True) as stack:
        yield stack.environment()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("run"), "kafka", "s3") as found:
        yield Servers(found["KAFKA_BOOTSTRAP_SERVERS"], found)


@pytest.fixture(scope="module")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    with running(tmp_path_factory.mktemp("index"), "opensearch") as found:
        with OpenSearch(found["OPENSEARCH_URL"], timeout=60) as client:
            yield client


@pytest.fixture(scope="module")
def ledger(servers: Servers) -> Ledger:
    create_topics(servers.kafka, source=TOPIC, dead_letters=DEAD, partitions=PARTITIONS)
    return produce(MADE, servers=servers.kafka, topic=TOPIC)


@pytest.fixture(scope="module")
def sinks(ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Sinks:
    places = zip(ledger.numbers("partition"), ledger.numbers("offset"), strict=True)
    records = [
        Record(one, Position(TOPIC, int(partition), int(offset)))
        for one, (partition, offset) in zip(MADE, places, strict=True)
    ]
    return local.write(records, ledger, tmp_path_factory.mktemp("sinks"))


def committed(servers: Servers, topic: str) -> dict[tuple[int, int], bytes | None]:
    consumer = Consumer({"bootstrap.servers": servers.kafka, "group.id": "test"})
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    found: dict[tuple[int, int], bytes | None] = {}
    deadline = time.monotonic() + 30
    while len(found) < len(MADE) and time.monotonic() < deadline:
        for message in consumer.consume(1_000, timeout=1.0):
            place: Any = (message.partition(), message.offset())
            value: Any = message.value()
            found[place] = value
    consumer.close()
    return found


def test_the_ledger_names_the_position_of_every_record(servers: Servers, ledger: Ledger) -> None:
    assert len(ledger) == len(MADE)
    found = committed(servers, TOPIC)
    assert len(found) == len(MADE)
    places = zip(ledger.numbers("partition"), ledger.numbers("offset"), strict=True)
    for one, (partition, offset) in zip(MADE, places, strict=True):
        assert found[int(partition), int(offset)] == one.raw


def test_topics_are_made_once_and_stamp_the_arrival(servers: Servers, ledger: Ledger) -> None:
    create_topics(servers.kafka, source=TOPIC, dead_letters=DEAD, partitions=PARTITIONS)
    admin = AdminClient({"bootstrap.servers": servers.kafka})
    settings = {
        name: admin.describe_configs([resource])[resource].result()
        for name in (TOPIC, DEAD)
        for resource in [ConfigResource(ConfigResource.Type.TOPIC, name)]
    }
    assert settings[TOPIC]["message.timestamp.type"].value == "LogAppendTime"
    assert int(settings[DEAD]["max.message.bytes"].value) == 2 * 1024 * 1024


def test_the_rate_is_kept_and_progress_is_told(servers: Servers) -> None:
    create_topics(servers.kafka, source="slow", dead_letters=None, partitions=1)
    told: list[int] = []
    started = time.monotonic()
    produce(MADE, servers=servers.kafka, topic="slow", rate=400, progress=told.append)
    assert time.monotonic() - started >= (len(MADE) - 1) / 400
    assert told[-1] == len(MADE)


def test_a_record_that_kafka_cannot_take_is_named(servers: Servers) -> None:
    huge = Made(random.Random(1).randbytes(3_000_000), None, EVENT)  # not to be compressed
    with pytest.raises(UserError, match=f"cannot produce to the topic slow on {servers.kafka}"):
        produce([huge], servers=servers.kafka, topic="slow")


def test_only_committed_dead_letters_count(servers: Servers, sinks: Sinks) -> None:
    producer = Producer(
        {
            "bootstrap.servers": servers.kafka,
            "transactional.id": "test",
            "message.max.bytes": 2 * 1024 * 1024,
        }
    )
    producer.init_transactions()
    for commit in (False, True):
        producer.begin_transaction()
        for record in defective(sinks):
            producer.produce(DEAD, record.made.raw, record.made.key, headers=headers(record))
        producer.flush(30)
        producer.commit_transaction() if commit else producer.abort_transaction()
    found = list(read_dead_letters.from_kafka(cluster(servers), DEAD, open_store))
    assert len(found) == len(sinks.letters)
    assert set(found) == set(sinks.letters)


def test_an_absent_dead_letter_topic_is_named(servers: Servers) -> None:
    with pytest.raises(UserError, match="the topic nowhere"):
        list(read_dead_letters.from_kafka(cluster(servers), "nowhere", open_store))


def test_files_read_back_from_s3_are_found_right(
    servers: Servers, ledger: Ledger, sinks: Sinks
) -> None:
    upload(servers.s3, sinks)
    archive = open_store(f"s3a://{BUCKET}/demo/archive", servers.s3)
    lake = open_store(f"s3a://{BUCKET}/demo/lake", servers.s3)
    dead = open_store(f"s3a://{BUCKET}/demo/dead", servers.s3)
    verdict = verify(
        ledger,
        event_types=TYPES,
        archive=read_archive(archive, ledger),
        lake=read_lake(lake, ledger, TYPES),
        dead_letters=read_dead_letters.collect(read_dead_letters.from_parquet(dead), ledger),
        exactly_once_dead_letters=True,
    )
    assert verdict.problems() == []
    assert verdict.as_dict()["lake_rows"] == sum(one.expect == EVENT for one in MADE)
    assert verdict.as_dict()["archive_records"] == len(MADE)


def test_documents_read_back_from_opensearch_are_found_right(
    opensearch: OpenSearch, ledger: Ledger, sinks: Sinks
) -> None:
    fill_index(opensearch, sinks)
    found = [read_index.from_opensearch(opensearch, f"demo-{name}", name) for name in TYPES]
    verdict = verify(ledger, event_types=TYPES, index=found)
    assert verdict.problems() == []
    assert verdict.as_dict()["index_docs"] == {n: len(sinks.documents[n]) for n in TYPES}


def test_an_index_that_is_not_there_has_no_documents(opensearch: OpenSearch) -> None:
    assert len(read_index.from_opensearch(opensearch, "nowhere", "trip").ids) == 0


def defective(sinks: Sinks) -> list[Record]:
    places = {letter.position for letter in sinks.letters}
    return [record for record in sinks.records if record.position in places]


def cluster(servers: Servers) -> Kafka:
    return Kafka(bootstrap_servers=servers.kafka)


def headers(record: Record) -> dict[str, str | bytes | None]:
    return {
        "step": "decode",
        "reason": record.made.expect,
        "topic": TOPIC,
        "partition": str(record.position.partition),
        "offset": str(record.position.offset),
    }


def upload(environment: dict[str, str], sinks: Sinks) -> None:
    create_bucket(BUCKET, endpoint=environment["S3_ENDPOINT"])
    dead = sinks.root / "dead/arrival_date=2018-03-01/part-0.parquet"
    dead.parent.mkdir(parents=True)
    pq.write_table(letters_table(sinks.letters, defective(sinks)), dead)
    client = s3_client(environment)
    for path in sinks.root.rglob("*.parquet"):
        client.upload_file(str(path), BUCKET, f"demo/{path.relative_to(sinks.root)}")
    client.put_object(Bucket=BUCKET, Key="demo/lake/trip/_SUCCESS", Body=b"")


def letters_table(letters: list[DeadLetter], records: list[Record]) -> pa.Table:
    archived = local.archive_table(records)
    assert [content.digest(raw) for raw in archived["raw"].to_pylist()] == [
        letter.digest for letter in letters
    ]
    return archived.append_column("step", pa.array([one.step for one in letters])).append_column(
        "reason", pa.array([one.reason for one in letters])
    )


def fill_index(client: OpenSearch, sinks: Sinks) -> None:
    actions = [
        {
            "_index": f"demo-{name}",
            "_id": one.id,
            "version": one.version,
            "version_type": "external_gte",
            "_source": one.source,
        }
        for name in TYPES
        for one in sinks.documents[name].values()
    ]
    bulk(client, actions)
