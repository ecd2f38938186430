"""Dead letters as the job leaves them in each back end, on real servers."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from typer.testing import CliRunner, Result

from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.positions import Position
from dev.servers import kinesis, s3
from pipeline.cli import app
from pipeline.decode.timestamps import EPOCH, MILLISECOND, text
from pipeline.ops.systems import Systems, systems

BackEnd = Literal["s3", "kafka", "kinesis"]
BUCKET = "dead"
ARRIVED = datetime(2026, 3, 1, 5, 30, tzinfo=UTC)
PARTITIONS = 3
HEAD_BYTES = 1_000
_NUMBERS = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One dead letter to be written, its bytes whole."""

    raw: bytes | None
    position: Position
    key: bytes | None = None
    step: str = "decode"
    reason: str = "wrong_type"
    detail: str = "fare_amount: text, a number is allowed"
    event_type: str = "trip"
    arrived: datetime = ARRIVED
    is_large: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw or b"").hexdigest()


class Found(NamedTuple):
    """A record of the source."""

    raw: bytes | None
    key: bytes | None
    headers: dict[str, str]
    partition: int | None


@dataclass(frozen=True, slots=True)
class Desk:
    """The servers."""

    environment: dict[str, str]
    folder: Path

    @property
    def kafka(self) -> Kafka:
        return Kafka(bootstrap_servers=self.environment["KAFKA_BOOTSTRAP_SERVERS"])

    def case(self, back_end: BackEnd, source: Literal["kafka", "kinesis"] = "kafka") -> Case:
        """An empty source, no dead letters yet, and the configuration of them."""
        case = Case(self, f"case-{next(_NUMBERS)}", back_end, source)
        case.prepare()
        return case


@dataclass(frozen=True, slots=True)
class Case:
    """One configuration, under a name of its own."""

    desk: Desk
    name: str
    back_end: BackEnd
    source: Literal["kafka", "kinesis"]

    @property
    def dead(self) -> str:
        return f"{self.name}-dead"

    @property
    def config_path(self) -> Path:
        return self.desk.folder / f"{self.name}.yaml"

    @property
    def systems(self) -> Systems:
        return systems(self.config_path, self.desk.environment)

    def prepare(self) -> None:
        endpoint = self.desk.environment["KINESIS_ENDPOINT"]
        topics = [NewTopic(self.name, PARTITIONS)] if self.source == "kafka" else []
        topics += [NewTopic(self.dead, 2)] if self.back_end == "kafka" else []
        admin = AdminClient({"bootstrap.servers": self.desk.kafka.bootstrap_servers})
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
        return {
            "kafka": {"bootstrap_servers": self.desk.kafka.bootstrap_servers},
            "kinesis": {
                "endpoint": self.desk.environment["KINESIS_ENDPOINT"],
                "region": s3.REGION,
            },
            "source": {key: [self.name]},
            "archive": {"path": f"s3a://{BUCKET}/{self.name}/archive"},
            "index": {
                "url": self.desk.environment["OPENSEARCH_URL"],
                "prefix": f"{self.name}-",
                "retry_seconds": 1,
            },
            "replicate": {"airport": {"kafka_topic": f"{self.name}-airport"}},
            "dead_letters": letters[self.back_end],
        }

    def position(self, number: int, partition: int = 0) -> Position:
        """A position in the source."""
        if self.source == "kafka":
            return Position(self.name, partition, number)
        shard = f"shardId-00000000000{partition}"
        return Position(stream=self.name, shard=shard, sequence_number=f"4963{number:052d}")

    def run(self, *arguments: str) -> Result:
        """`streaming-etl dead-letters …` of this configuration; a UserError is in `exception`."""
        command = ["dead-letters", *arguments, "--config", str(self.config_path)]
        return CliRunner().invoke(app, command, env=self.desk.environment)

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        """What a command prints with --json."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == exit_code, (result.output, result.exception)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return json.loads(result.stdout)

    def write(self, letters: Sequence[Given]) -> None:
        """Leave dead letters where the job does, and the whole of large ones on S3."""
        for number, one in enumerate(letters):
            if one.is_large:
                self.write_whole(one, number)
        write = {"s3": self._to_s3, "kafka": self._to_kafka, "kinesis": self._to_kinesis}
        write[self.back_end](letters)

    def write_whole(self, one: Given, number: int = 0) -> None:
        """The file that a large record's pointer leads to."""
        self.put(f"{self._folder(one)}/part-{number}.parquet", _parquet([one]))

    def replace_whole(self, one: Given, raw: bytes | None) -> None:
        """Other bytes in place of a large record, or with None no file at all."""
        client = s3_client(self.desk.environment)
        for key in self.keys(self._folder(one)):
            client.delete_object(Bucket=BUCKET, Key=key)
        if raw is not None:
            self.put(f"{self._folder(one)}/part-0.parquet", _parquet([replace(one, raw=raw)]))

    def put(self, key: str, content: bytes) -> None:
        """An object below the case's own prefix."""
        client = s3_client(self.desk.environment)
        client.put_object(Bucket=BUCKET, Key=f"{self.name}/{key}", Body=content)

    def keys(self, prefix: str) -> list[str]:
        """The objects below the case's own prefix."""
        client = s3_client(self.desk.environment)
        found = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.name}/{prefix}")
        return [one["Key"] for one in found.get("Contents", ())]

    def records(self) -> list[Found]:
        """What lies in the source topic, to a reader of committed records."""
        found = []
        for message in kafka_topic.messages(self.desk.kafka, self.name):
            raw: Any = message.value()
            key: Any = message.key()
            found.append(Found(raw, key, kafka_topic.headers(message), message.partition()))
        return found

    def _folder(self, one: Given) -> str:
        return f"large/arrival_date={one.arrived:%Y-%m-%d}/sha256={one.sha256}"

    def _to_s3(self, letters: Sequence[Given]) -> None:
        path = f"letters/arrival_date={ARRIVED:%Y-%m-%d}/part-{next(_NUMBERS)}.parquet"
        self.put(path, _parquet(letters))

    def _to_kafka(self, letters: Sequence[Given]) -> None:
        producer = Producer({"bootstrap.servers": self.desk.kafka.bootstrap_servers})
        for one in letters:
            about = {name: str(value).encode() for name, value in self._about(one).items()}
            # Flink writes a header without a value for what is not known.
            headers: Any = list(({"sha256": None, "full_record": None} | about).items())
            raw, key = self._carried(one)
            producer.produce(self.dead, raw, key, headers=headers)
        assert producer.flush(30) == 0

    def _to_kinesis(self, letters: Sequence[Given]) -> None:
        client = kinesis.client(self.desk.environment["KINESIS_ENDPOINT"])
        entries = []
        for one in letters:
            raw, key = self._carried(one)
            bytes_ = {"raw": raw, "key": key}
            coded = {n: base64.b64encode(v).decode() for n, v in bytes_.items() if v is not None}
            data = json.dumps({**self._about(one), **coded}).encode()
            entries.append({"Data": data, "PartitionKey": "one"})
        for start in range(0, len(entries), 500):
            answer = client.put_records(StreamName=self.dead, Records=entries[start : start + 500])
            assert answer["FailedRecordCount"] == 0

    def _carried(self, one: Given) -> tuple[bytes | None, bytes | None]:
        return ((one.raw or b"")[:HEAD_BYTES], None) if one.is_large else (one.raw, one.key)

    def _about(self, one: Given) -> dict[str, Any]:
        said: dict[str, Any] = {
            name: value for name, value in one.position._asdict().items() if value is not None
        }
        for name in ("step", "reason", "detail", "event_type"):
            said[name] = getattr(one, name)
        said["arrival_time"] = text((one.arrived - EPOCH) // MILLISECOND)
        said |= {"schema_version": 1, "raw_bytes": len(one.raw or b"")}
        if one.is_large:
            folder = f"s3a://{BUCKET}/{self.name}/{self._folder(one)}"
            said |= {"sha256": one.sha256, "full_record": folder}
        return said


def _parquet(letters: Sequence[Given]) -> bytes:
    """Rows of `pipeline.sinks.columns.reject_columns`."""
    rows = [
        {
            "raw": one.raw,
            "key": one.key,
            **{name: getattr(one, name) for name in ("step", "reason", "detail", "event_type")},
            **one.position._asdict(),
            "arrival_time": one.arrived,
            "schema_version": 1,
        }
        for one in letters
    ]
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
        }
    )
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), target)
    return target.getvalue()


def s3_client(environment: dict[str, str]) -> Any:
    """A client of the local S3 server."""
    return boto3.client(
        "s3",
        endpoint_url=environment["S3_ENDPOINT"],
        aws_access_key_id=s3.ACCESS_KEY,
        aws_secret_access_key=s3.SECRET_KEY,
        region_name=s3.REGION,
    )


def many(case: Case, number: int) -> list[Given]:
    """So many dead letters of decode, spread over partitions and hours."""
    return [
        Given(
            raw=b'{"type":"trip","trip_id":%d,"fare_amount":"1"}' % one,
            position=case.position(one, one % PARTITIONS),
            key=str(one).encode(),
            arrived=ARRIVED + timedelta(hours=one % 5),
        )
        for one in range(number)
    ]
