"""The configuration: one typed, frozen model, the same for YAML files and property groups.

Every key is flat inside its section, so that a section is one property group of Managed Service
for Apache Flink. `conf/reference.yaml` is written from this file (`streaming-etl config
reference`) and a test keeps the two equal.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pipeline.config.edges import (
    Archive,
    DeadLetters,
    Kafka,
    Kinesis,
    Name,
    ObjectPath,
    Positive,
    Replica,
    Seconds,
    Section,
    Source,
    Url,
    doc,
)

__all__ = [
    "PLATFORM_KEYS",
    "SECRETS",
    "Archive",
    "Config",
    "DeadLetters",
    "Decode",
    "Index",
    "Job",
    "Kafka",
    "Kinesis",
    "Lake",
    "Replica",
    "Section",
    "Source",
]


class Decode(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an event is, and how strict we are."""

    schemas: Annotated[str, doc("Folder of the .avsc files, one per event type.")] = "schemas"
    max_record_bytes: Annotated[
        Positive, doc("A larger raw record is a reject, record_too_large.")
    ] = 1_000_000
    unknown_fields: Annotated[
        Literal["refuse", "keep"],
        doc("refuse: a reject. keep: as JSON text in the lake column unknown_fields."),
    ] = "refuse"
    reject_limit_ratio: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        doc("The job stops when more than this part of a window is rejected; null: never."),
    ] = None
    reject_limit_seconds: Annotated[Seconds, doc("Length of that window.")] = 60.0
    reject_limit_records: Annotated[
        Positive, doc("Records that a window must hold, on one task, before it is judged.")
    ] = 1000


class Lake(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parquet by place and event time. Exactly once."""

    path: Annotated[ObjectPath, doc("One folder per event type is made below it.")]
    compression: Annotated[Literal["ZSTD", "SNAPPY", "GZIP"], doc("Parquet codec.")] = "ZSTD"
    dictionary: Annotated[
        bool, doc("Parquet dictionaries: smaller files, the largest single cost in CPU.")
    ] = False
    page_bytes: Annotated[
        Annotated[int, Meta(ge=4096, le=1 << 20)],
        doc("Parquet page; every open partition holds one such buffer per writer."),
    ] = 65_536
    file_bytes: Annotated[
        Positive, doc("A file is closed at this size, and at every checkpoint.")
    ] = 134_217_728
    success_file: Annotated[
        bool, doc("Write _SUCCESS into a partition when files were committed to it.")
    ] = False


class Index(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OpenSearch, one index per event type. Effectively once: deterministic id and version."""

    url: Annotated[Url, doc("https://host:port of the cluster; plain http for loopback only.")]
    allow_plaintext: Annotated[
        bool, doc("Allow http to a cluster beyond 127.0.0.1: anyone on the way can read.")
    ] = False
    prefix: Annotated[
        Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_-]{0,63})?$")],
        doc("Put before the event type to make the index name."),
    ] = ""
    auth: Annotated[Literal["none", "basic", "sigv4"], doc("How requests prove who we are.")] = (
        "none"
    )
    username: Annotated[str, doc("For basic.")] = ""
    password: Annotated[
        str, doc("For basic; give ${env:NAME} or ${file:/path}, never the text itself.")
    ] = ""
    region: Annotated[str, doc("AWS region, for sigv4.")] = ""
    service: Annotated[
        Literal["es", "aoss"], doc("es: OpenSearch Service; aoss: Serverless. For sigv4.")
    ] = "es"
    ca_file: Annotated[str, doc("Certificates to trust besides the system's; TLS is verified.")] = (
        ""
    )
    timeout_seconds: Annotated[Seconds, doc("Of one bulk request.")] = 10.0
    max_documents: Annotated[Annotated[int, Meta(ge=1, le=10_000)], doc("Of one bulk request.")] = (
        1000
    )
    max_bytes: Annotated[
        Annotated[int, Meta(ge=10_000, le=10_000_000)], doc("Of one bulk request.")
    ] = 5_000_000
    retry_seconds: Annotated[
        Seconds,
        doc("After so long without success the events become dead letters, index_unavailable."),
    ] = 30.0
    breaker_seconds: Annotated[
        Seconds, doc("How long a cluster that stayed away is not asked again but by one probe.")
    ] = 30.0
    shards: Annotated[Positive, doc("Primary shards of an index that we make.")] = 1
    replicas: Annotated[Annotated[int, Meta(ge=0)], doc("Replicas of an index that we make.")] = 0
    refresh_interval: Annotated[
        Annotated[str, Meta(pattern=r"^(-1|\d+(ms|s|m))$")], doc("Of an index that we make.")
    ] = "1s"


class Job(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the job runs. What belongs to the managed service, `PLATFORM_KEYS`, is refused there."""

    name: Annotated[str, doc("Of the Flink job.")] = "streaming-etl"
    parallelism: Annotated[Positive | None, doc("Of every step; null: the cluster's default.")] = (
        None
    )
    max_parallelism: Annotated[
        Annotated[int, Meta(ge=1, le=32768)], doc("Fixed for the life of the job's state.")
    ] = 128
    checkpoint_seconds: Annotated[
        Seconds | None,
        doc(
            "Between checkpoints, which then outlive a cancelled job; null: for both the cluster's"
            " own setting."
        ),
    ] = None
    checkpoint_timeout_seconds: Annotated[
        Seconds | None,
        doc("A checkpoint that takes longer is given up; null: the cluster's own setting."),
    ] = 300.0
    checkpoint_dir: Annotated[str, doc("s3a:// or file://; empty: the cluster's own setting.")] = ""
    batch_records: Annotated[Positive, doc("Largest Arrow batch given to Python.")] = 5000
    bundle_records: Annotated[Positive, doc("Records between two hand-overs to Python.")] = 20_000
    bundle_milliseconds: Annotated[
        Positive, doc("A smaller bundle is handed over after so long; bounds the lag.")
    ] = 200
    discard: Annotated[
        bool, doc("Also send the events to nowhere: to measure reading and decoding alone.")
    ] = False
    transaction_timeout_seconds: Annotated[
        Positive,
        doc("Of Kafka transactions: at most the brokers' maximum, at least three checkpoints."),
    ] = 900
    max_failures: Annotated[
        Positive | None,
        doc("So many failures in ten minutes end the job; null: the cluster's own restarts."),
    ] = None


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration; see conf/reference.yaml."""

    kafka: Kafka | None = None
    clusters: dict[Name, Kafka] = {}
    kinesis: Kinesis = Kinesis()
    source: Source
    decode: Decode = Decode()
    archive: Archive | None = None
    lake: Lake | None = None
    index: Index | None = None
    replicate: dict[Name, Replica] = {}
    dead_letters: DeadLetters | None = None
    job: Job = Job()

    def cluster(self, name: str) -> Kafka:
        """The Kafka cluster that a section's `kafka_cluster` names; empty: the section `kafka`."""
        found = self.clusters[name] if name else self.kafka
        assert found, "load_config refuses a name without a cluster"
        return found

    def transaction_prefix(self, key: str) -> str:
        """The prefix of a sink's transactional ids: its own, or made of the job's name and its key,
        `archive` or `replicate.airport`."""
        own = self.replicate.get(key.removeprefix("replicate."))
        given = own.transaction_prefix if own and key.startswith("replicate.") else ""
        return given or f"{self.job.name}-{key}"


SECRETS = frozenset({"password"})
# Of the section job: Managed Service for Apache Flink sets them itself.
PLATFORM_KEYS = (
    "parallelism",
    "checkpoint_seconds",
    "checkpoint_timeout_seconds",
    "checkpoint_dir",
    "max_failures",
)
