"""The configuration: one typed, frozen model, the same for YAML files and property groups.

Every key is flat inside its section, so that a section is one property group of Managed Service
for Apache Flink. `conf/reference.yaml` is written from this file (`streaming-etl config
reference`) and a test keeps the two equal.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from connectors.kafka.options import Kafka
from connectors.kinesis.options import Kinesis
from connectors.opensearch.options import Index
from connectors.options import (
    Name,
    ObjectPath,
    OptionalPath,
    OptionalStream,
    OptionalTopic,
    Positive,
    Seconds,
    Section,
    Stream,
    Topic,
    doc,
)


class Source(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where raw records come from: any list of Kafka topics and Kinesis streams together."""

    kafka_topics: Annotated[tuple[Topic, ...], doc("Topics to read.")] = ()
    kafka_cluster: Annotated[str, doc("A name in `clusters`; empty: the section `kafka`.")] = ""
    kafka_group_id: Annotated[
        str, doc("Consumer group; offsets are committed to it at each completed checkpoint.")
    ] = "streaming-etl"
    kafka_start: Annotated[
        Literal["earliest", "latest", "committed"],
        doc("Where a job without a checkpoint begins: earliest, latest or the group's offsets."),
    ] = "earliest"
    kafka_isolation_level: Annotated[
        Literal["read_committed", "read_uncommitted"],
        doc("read_committed never shows records of an aborted transaction."),
    ] = "read_committed"
    kafka_discover_partitions_seconds: Annotated[
        Seconds, doc("How often new partitions of the topics are looked for.")
    ] = 60.0
    archived_from: Annotated[
        tuple[Literal["kafka", "kinesis"], ...],
        doc("The topics hold archived records of such sources; their headers say their positions."),
    ] = ()
    kinesis_streams: Annotated[
        tuple[Stream, ...], doc("Streams to read, by name or ARN (of our own account).")
    ] = ()
    kinesis_start: Annotated[
        Literal["trim_horizon", "latest", "at_timestamp"],
        doc("Where a job without a checkpoint begins; trim_horizon loses nothing."),
    ] = "trim_horizon"
    kinesis_start_timestamp: Annotated[
        str, doc("For at_timestamp: ISO-8601 with offset, 2018-01-01T00:00:00Z.")
    ] = ""
    kinesis_reader: Annotated[
        Literal["polling", "enhanced_fan_out"],
        doc("enhanced_fan_out: 2 MB/s a shard of our own, pushed, at a price."),
    ] = "polling"
    kinesis_consumer: Annotated[
        str, doc("For enhanced_fan_out: the name we register at the stream.")
    ] = ""
    kinesis_poll_milliseconds: Annotated[
        Positive, doc("Between two reads of a shard; AWS allows five a second to all readers.")
    ] = 500
    kinesis_discover_shards_seconds: Annotated[
        Seconds, doc("How often new shards, as of a resharding, are looked for.")
    ] = 10.0


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


class Target(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where records go that are not the lake's: S3, a Kafka topic or a Kinesis stream."""

    kafka_topic: Annotated[OptionalTopic, doc("A Kafka topic, which must be there.")] = ""
    kafka_cluster: Annotated[str, doc("A name in `clusters`; empty: the section `kafka`.")] = ""
    kinesis_stream: Annotated[OptionalStream, doc("A Kinesis stream, by name or ARN.")] = ""


class ClaimCheckTarget(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A target whose records have a largest size, and where those beyond it go whole."""

    large_path: Annotated[
        OptionalPath,
        doc("Where a record too large for the topic or stream goes whole; s3a://bucket/prefix."),
    ] = ""
    max_bytes: Annotated[
        Annotated[int, Meta(ge=1000, le=8_000_000)],
        doc("With large_path: a larger raw record goes there, and only its head to the target."),
    ] = 700_000
    head_bytes: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)], doc("How many first bytes that head has.")
    ] = 10_000


class Archive(ClaimCheckTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every raw record, before anything touches it: to path, kafka_topic or kinesis_stream."""

    path: Annotated[
        OptionalPath, doc("s3a://bucket/prefix (or file:// on one machine). Exactly once.")
    ] = ""
    kafka_topic: Annotated[OptionalTopic, doc("Exactly once, by transactions.")] = ""
    kinesis_stream: Annotated[OptionalStream, doc("By name or ARN. At least once.")] = ""


class DeadLetters(ClaimCheckTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where rejects go, with bytes, position and reason: path, kafka_topic or kinesis_stream."""

    path: Annotated[OptionalPath, doc("s3a://bucket/prefix. Exactly once.")] = ""
    kafka_topic: Annotated[
        OptionalTopic, doc("At least once; a copy has the same position headers.")
    ] = ""
    kinesis_stream: Annotated[
        OptionalStream, doc("By name or ARN. At least once; a copy has the same position.")
    ] = ""


class Replica(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A copy of the events in a Kafka topic (exactly once) or a Kinesis stream (at least once)."""

    event_types: Annotated[tuple[str, ...], doc("Which event types; empty: all of them.")] = ()
    filter: Annotated[
        str, doc("An SQL condition over the events' fields, such as pickup_location_id = 132.")
    ] = ""
    value: Annotated[
        Literal["event", "raw"],
        doc("event: its canonical JSON. raw: the very bytes that were read."),
    ] = "event"
    guarantee: Annotated[
        Literal["exactly_once", "at_least_once"],
        doc("To Kafka: by transactions, or without them. To Kinesis always at least once."),
    ] = "exactly_once"
    transaction_prefix: Annotated[
        str, doc("Of the transactional ids, no other job's; empty: job.name-replicate.name.")
    ] = ""
    max_bytes: Annotated[Positive, doc("A larger event is a dead letter, replica_too_large.")] = (
        1_000_000
    )


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


# Of the section job: Managed Service for Apache Flink sets them itself.
PLATFORM_KEYS = (
    "parallelism",
    "checkpoint_seconds",
    "checkpoint_timeout_seconds",
    "checkpoint_dir",
    "max_failures",
)
