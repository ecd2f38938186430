"""A run without Flink: source, archive, lake, index, replicas and dead letters as a faultless job
leaves them. Whoever damages it finds the damage named."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk
from rich.console import Console

from connectors.checksums import digest
from connectors.kinesis import reader as kinesis_stream
from connectors.positions import Position
from dev.demo.generate import Recipe, generate
from dev.demo.made import CONTROL, EVENT, Made
from dev.servers import kinesis
from pipeline.config.model import Config
from pipeline.events import event_types
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.options import Options
from pipeline.ops.reconcile.report import Report
from pipeline.ops.reconcile.run import reconcile
from pipeline.ops.reconcile.workspace import Workspace
from pipeline.ops.systems import Systems, systems
from pipeline.options import ROOT
from pipeline.progress import Steps
from tests.ops.reconcile import sinks as local
from tests.ops.reconcile.sinks import (
    ARRIVAL,
    PARTITIONS,
    TYPES,
    Document,
    Headers,
    Record,
    Sinks,
)

MADE = list(
    generate(Recipe(events=150, seed=5, defective=0.3, corrected=0.05, stale=0.05, watermarks=5))
)
ARRIVAL_TEXT = "2018-03-01T05:30:00.000Z"
_NAMES = count()
Damage = dict[tuple[str, str], Document | None]
_TIMES = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
"""The times are ours, and old: Kafka would delete what is older than a week."""
_LARGEST = 2 * 1024 * 1024
_LARGE = 500_000
_AT_A_TIME = 100


@dataclass(frozen=True, slots=True)
class World:
    """The servers."""

    environment: dict[str, str]

    @property
    def brokers(self) -> str:
        """Kafka's address."""
        return self.environment["KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def kinesis(self) -> dict[str, str]:
        """The section kinesis."""
        return {"endpoint": self.environment["KINESIS_ENDPOINT"], "region": "us-east-1"}

    def topic(self, partitions: int = PARTITIONS, name: str = "") -> str:
        """A new topic, which keeps the times it is given."""
        name = name or f"reconcile-{next(_NAMES)}"
        settings = {"max.message.bytes": str(_LARGEST), **_TIMES}
        admin = AdminClient({"bootstrap.servers": self.brokers})
        made = admin.create_topics([NewTopic(name, partitions, 1, config=settings)])
        made[name].result()
        return name

    def stream(self, shards: int = 2) -> str:
        """A new stream."""
        name = f"reconcile-{next(_NAMES)}"
        kinesis.create_stream(name, endpoint=self.environment["KINESIS_ENDPOINT"], shards=shards)
        return name

    def send(self, topic: str, messages: Iterable[dict[str, Any]]) -> None:
        """Sends these, and waits; without idempotence a retry could change their order."""
        options = {"enable.idempotence": True, "message.max.bytes": _LARGEST, "log_level": 3}
        producer = Producer({"bootstrap.servers": self.brokers, **options})
        for message in messages:
            producer.produce(topic, **message)
        assert producer.flush(30) == 0

    def put(self, stream: str, raws: Iterable[bytes]) -> list[Position]:
        """Sends these to a stream: where they lie."""
        client = kinesis.client(self.environment["KINESIS_ENDPOINT"])
        entries = [{"Data": raw, "PartitionKey": str(n)} for n, raw in enumerate(raws)]
        found = []
        for start in range(0, len(entries), _AT_A_TIME):
            part = entries[start : start + _AT_A_TIME]
            answer = client.put_records(StreamName=stream, Records=part)
            assert answer["FailedRecordCount"] == 0
            found += [
                Position(stream=stream, shard=r["ShardId"], sequence_number=r["SequenceNumber"])
                for r in answer["Records"]
            ]
        return found


@dataclass(slots=True)
class Plant:
    """One run; its folders may be damaged, its topics and indices are its own."""

    world: World
    root: Path
    config: dict[str, Any]
    sinks: Sinks
    topic: str = ""

    def copy(self, root: Path) -> Plant:
        """The same run with folders of its own."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        sinks = replace(self.sinks, root=root)
        config = copy.deepcopy(self.config)
        config["archive"] = {"path": f"file://{sinks.archive}"}
        config["lake"] = {"path": f"file://{sinks.lake}"}
        return Plant(self.world, root, config, sinks, self.topic)

    @property
    def records(self) -> list[Record]:
        """All records of the source."""
        return self.sinks.records

    def reconcile(self, *, steps: Steps | None = None, **options: Any) -> Report:
        """Reconcile a stopped job, without waiting for anything."""
        given = {"complete": True, "settle_seconds": 0.0, **options}
        opened = systems(self.written(), self.world.environment)
        return reconcile(opened, Options(**given), steps or Steps(Console()))

    def written(self) -> Path:
        """The configuration as a file."""
        path = self.root / "config.yaml"
        path.write_text(yaml.safe_dump(self.config))
        return path

    def of(self, what: Callable[[Record], bool]) -> list[Record]:
        """Those records."""
        return [record for record in self.records if what(record)]

    def lake_files(self) -> list[Path]:
        """The lake's files, in order."""
        return sorted(path for path in self.sinks.lake.rglob("*") if path.is_file())

    def commit(self, offsets: dict[int, int], group: str = "streaming-etl") -> None:
        """Commits these offsets, as the job does at a checkpoint."""
        consumer = Consumer({"bootstrap.servers": self.world.brokers, "group.id": group})
        asked = [TopicPartition(self.topic, p, offset) for p, offset in offsets.items()]
        consumer.commit(offsets=asked, asynchronous=False)
        consumer.close()


def workspace(database: Database, **options: Any) -> Workspace:
    """A workspace for the schemas of the project, without any system."""
    config = msgspec.convert({"source": {}}, Config)
    systems = Systems(config, event_types.load(ROOT / "schemas"), {})
    return Workspace(systems, Options(**options), Steps(Console(quiet=True)), database)


def is_event(record: Record) -> bool:
    return record.made.expect == EVENT


def is_reject(record: Record) -> bool:
    return record.made.expect not in (EVENT, CONTROL)


def place(record: Record) -> str:
    """A position as the report names it."""
    where = record.position
    if where.topic is None:
        return f"{where.stream}/{where.shard}@{where.sequence_number}"
    return f"{where.topic}/{where.partition}@{where.offset}"


def places(records: Iterable[Record]) -> set[str]:
    """Positions as the report names them."""
    return {place(record) for record in records}


def found(report: Report) -> dict[tuple[str, str], set[str]]:
    """All errors: the names by step and kind, ranges taken apart."""
    errors: dict[tuple[str, str], set[str]] = {}
    for row in report.rows:
        for finding in row.findings:
            if finding.is_error:
                names = {part for name in finding.names() for part in apart(name)}
                errors.setdefault((finding.step, finding.kind), set()).update(names)
    return errors


def apart(name: str) -> list[str]:
    """trips/0@5..7 as three names."""
    where, dots, last = name.rpartition("..")
    if not dots:
        return [name]
    head, _, first = where.rpartition("@")
    return [f"{head}@{offset}" for offset in range(int(first), int(last) + 1)]


def on_topic(
    world: World, root: Path, made: list[Made] = MADE, *, events_a_file: int = 200
) -> Plant:
    """A run on a Kafka topic: archive and lake as files, dead letters in a topic."""
    topic, dead = world.topic(), world.topic(partitions=1)
    records = sent(world, topic, made)
    plant = _plant(world, root, records, {"kafka_topics": [topic]}, events_a_file)
    plant.topic = topic
    plant.config["dead_letters"] = {"kafka_topic": dead}
    send_letters(world, dead, plant.of(is_reject))
    return plant


def on_both(world: World, root: Path) -> Plant:
    """Every second record on a topic, the others on a stream of the same name."""
    name, dead = world.stream(), world.topic(partitions=1)
    records = sent(world, world.topic(name=name), MADE[::2]) + stored(world, name, MADE[1::2])
    plant = _plant(world, root, records, {"kafka_topics": [name], "kinesis_streams": [name]})
    plant.topic = name
    _archive_by_arrival(world, plant, name)
    plant.config["kinesis"] = world.kinesis
    plant.config["dead_letters"] = {"kafka_topic": dead}
    send_letters(world, dead, plant.of(is_reject))
    return plant


def sent(world: World, topic: str, made: list[Made]) -> list[Record]:
    """The records in a topic."""
    ends = [0] * PARTITIONS
    records = []
    for one in made:
        partition = digest(one.key) % PARTITIONS
        records.append(Record(one, Position(topic, partition, ends[partition])))
        ends[partition] += 1
    world.send(topic, map(message, records))
    return records


def stored(world: World, stream: str, made: list[Made]) -> list[Record]:
    """The records in a stream, which has no null; of the large ones only one, since it is slow."""
    large = [one for one in made if len(one.raw or b"") > _LARGE]
    made = [
        msgspec.structs.replace(one, raw=one.raw or b"") for one in made if one not in large[1:]
    ]
    positions = world.put(stream, [one.raw or b"" for one in made])
    return [Record(one, where) for one, where in zip(made, positions, strict=True)]


def on_stream(world: World, root: Path, made: list[Made] = MADE) -> Plant:
    """A run on a Kinesis stream: archive and lake as files, dead letters in a stream."""
    stream, dead = world.stream(), world.stream(shards=1)
    records = stored(world, stream, made)
    plant = _plant(world, root, records, {"kinesis_streams": [stream]})
    large = root / "large"
    _archive_by_arrival(world, plant, stream)
    plant.config["kinesis"] = world.kinesis
    plant.config["dead_letters"] = {"kinesis_stream": dead, "large_path": f"file://{large}"}
    world.put(dead, [envelope(record, large) for record in plant.of(is_reject)])
    return plant


def _archive_by_arrival(world: World, plant: Plant, stream: str) -> None:
    """The archive anew: a stream stamps the arrival itself."""
    shutil.rmtree(plant.sinks.archive)
    client = kinesis.client(world.environment["KINESIS_ENDPOINT"])
    arrived = {
        (record.shard, record.sequence_number): record.arrival_ms
        for record in kinesis_stream.records(client, stream)
    }
    groups: dict[str, list[tuple[Record, int]]] = {}
    for record in plant.records:
        where = record.position
        known = (where.shard or "", where.sequence_number or "")
        millis = arrived.get(known, round(ARRIVAL.timestamp() * 1000))
        moment = datetime.fromtimestamp(millis / 1000, UTC)
        part = where.shard or where.partition
        name = f"arrival_date={moment:%Y-%m-%d}/arrival_hour={moment:%H}/part-{part}"
        groups.setdefault(name, []).append((record, millis))
    for name, found in groups.items():
        path = plant.sinks.archive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table = local.archive_table([record for record, _ in found])
        column = pa.array([millis for _, millis in found]).cast(local.TIME)
        at = table.column_names.index("arrival_time")
        pq.write_table(table.set_column(at, "arrival_time", column), path)


def _plant(
    world: World,
    root: Path,
    records: list[Record],
    source: dict[str, Any],
    events_a_file: int = 200,
) -> Plant:
    sinks = local.write(records, root, events_a_file=events_a_file)
    config = {
        "kafka": {"bootstrap_servers": world.brokers},
        "source": source,
        "archive": {"path": f"file://{sinks.archive}"},
        "lake": {"path": f"file://{sinks.lake}"},
    }
    return Plant(world, root, config, sinks)


def message(record: Record) -> dict[str, Any]:
    """A record as it was sent to its source."""
    return {
        "value": record.made.raw,
        "key": record.made.key,
        "partition": record.position.partition,
        "timestamp": round(ARRIVAL.timestamp() * 1000),
    }


def said(record: Record) -> dict[str, str]:
    """What is said of a record's position."""
    known = {name: str(v) for name, v in record.position._asdict().items() if v is not None}
    return {**known, "arrival_time": ARRIVAL_TEXT}


def send_letters(world: World, topic: str, records: list[Record], **other: str) -> None:
    """Dead letters of step decode, unless `other` says another step."""
    messages = (
        {
            "value": record.made.raw,
            "key": record.made.key,
            "headers": {"step": "decode", "reason": record.made.expect, **said(record), **other},
        }
        for record in records
    )
    world.send(topic, messages)


def envelope(record: Record, large: Path, headers: Headers | None = None) -> bytes:
    """A record as a stream carries it for another; of a large one all but the head lies apart."""
    raw, pointer = cut(record, large, headers)
    about = {"step": "decode", "reason": record.made.expect, **said(record), **pointer}
    lists: dict[str, Any] = {}
    if headers and not pointer:
        lists["header_names"] = [name for name, _ in headers]
        lists["header_values"] = [
            None if value is None else base64.b64encode(value).decode() for _, value in headers
        ]
    if record.made.raw is not None:
        lists["raw"] = base64.b64encode(raw).decode()
    return json.dumps({**about, **lists}).encode()


def cut(
    record: Record, large: Path, headers: Headers | None = None
) -> tuple[bytes, dict[str, str]]:
    """The bytes of a record as a topic or stream has them, and its pointer if that is its head."""
    raw = record.made.raw or b""
    if len(raw) <= _LARGE:
        return raw, {}
    sha256 = hashlib.sha256(raw).hexdigest()
    folder = large / "arrival_date=2018-03-01" / f"sha256={sha256}"
    folder.mkdir(parents=True, exist_ok=True)
    table = local.archive_table([record], [headers] if headers else [])
    pq.write_table(table, folder / f"part-{record.position.offset or 0}.parquet")
    pointer = {"raw_bytes": str(len(raw)), "sha256": sha256, "full_record": f"file://{folder}"}
    return raw[:1000], pointer


def fill_index(plant: Plant, prefix: str, damage: Damage | None = None) -> OpenSearch:
    """The documents of a faultless run, or others than that by type and id, None for none there."""
    url = plant.world.environment["OPENSEARCH_URL"]
    plant.config["index"] = {"url": url, "prefix": prefix}
    documents = {
        (kind, one.id): one for kind in TYPES for one in plant.sinks.documents[kind].values()
    }
    documents |= damage or {}  # type: ignore[arg-type]
    client = OpenSearch(url, timeout=60)
    actions = [
        put(f"{prefix}{kind}", one.id, one.version, dict(one.source))
        for (kind, _), one in documents.items()
        if one is not None
    ]
    bulk(client, actions, refresh=True)
    return client


def put(index: str, document_id: str, version: int, source: dict[str, Any]) -> dict[str, Any]:
    """A bulk action."""
    return {
        "_index": index,
        "_id": document_id,
        "version": version,
        "version_type": "external_gte",
        "_source": source,
    }
