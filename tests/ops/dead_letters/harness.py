"""Writes dead letters as the job does, to each back end, on real servers."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from typer.testing import CliRunner, Result

from connectors.block import Headers
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.positions import Position
from connectors.s3.client import s3_client
from dev.servers import kinesis, s3
from pipeline.cli import app
from pipeline.decode.timestamps import EPOCH, MILLISECOND, text
from pipeline.ops.systems import Systems, systems

BackEnd = Literal["s3", "kafka", "kinesis"]
BUCKET = "dead"
ARRIVED = datetime(2026, 3, 1, 5, 30, tzinfo=UTC)
PARTITIONS = 3
HEAD_BYTES = 1_000
REDRIVE_KEY = "of the tests, no secret, but long enough"
_NUMBERS = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadRecord:
    """A dead letter to write, with all bytes of its record."""

    raw: bytes | None
    position: Position
    key: bytes | None = None
    step: str = "decode"
    reason: str = "wrong_type"
    detail: str = "fare_amount: text, a number is allowed"
    event_type: str = "trip"
    arrived: datetime = ARRIVED
    is_large: bool = False
    headers: Headers = ()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw or b"").hexdigest()


class SourceRecord(NamedTuple):
    """A record in the source topic."""

    raw: bytes | None
    key: bytes | None
    headers: dict[str, str]
    partition: int | None
    pairs: Headers


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers' addresses, and a folder for configurations."""

    environment: dict[str, str]
    folder: Path

    @property
    def kafka(self) -> Kafka:
        return Kafka(bootstrap_servers=self.environment["KAFKA_BOOTSTRAP_SERVERS"])

    def case(self, back_end: BackEnd, source: Literal["kafka", "kinesis"] = "kafka") -> Case:
        """Return a case with an empty source and no dead letters."""
        case = Case(self, f"case-{next(_NUMBERS)}", back_end, source)
        case.prepare()
        return case


@dataclass(frozen=True, slots=True)
class Case:
    """A configuration with a source and a back end of its own."""

    servers: Servers
    name: str
    back_end: BackEnd
    source: Literal["kafka", "kinesis"]

    @property
    def dead(self) -> str:
        return f"{self.name}-dead"

    @property
    def config_path(self) -> Path:
        return self.servers.folder / f"{self.name}.yaml"

    @property
    def systems(self) -> Systems:
        return systems(self.config_path, self.servers.environment)

    def prepare(self) -> None:
        endpoint = self.servers.environment["KINESIS_ENDPOINT"]
        topics = [NewTopic(self.name, PARTITIONS)] if self.source == "kafka" else []
        topics += [NewTopic(self.dead, 2)] if self.back_end == "kafka" else []
        admin = AdminClient({"bootstrap.servers": self.servers.kafka.bootstrap_servers})
        for future in admin.create_topics(topics).values() if topics else ():
            future.result()
        if self.source == "kinesis":
            kinesis.create_stream(self.name, endpoint=endpoint, shards=2)
        if self.back_end == "kinesis":
            kinesis.create_stream(self.dead, endpoint=endpoint)
        self.configure(self.config())

    def configure(self, config: dict[str, Any]) -> None:
        """Use another configuration from now on."""
        self.config_path.write_text(yaml.safe_dump(config))

    def config(self) -> dict[str, Any]:
        key = "kafka_topics" if self.source == "kafka" else "kinesis_streams"
        large = {"large_path": f"s3a://{BUCKET}/{self.name}/large"}
        letters = {
            "s3": {"path": f"s3a://{BUCKET}/{self.name}/letters"},
            "kafka": {"kafka_topic": self.dead, **large},
            "kinesis": {"kinesis_stream": self.dead, **large},
        }
        signed = {"redrive_key": REDRIVE_KEY} if self.source == "kafka" else {}
        return {
            "kafka": {"bootstrap_servers": self.servers.kafka.bootstrap_servers},
            "kinesis": {
                "endpoint": self.servers.environment["KINESIS_ENDPOINT"],
                "region": s3.REGION,
            },
            "source": {key: [self.name]},
            "archive": {"path": f"s3a://{BUCKET}/{self.name}/archive"},
            "index": {
                "url": self.servers.environment["OPENSEARCH_URL"],
                "prefix": f"{self.name}-",
                "retry_seconds": 1,
            },
            "replicate": {"airport": {"kafka_topic": f"{self.name}-airport"}},
            "dead_letters": letters[self.back_end] | signed,
        }

    def position(self, number: int, partition: int = 0) -> Position:
        """Return a position in the source."""
        if self.source == "kafka":
            return Position(self.name, partition, number)
        shard = f"shardId-00000000000{partition}"
        return Position(stream=self.name, shard=shard, sequence_number=f"4963{number:052d}")

    def run(self, *arguments: str) -> Result:
        """Run `streaming-etl dead-letters …`; a UserError is the result's `exception`."""
        command = ["dead-letters", *arguments, "--config", str(self.config_path)]
        return CliRunner().invoke(app, command, env=self.servers.environment)

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        """Return what a command prints with --json."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == exit_code, (result.output, result.exception)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return json.loads(result.stdout)

    def write(self, letters: Sequence[DeadRecord]) -> None:
        """Write dead letters to the back end, and the whole of large ones to S3."""
        for number, one in enumerate(letters):
            if one.is_large:
                self.write_whole(one, number)
        write = {"s3": self._to_s3, "kafka": self._to_kafka, "kinesis": self._to_kinesis}
        write[self.back_end](letters)

    def write_whole(self, one: DeadRecord, number: int = 0) -> None:
        """Write the file that a large record's pointer refers to."""
        self.put(f"{self._folder(one)}/part-{number}.parquet", _parquet([one]))

    def replace_whole(self, one: DeadRecord, raw: bytes | None) -> None:
        """Replace the bytes of a large record; None deletes its file."""
        client = s3_client(self.servers.environment)
        for key in self.keys(self._folder(one)):
            client.delete_object(Bucket=BUCKET, Key=key)
        if raw is not None:
            self.put(f"{self._folder(one)}/part-0.parquet", _parquet([replace(one, raw=raw)]))

    def put(self, key: str, content: bytes) -> None:
        """Write an object below the case's prefix."""
        client = s3_client(self.servers.environment)
        client.put_object(Bucket=BUCKET, Key=f"{self.name}/{key}", Body=content)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of objects below the case's prefix."""
        client = s3_client(self.servers.environment)
        listing = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.name}/{prefix}")
        return [one["Key"] for one in listing.get("Contents", ())]

    def records(self) -> list[SourceRecord]:
        """Return the committed records of the source topic."""
        records = []
        for message in kafka_topic.messages(self.servers.kafka, self.name):
            raw: Any = message.value()
            key: Any = message.key()
            headers = kafka_topic.headers(message)
            pairs: Any = tuple(message.headers() or ())
            records.append(SourceRecord(raw, key, headers, message.partition(), pairs))
        return records

    def _folder(self, one: DeadRecord) -> str:
        return f"large/arrival_date={one.arrived:%Y-%m-%d}/sha256={one.sha256}"

    def _to_s3(self, letters: Sequence[DeadRecord]) -> None:
        path = f"letters/arrival_date={ARRIVED:%Y-%m-%d}/part-{next(_NUMBERS)}.parquet"
        self.put(path, _parquet(letters))

    def _to_kafka(self, letters: Sequence[DeadRecord]) -> None:
        producer = Producer({"bootstrap.servers": self.servers.kafka.bootstrap_servers})
        for letter in letters:
            about = {name: str(value).encode() for name, value in self._about(letter).items()}
            # Flink writes a header without a value for what is not known.
            ours = ({"sha256": None, "full_record": None} | about).items()
            own = () if letter.is_large else letter.headers
            headers: Any = [*((f"header.{name}", value) for name, value in own), *ours]
            raw, key = self._head_or_record(letter)
            producer.produce(self.dead, raw, key, headers=headers)
        assert producer.flush(30) == 0

    def _to_kinesis(self, letters: Sequence[DeadRecord]) -> None:
        client = kinesis.client(self.servers.environment["KINESIS_ENDPOINT"])
        entries = []
        for one in letters:
            raw, key = self._head_or_record(one)
            bytes_ = {"raw": raw, "key": key}
            coded: dict[str, Any] = {n: in_base64(v) for n, v in bytes_.items() if v is not None}
            if one.headers and not one.is_large:
                coded |= header_columns(one, in_base64)
            data = json.dumps({**self._about(one), **coded}).encode()
            entries.append({"Data": data, "PartitionKey": "one"})
        for start in range(0, len(entries), 500):
            answer = client.put_records(StreamName=self.dead, Records=entries[start : start + 500])
            assert answer["FailedRecordCount"] == 0

    def _head_or_record(self, one: DeadRecord) -> tuple[bytes | None, bytes | None]:
        return ((one.raw or b"")[:HEAD_BYTES], None) if one.is_large else (one.raw, one.key)

    def _about(self, one: DeadRecord) -> dict[str, Any]:
        about: dict[str, Any] = {
            name: value for name, value in one.position._asdict().items() if value is not None
        }
        for name in ("step", "reason", "detail", "event_type"):
            about[name] = getattr(one, name)
        about["arrival_time"] = text((one.arrived - EPOCH) // MILLISECOND)
        about |= {"schema_version": 1, "raw_bytes": len(one.raw or b"")}
        if one.is_large:
            folder = f"s3a://{BUCKET}/{self.name}/{self._folder(one)}"
            about |= {"sha256": one.sha256, "full_record": folder}
        return about


def in_base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def header_columns(one: DeadRecord, code: Callable[[bytes | None], Any]) -> dict[str, Any]:
    """Return the two lists of a record's own headers."""
    names = [name for name, _ in one.headers]
    return {"header_names": names, "header_values": [code(value) for _, value in one.headers]}


def _parquet(letters: Sequence[DeadRecord]) -> bytes:
    """Return a file with the columns of the sink of dead letters.

    Without any headers it is like a file of an earlier revision, which lacks their columns.
    """
    rows = [
        {
            "raw": letter.raw,
            "key": letter.key,
            **{name: getattr(letter, name) for name in ("step", "reason", "detail", "event_type")},
            **letter.position._asdict(),
            "arrival_time": letter.arrived,
            "schema_version": 1,
            **(header_columns(letter, lambda value: value) if letter.headers else {}),
        }
        for letter in letters
    ]
    of_headers = {
        "header_names": pa.list_(pa.string()),
        "header_values": pa.list_(pa.binary()),
    }
    schema = pa.schema(
        {
            **dict.fromkeys(("raw", "key"), pa.binary()),
            **dict.fromkeys(("step", "reason", "detail", "event_type"), pa.string()),
            "topic": pa.string(),
            "partition": pa.int32(),
            "offset": pa.int64(),
            **dict.fromkeys(("stream", "shard", "sequence_number"), pa.string()),
            "arrival_time": pa.timestamp("ms"),  # as Flink 1.20 logged it: no zone, and UTC
            "schema_version": pa.int32(),
            **(of_headers if any(letter.headers for letter in letters) else {}),
        }
    )
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), target)
    return target.getvalue()


def many(case: Case, number: int) -> list[DeadRecord]:
    """Return dead letters of decode, spread over partitions and hours."""
    return [
        DeadRecord(
            raw=b'{"type":"trip","trip_id":%d,"fare_amount":"1"}' % one,
            position=case.position(one, one % PARTITIONS),
            key=str(one).encode(),
            arrived=ARRIVED + timedelta(hours=one % 5),
        )
        for one in range(number)
    ]
