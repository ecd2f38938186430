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
    FieldPath,
    FlinkSetting,
    Line,
    LocalPath,
    Name,
    ObjectPath,
    OptionalEventType,
    OptionalLine,
    OptionalPath,
    OptionalStream,
    OptionalTopic,
    Positive,
    Seconds,
    Section,
    Stream,
    Topic,
    TopicOrStream,
    TopicType,
    ValueType,
    doc,
    whole,
)
from connectors.schema_registry.options import SchemaRegistry

OptionalConsumer = Annotated[
    str, whole("[a-zA-Z0-9_.-]{0,128}", "up to 128 letters, digits and any of .-_")
]
Parallelism = Annotated[int, Meta(ge=1, le=32_768)]
"""To Flink's highest maximum parallelism, 2**15."""
CheckpointSeconds = Annotated[float, Meta(ge=0.01, le=604_800)]
"""From Flink's shortest interval, 10 ms."""
FileSeconds = Annotated[float, Meta(ge=1, le=86_400)]
BucketBytes = Annotated[int, Meta(ge=1 << 20, le=256 << 20)]


class Source(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to read, any number of Kafka topics and Kinesis streams, and how to tell event types."""

    kafka_topics: Annotated[tuple[Topic, ...], doc("Topics to read.")] = ()
    kafka_cluster: Annotated[
        OptionalLine, doc("A name in `clusters`. Empty: the section `kafka`.")
    ] = ""
    kafka_group_id: Annotated[
        Line, doc("Consumer group. Offsets are committed to it at each completed checkpoint.")
    ] = "streaming-etl"
    kafka_start: Annotated[
        Literal["earliest", "latest", "committed"],
        doc("Where a job without a checkpoint starts. committed: at the offsets of the group."),
    ] = "earliest"
    kafka_isolation_level: Annotated[
        Literal["read_committed", "read_uncommitted"],
        doc("read_committed: skip records of aborted transactions."),
    ] = "read_committed"
    kafka_discover_partitions_seconds: Annotated[
        Seconds, doc("How often to look for new partitions.")
    ] = 60.0
    archived_from: Annotated[
        tuple[Literal["kafka", "kinesis"], ...],
        doc("The topics contain archived records of these sources, positions in their headers."),
    ] = ()
    kinesis_streams: Annotated[
        tuple[Stream, ...], doc("Streams to read, by name or ARN, of your own account.")
    ] = ()
    kinesis_start: Annotated[
        Literal["trim_horizon", "latest", "at_timestamp"],
        doc("Where a job without a checkpoint starts. trim_horizon: at the oldest record."),
    ] = "trim_horizon"
    kinesis_start_timestamp: Annotated[
        OptionalLine, doc("For at_timestamp: ISO-8601 with offset, such as 2018-01-01T00:00:00Z.")
    ] = ""
    kinesis_reader: Annotated[
        Literal["polling", "enhanced_fan_out"],
        doc("enhanced_fan_out: pushed, with 2 MB/s per shard for this job alone, at extra cost."),
    ] = "polling"
    kinesis_consumer: Annotated[
        OptionalConsumer,
        doc("For enhanced_fan_out: the consumer name to register with the stream."),
    ] = ""
    kinesis_poll_milliseconds: Annotated[
        Positive,
        doc("Time between two reads of a shard. AWS allows all its readers five per second."),
    ] = 500
    kinesis_discover_shards_seconds: Annotated[
        Seconds, doc("How often to look for new shards, for example after resharding.")
    ] = 10.0
    event_type_field: Annotated[
        FieldPath,
        doc("The field of an event that names its type; or a path to it, such as meta.kind."),
    ] = "type"
    event_type: Annotated[
        OptionalEventType,
        doc("The type of all events, in place of a field."),
    ] = ""
    event_type_header: Annotated[
        OptionalLine,
        doc("The Kafka header that names an event's type, in place of a field."),
    ] = ""
    event_type_by_topic: Annotated[
        tuple[TopicType, ...],
        doc("The types of all topics and streams, TOPIC=TYPE, in place of a field."),
    ] = ()
    avro: Annotated[
        tuple[TopicOrStream, ...],
        doc("Topics and streams whose records are Avro, by schema_registry. Others are JSON."),
    ] = ()
    event_type_values: Annotated[
        tuple[ValueType, ...],
        doc("What field or header say in place of a type's name, VALUE=TYPE."),
    ] = ()


Native = Literal["auto", "off", "required"]


class Decode(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which event types there are, and which records are rejected."""

    schemas: Annotated[LocalPath, doc("Folder of the .avsc files, one per event type.")] = "schemas"
    max_record_bytes: Annotated[
        Positive, doc("A larger raw record is rejected, record_too_large.")
    ] = 1_000_000
    unknown_fields: Annotated[
        Literal["refuse", "keep"],
        doc("A field that the schema lacks. keep: as JSON text in the lake column unknown_fields."),
    ] = "refuse"
    native: Annotated[
        Native,
        doc(
            "The fast path in Rust. auto: where the extension is installed. required: refuse to"
            " start without it."
        ),
    ] = "auto"
    reject_limit_ratio: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        doc("Fail the job if more than this fraction of a window is rejected. null: never."),
    ] = None
    reject_limit_seconds: Annotated[Seconds, doc("Length of that window.")] = 60.0
    reject_limit_records: Annotated[
        Positive, doc("Minimum records in the window, per task, before the limit applies.")
    ] = 1000


class Lake(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parquet files, partitioned as each event type's schema says. Exactly once."""

    path: Annotated[ObjectPath, doc("Folder of the lake. Each event type gets a folder below it.")]
    compression: Annotated[Literal["ZSTD", "SNAPPY", "GZIP"], doc("Parquet codec.")] = "ZSTD"
    file_seconds: Annotated[
        FileSeconds,
        doc("Rows are collected in buckets for at most this long, then written to files."),
    ] = 60.0
    bucket_bytes: Annotated[
        BucketBytes, doc("A bucket that reaches this size, compressed, is written sooner.")
    ] = 24 << 20
    buckets: Annotated[
        Parallelism | None,
        doc(
            "Number of buckets: partitions are divided among them. At most job.max_parallelism."
            " null: 4 for each parallel task."
        ),
    ] = None
    max_partitions: Annotated[
        Positive,
        doc(
            "Events of further partitions within file_seconds, per task, become dead letters"
            " too_many_partitions: each partition is a file."
        ),
    ] = 50_000
    success_file: Annotated[
        bool, doc("Write _SUCCESS into a partition when files were committed to it.")
    ] = False


class Target(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Kafka topic or a Kinesis stream to write to."""

    kafka_topic: Annotated[OptionalTopic, doc("Kafka topic to write to. It must exist.")] = ""
    kafka_cluster: Annotated[
        OptionalLine, doc("A name in `clusters`. Empty: the section `kafka`.")
    ] = ""
    kinesis_stream: Annotated[
        OptionalStream, doc("Kinesis stream to write to, by name or ARN. At least once.")
    ] = ""


class ClaimCheckTarget(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A target with a maximum record size, and where larger records are stored whole."""

    path: Annotated[
        OptionalPath,
        doc("Folder to write to: s3a://bucket/prefix, or file:// on one machine. Exactly once."),
    ] = ""
    file_seconds: Annotated[
        FileSeconds, doc("With path: rows are collected for at most this long, then written.")
    ] = 60.0
    bucket_bytes: Annotated[
        BucketBytes, doc("With path: collected rows that reach this size are written sooner.")
    ] = 16 << 20
    large_path: Annotated[
        OptionalPath,
        doc("Where records too large for the topic or stream are stored: s3a://bucket/prefix."),
    ] = ""
    max_bytes: Annotated[
        Annotated[int, Meta(ge=1000, le=8_000_000)],
        doc("With large_path: a larger raw record goes there, and only its head to the target."),
    ] = 700_000
    head_bytes: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)],
        doc("Size of that head: the first bytes of the record."),
    ] = 10_000


class Archive(ClaimCheckTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every raw record as it was read. Set one of path, kafka_topic and kinesis_stream."""

    kafka_topic: Annotated[
        OptionalTopic, doc("Kafka topic to write to. Exactly once, by transactions.")
    ] = ""


class DeadLetters(ClaimCheckTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rejected records and why. Set one of path, kafka_topic and kinesis_stream."""

    kafka_topic: Annotated[
        OptionalTopic,
        doc("Kafka topic to write to. At least once: a duplicate has the same position headers."),
    ] = ""
    redrive_key: Annotated[
        OptionalLine,
        doc(
            "Signs what is redriven to Kafka for index and replicas: a secret of at least 32"
            " characters, for job and tools. Use ${env:NAME} or ${file:/path}."
        ),
    ] = ""


class Replica(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A copy of the events in a Kafka topic (exactly once) or a Kinesis stream (at least once)."""

    event_types: Annotated[tuple[Line, ...], doc("Event types to copy. Empty: all.")] = ()
    filter: Annotated[
        str, doc("SQL condition on an event's fields: amount > 100. Empty: none.")
    ] = ""
    value: Annotated[
        Literal["event", "raw"],
        doc("event: canonical JSON of the event. raw: the original bytes."),
    ] = "event"
    guarantee: Annotated[
        Literal["exactly_once", "at_least_once"],
        doc("Of a Kafka topic: by transactions or not. A Kinesis stream is always at least once."),
    ] = "exactly_once"
    transaction_prefix: Annotated[
        OptionalLine,
        doc("Prefix of transactional ids, for this job alone. Empty: job.name-replicate.name."),
    ] = ""
    max_bytes: Annotated[
        Positive, doc("A larger event becomes a dead letter, replica_too_large.")
    ] = 1_000_000


class Job(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the job. Managed Service for Apache Flink refuses those that it sets itself."""

    name: Annotated[Line, doc("Name of the Flink job.")] = "streaming-etl"
    parallelism: Annotated[
        Parallelism | None, doc("Parallelism of every operator. null: the cluster's default.")
    ] = None
    max_parallelism: Annotated[
        Parallelism,
        doc("Maximum parallelism. It cannot change once the job has state."),
    ] = 128
    checkpoint_seconds: Annotated[
        CheckpointSeconds | None,
        doc("Checkpoint interval; checkpoints are kept on cancel. null: the cluster decides both."),
    ] = None
    checkpoint_pause_seconds: Annotated[
        Seconds | None,
        doc(
            "Minimum time from one checkpoint's end to the next one's start. null: half of"
            " checkpoint_seconds; without that, the cluster's setting."
        ),
    ] = None
    checkpoint_timeout_seconds: Annotated[
        CheckpointSeconds | None,
        doc("Abort a checkpoint that takes longer. null: the cluster's setting."),
    ] = 300.0
    checkpoint_dir: Annotated[
        OptionalPath, doc("Checkpoint folder: s3a:// or file://. Empty: the cluster's setting.")
    ] = ""
    batch_records: Annotated[
        Positive, doc("Maximum number of records in an Arrow batch passed to Python.")
    ] = 10_000
    bundle_records: Annotated[
        Positive, doc("Maximum number of records in a bundle passed to Python.")
    ] = 10_000
    bundle_milliseconds: Annotated[
        Positive,
        doc("Maximum time before an incomplete bundle is passed on. It bounds the latency."),
    ] = 200
    discard: Annotated[
        bool, doc("Also send events to a discarding sink, to measure reading and decoding alone.")
    ] = False
    transaction_timeout_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=2_147_483)],  # Kafka has an int of milliseconds
        doc(
            "Of Kafka transactions: at least 3 checkpoint intervals, at most the brokers' maximum."
        ),
    ] = 900
    max_failures: Annotated[
        Positive | None,
        doc("Fail the job after this many failures in ten minutes. null: the cluster's setting."),
    ] = None
    leave_to_cluster: Annotated[
        tuple[FlinkSetting, ...],
        doc(
            "Flink's settings that the job leaves to the cluster, by name or by a beginning and *."
        ),
    ] = ()


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
    schema_registry: SchemaRegistry | None = None
    job: Job = Job()

    def cluster(self, name: str) -> Kafka:
        """Return the cluster that a `kafka_cluster` names; empty: the section `kafka`."""
        cluster = self.clusters[name] if name else self.kafka
        assert cluster, "contradictions() refuses a name without a cluster"
        return cluster

    @property
    def file_sinks(self) -> dict[str, Lake | Archive | DeadLetters]:
        """The steps that write files below a path, and their sections."""
        sections: dict[str, Lake | Archive | DeadLetters | None] = {
            "lake": self.lake,
            "archive": self.archive,
            "dead_letters": self.dead_letters,
        }
        return {step: section for step, section in sections.items() if section and section.path}

    @property
    def redrive_key(self) -> str:
        """The key that signs redriven records; empty if there is none."""
        return self.dead_letters.redrive_key if self.dead_letters else ""

    def transaction_prefix(self, key: str) -> str:
        """Return the prefix of a sink's transactional ids; `key` is `archive` or `replicate.NAME`.

        That is the replica's own prefix, else the job's name and the key.
        """
        replicas = {f"replicate.{name}": section for name, section in self.replicate.items()}
        own = replicas[key].transaction_prefix if key in replicas else ""
        return own or f"{self.job.name}-{key}"


# Keys of the section job that Managed Service for Apache Flink sets itself.
PLATFORM_KEYS = (
    "parallelism",
    "checkpoint_seconds",
    "checkpoint_pause_seconds",
    "checkpoint_timeout_seconds",
    "checkpoint_dir",
    "max_failures",
)

# Keys of earlier releases, and what to do instead.
REMOVED = {
    "lake.dictionary": "leave it out, a column has a dictionary where that makes it smaller",
    "lake.file_bytes": "use lake.bucket_bytes and lake.file_seconds",
    "lake.page_bytes": "use lake.bucket_bytes, which bounds the memory of open partitions",
}
