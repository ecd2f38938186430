"""The configuration: one typed, frozen model for YAML files and property groups alike.

A section has no nested keys, so that each section is one property group of Managed Service for
Apache Flink. `conf/reference.yaml` is generated from this file by `streaming-etl config reference`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pipeline.edges import (
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
    """Which event types there are, and which records are rejected."""

    schemas: Annotated[str, doc("Folder of the .avsc files, one per event type.")] = "schemas"
    max_record_bytes: Annotated[
        Positive, doc("A larger raw record is rejected, record_too_large.")
    ] = 1_000_000
    unknown_fields: Annotated[
        Literal["refuse", "keep"],
        doc(
            "What to do with a field that the schema lacks. refuse: reject the record. keep: "
            "store it as JSON text in the lake column unknown_fields."
        ),
    ] = "refuse"
    reject_limit_ratio: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        doc(
            "Fail the job when more than this fraction of the records in a time window is "
            "rejected. null: never."
        ),
    ] = None
    reject_limit_seconds: Annotated[Seconds, doc("Length of that window.")] = 60.0
    reject_limit_records: Annotated[
        Positive,
        doc("Minimum number of records in the window, per task, before the limit applies."),
    ] = 1000


class Lake(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parquet files, partitioned by location and event time. Exactly once."""

    path: Annotated[ObjectPath, doc("Folder of the lake. Each event type gets a folder below it.")]
    compression: Annotated[Literal["ZSTD", "SNAPPY", "GZIP"], doc("Parquet codec.")] = "ZSTD"
    dictionary: Annotated[
        bool, doc("Parquet dictionary encoding: smaller files, at the largest single CPU cost.")
    ] = False
    page_bytes: Annotated[
        Annotated[int, Meta(ge=4096, le=1 << 20)],
        doc("Parquet page size. Every open partition holds a page buffer for each column."),
    ] = 65_536
    file_bytes: Annotated[
        Positive, doc("A file is closed at this size, and at every checkpoint.")
    ] = 134_217_728
    success_file: Annotated[
        bool, doc("Write _SUCCESS into a partition when files were committed to it.")
    ] = False


class Index(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OpenSearch, one index per event type. Effectively once, by document id and version."""

    url: Annotated[Url, doc("https://host:port of the cluster. http is for 127.0.0.1 only.")]
    allow_plaintext: Annotated[
        bool,
        doc("Allow unencrypted http beyond 127.0.0.1. Anyone on the network can read the traffic."),
    ] = False
    prefix: Annotated[
        Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_-]{0,63})?$")],
        doc("Index name is this prefix and the event type."),
    ] = ""
    auth: Annotated[
        Literal["none", "basic", "sigv4"],
        doc("How to authenticate: none, basic (user and password), or sigv4 (AWS IAM)."),
    ] = "none"
    username: Annotated[str, doc("For basic.")] = ""
    password: Annotated[
        str, doc("For basic. Use ${env:NAME} or ${file:/path}, never the password itself.")
    ] = ""
    region: Annotated[str, doc("For sigv4: AWS region.")] = ""
    service: Annotated[
        Literal["es", "aoss"],
        doc("For sigv4. es: OpenSearch Service. aoss: OpenSearch Serverless."),
    ] = "es"
    ca_file: Annotated[
        str,
        doc("CA certificates to trust besides the system's. TLS certificates are always verified."),
    ] = ""
    timeout_seconds: Annotated[Seconds, doc("Timeout of a bulk request.")] = 10.0
    max_documents: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)], doc("Maximum number of documents in a bulk request.")
    ] = 1000
    max_bytes: Annotated[
        Annotated[int, Meta(ge=10_000, le=10_000_000)], doc("Maximum size of a bulk request.")
    ] = 5_000_000
    retry_seconds: Annotated[
        Seconds,
        doc(
            "How long to retry without success before events become dead letters, "
            "index_unavailable."
        ),
    ] = 30.0
    breaker_seconds: Annotated[
        Seconds, doc("How long the circuit breaker stays open before a trial request.")
    ] = 30.0
    shards: Annotated[Positive, doc("Primary shards of an index that the job creates.")] = 1
    replicas: Annotated[
        Annotated[int, Meta(ge=0)], doc("Replicas of an index that the job creates.")
    ] = 0
    refresh_interval: Annotated[
        Annotated[str, Meta(pattern=r"^(-1|\d+(ms|s|m))$")],
        doc("Refresh interval of an index that the job creates."),
    ] = "1s"


class Job(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the job. Managed Service for Apache Flink refuses those that it sets itself."""

    name: Annotated[str, doc("Name of the Flink job.")] = "streaming-etl"
    parallelism: Annotated[
        Positive | None, doc("Parallelism of every operator. null: the cluster's default.")
    ] = None
    max_parallelism: Annotated[
        Annotated[int, Meta(ge=1, le=32768)],
        doc("Maximum parallelism. It cannot change once the job has state."),
    ] = 128
    checkpoint_seconds: Annotated[
        Seconds | None,
        doc(
            "Checkpoint interval. When set, checkpoints are kept after the job is cancelled. "
            "null: the cluster decides both."
        ),
    ] = None
    checkpoint_timeout_seconds: Annotated[
        Seconds | None,
        doc("Abort a checkpoint that takes longer. null: the cluster's setting."),
    ] = 300.0
    checkpoint_dir: Annotated[
        str, doc("Checkpoint folder: s3a:// or file://. Empty: the cluster's setting.")
    ] = ""
    batch_records: Annotated[
        Positive, doc("Maximum number of records in an Arrow batch passed to Python.")
    ] = 5000
    bundle_records: Annotated[
        Positive, doc("Maximum number of records in a bundle passed to Python.")
    ] = 20_000
    bundle_milliseconds: Annotated[
        Positive,
        doc("Maximum time before an incomplete bundle is passed on. It bounds the latency."),
    ] = 200
    discard: Annotated[
        bool, doc("Also send events to a discarding sink, to measure reading and decoding alone.")
    ] = False
    transaction_timeout_seconds: Annotated[
        Positive,
        doc(
            "Timeout of Kafka transactions: at least three checkpoint intervals, at most the "
            "brokers' maximum."
        ),
    ] = 900
    max_failures: Annotated[
        Positive | None,
        doc(
            "Fail the job after this many failures in ten minutes. null: the cluster's restart "
            "strategy."
        ),
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
        """Return the cluster of that name; an empty name means the section `kafka`."""
        found = self.clusters[name] if name else self.kafka
        assert found, "load_config refuses a name without a cluster"
        return found

    def transaction_prefix(self, key: str) -> str:
        """Return the prefix of a sink's transactional ids.

        It is the sink's own `transaction_prefix`, else the job's name and the sink's key, such as
        `archive` or `replicate.airport`.
        """
        own = self.replicate.get(key.removeprefix("replicate."))
        given = own.transaction_prefix if own and key.startswith("replicate.") else ""
        return given or f"{self.job.name}-{key}"


SECRETS = frozenset({"password"})
# Keys of the section `job` that Managed Service for Apache Flink sets itself.
PLATFORM_KEYS = (
    "parallelism",
    "checkpoint_seconds",
    "checkpoint_timeout_seconds",
    "checkpoint_dir",
    "max_failures",
)
