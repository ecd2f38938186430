"""The configuration: one typed, frozen model, the same for YAML files and property groups.

Every key is flat inside its section, so that a section is one property group of Managed Service
for Apache Flink. `conf/reference.yaml` is written from this file (`streaming-etl config
reference`) and a test keeps the two equal.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of keys. A sink whose section is absent is left out of the job."""


def _doc(text: str) -> Meta:
    return Meta(description=text)


Url = Annotated[str, Meta(pattern=r"^https?://[^/\s]+(/.*)?$")]
ObjectPath = Annotated[str, Meta(pattern=r"^(s3a|file)://[^\s'*?]+$")]
Topic = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
Seconds = Annotated[float, Meta(gt=0)]
Positive = Annotated[int, Meta(ge=1)]


class Source(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where raw records come from."""

    kafka_bootstrap_servers: Annotated[str, _doc("Kafka brokers, host:port, comma separated.")]
    kafka_topics: Annotated[tuple[Topic, ...], _doc("Topics to read; one or several.")]
    kafka_group_id: Annotated[
        str, _doc("Consumer group; offsets are committed to it at each completed checkpoint.")
    ] = "streaming-etl"
    start: Annotated[
        Literal["earliest", "latest", "committed"],
        _doc("Where a job without a checkpoint begins: earliest, latest or the group's offsets."),
    ] = "earliest"
    isolation_level: Annotated[
        Literal["read_committed", "read_uncommitted"],
        _doc("read_committed never shows records of an aborted transaction."),
    ] = "read_committed"
    discover_partitions_seconds: Annotated[
        Seconds, _doc("How often new partitions of the topics are looked for.")
    ] = 60.0


class Decode(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an event is, and how strict we are."""

    schemas: Annotated[str, _doc("Folder of the .avsc files, one per event type.")] = "schemas"
    max_record_bytes: Annotated[
        Positive, _doc("A larger raw record is a reject, record_too_large.")
    ] = 1_000_000
    unknown_fields: Annotated[
        Literal["refuse", "keep"],
        _doc("refuse: a reject. keep: as JSON text in the lake column unknown_fields."),
    ] = "refuse"


class Archive(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every raw record, before anything touches it. Exactly once."""

    path: Annotated[ObjectPath, _doc("s3a://bucket/prefix (or file:// on one machine).")]


class Lake(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parquet by place and event time. Exactly once."""

    path: Annotated[ObjectPath, _doc("One folder per event type is made below it.")]
    compression: Annotated[Literal["ZSTD", "SNAPPY", "GZIP"], _doc("Parquet codec.")] = "ZSTD"
    dictionary: Annotated[
        bool, _doc("Parquet dictionaries: smaller files, the largest single cost in CPU.")
    ] = False
    page_bytes: Annotated[
        Annotated[int, Meta(ge=4096, le=1 << 20)],
        _doc("Parquet page; every open partition holds one such buffer per writer."),
    ] = 65_536
    file_bytes: Annotated[
        Positive, _doc("A file is closed at this size, and at every checkpoint.")
    ] = 134_217_728
    success_file: Annotated[
        bool, _doc("Write _SUCCESS into a partition when files were committed to it.")
    ] = False


class Index(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OpenSearch, one index per event type. Effectively once: deterministic id and version."""

    url: Annotated[Url, _doc("https://host:port of the cluster; plain http for loopback only.")]
    prefix: Annotated[
        Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_-]{0,63})?$")],
        _doc("Put before the event type to make the index name."),
    ] = ""
    auth: Annotated[Literal["none", "basic", "sigv4"], _doc("How requests prove who we are.")] = (
        "none"
    )
    username: Annotated[str, _doc("For basic.")] = ""
    password: Annotated[
        str, _doc("For basic; give ${env:NAME} or ${file:/path}, never the text itself.")
    ] = ""
    region: Annotated[str, _doc("AWS region, for sigv4.")] = ""
    service: Annotated[
        Literal["es", "aoss"], _doc("es: OpenSearch Service; aoss: Serverless. For sigv4.")
    ] = "es"
    ca_file: Annotated[
        str, _doc("Certificates to trust besides the system's; TLS is verified.")
    ] = ""
    timeout_seconds: Annotated[Seconds, _doc("Of one bulk request.")] = 10.0
    max_documents: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)], _doc("Of one bulk request.")
    ] = 1000
    max_bytes: Annotated[
        Annotated[int, Meta(ge=10_000, le=10_000_000)], _doc("Of one bulk request.")
    ] = 5_000_000
    retry_seconds: Annotated[
        Seconds,
        _doc("After so long without success the events become dead letters, index_unavailable."),
    ] = 30.0
    breaker_seconds: Annotated[
        Seconds, _doc("How long a cluster that stayed away is not asked again but by one probe.")
    ] = 30.0
    shards: Annotated[Positive, _doc("Primary shards of an index that we make.")] = 1
    replicas: Annotated[Annotated[int, Meta(ge=0)], _doc("Replicas of an index that we make.")] = 0
    refresh_interval: Annotated[
        Annotated[str, Meta(pattern=r"^(-1|\d+(ms|s|m))$")], _doc("Of an index that we make.")
    ] = "1s"


class DeadLetters(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where rejects go, with their bytes, position and reason: a Kafka topic or an S3 path."""

    kafka_bootstrap_servers: Annotated[
        str, _doc("Brokers of kafka_topic; the source's own when empty.")
    ] = ""
    kafka_topic: Annotated[str, _doc("At least once; a copy has the same position headers.")] = ""
    path: Annotated[str, _doc("Instead of kafka_topic: s3a://bucket/prefix. Exactly once.")] = ""


class Job(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the job runs. On the managed service the platform owns parallelism and checkpoints."""

    name: Annotated[str, _doc("Of the Flink job.")] = "streaming-etl"
    parallelism: Annotated[Positive | None, _doc("Of every step; null: the cluster's default.")] = (
        None
    )
    max_parallelism: Annotated[
        Annotated[int, Meta(ge=1, le=32768)], _doc("Fixed for the life of the job's state.")
    ] = 128
    checkpoint_seconds: Annotated[
        Seconds | None, _doc("Between checkpoints; null: the cluster's own setting.")
    ] = None
    checkpoint_timeout_seconds: Annotated[
        Seconds, _doc("A checkpoint that takes longer is given up.")
    ] = 300.0
    checkpoint_dir: Annotated[str, _doc("s3a:// or file://; empty: the cluster's own setting.")] = (
        ""
    )
    batch_records: Annotated[Positive, _doc("Largest Arrow batch given to Python.")] = 5000
    bundle_records: Annotated[Positive, _doc("Records between two hand-overs to Python.")] = 20_000
    bundle_milliseconds: Annotated[
        Positive, _doc("A smaller bundle is handed over after so long; bounds the lag.")
    ] = 200


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration; see conf/reference.yaml."""

    source: Source
    decode: Decode = Decode()
    archive: Archive | None = None
    lake: Lake | None = None
    index: Index | None = None
    dead_letters: DeadLetters | None = None
    job: Job = Job()

    @property
    def dead_letter_servers(self) -> str:
        """The brokers of the dead-letter topic: its own, or the source's."""
        own = self.dead_letters.kafka_bootstrap_servers if self.dead_letters else ""
        return own or self.source.kafka_bootstrap_servers


SECRETS = frozenset({"password"})
