"""Configuration of sources, archive, dead letters and replicas; see `pipeline.config`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of keys. A sink without a section is not part of the job."""


def doc(text: str) -> Meta:
    """Attach the text that `conf/reference.yaml` shows for a key."""
    return Meta(description=text)


_PATH = r"(s3a|file)://[^\s'*?]+"
_TOPIC = r"[A-Za-z0-9._-]{1,249}"
_STREAM = (
    r"([A-Za-z0-9_.-]{1,128}"
    r"|arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream/[A-Za-z0-9_.-]{1,128})"
)


def _text(pattern: str) -> Meta:
    return Meta(pattern=f"^{pattern}$")


def _text_or_empty(pattern: str) -> Meta:
    return Meta(pattern=f"^({pattern})?$")


Url = Annotated[str, _text(r"https?://[^/\s]+(/.*)?")]
ObjectPath = Annotated[str, _text(_PATH)]
OptionalPath = Annotated[str, _text_or_empty(_PATH)]
Topic = Annotated[str, _text(_TOPIC)]
OptionalTopic = Annotated[str, _text_or_empty(_TOPIC)]
Stream = Annotated[str, _text(_STREAM)]
OptionalStream = Annotated[str, _text_or_empty(_STREAM)]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Seconds = Annotated[float, Meta(gt=0)]
Positive = Annotated[int, Meta(ge=1)]


class Kafka(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Kafka cluster and how to connect to it."""

    bootstrap_servers: Annotated[str, doc("Kafka brokers: host:port, comma separated.")]
    security: Annotated[
        Literal["plaintext", "tls", "scram", "msk_iam"],
        doc(
            "plaintext: no encryption, for 127.0.0.1. tls: TLS. scram: SASL_SSL with user and "
            "password. msk_iam: AWS IAM, for MSK."
        ),
    ] = "plaintext"
    allow_plaintext: Annotated[
        bool,
        doc(
            "Allow plaintext to brokers beyond 127.0.0.1. Anyone on the network can read the "
            "traffic."
        ),
    ] = False
    ca_file: Annotated[
        str, doc("For tls and scram: PEM file of CA certificates to trust instead of Java's.")
    ] = ""
    scram_mechanism: Annotated[
        Literal["SCRAM-SHA-512", "SCRAM-SHA-256"],
        doc("For scram: the mechanism that the brokers use."),
    ] = "SCRAM-SHA-512"
    username: Annotated[str, doc("For scram.")] = ""
    password: Annotated[
        str, doc("For scram. Use ${env:NAME} or ${file:/path}, never the password itself.")
    ] = ""


class Kinesis(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to connect to Kinesis. Credentials come from AWS's default credential chain."""

    region: Annotated[
        str, doc("AWS region of streams given by name. A stream given by ARN has its own.")
    ] = ""
    endpoint: Annotated[
        str, doc("URL of a server other than AWS, such as a local one. http is for 127.0.0.1 only.")
    ] = ""
    allow_plaintext: Annotated[
        bool,
        doc("Allow unencrypted http beyond 127.0.0.1. Anyone on the network can read the traffic."),
    ] = False


class Source(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to read: any number of Kafka topics and Kinesis streams in one job."""

    kafka_topics: Annotated[tuple[Topic, ...], doc("Topics to read.")] = ()
    kafka_cluster: Annotated[str, doc("A name in `clusters`. Empty: the section `kafka`.")] = ""
    kafka_group_id: Annotated[
        str, doc("Consumer group. Offsets are committed to it at each completed checkpoint.")
    ] = "streaming-etl"
    kafka_start: Annotated[
        Literal["earliest", "latest", "committed"],
        doc(
            "Where a job without a checkpoint starts: at the earliest or latest offsets, or at "
            "the committed offsets of the group."
        ),
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
        doc(
            "The topics contain archived records of these kinds of source. Each record's first "
            "position is in its headers."
        ),
    ] = ()
    kinesis_streams: Annotated[
        tuple[Stream, ...], doc("Streams to read, by name or ARN, of your own account.")
    ] = ()
    kinesis_start: Annotated[
        Literal["trim_horizon", "latest", "at_timestamp"],
        doc(
            "Where a job without a checkpoint starts. trim_horizon: at the oldest record, so that "
            "none is lost."
        ),
    ] = "trim_horizon"
    kinesis_start_timestamp: Annotated[
        str, doc("For at_timestamp: ISO-8601 with offset, such as 2018-01-01T00:00:00Z.")
    ] = ""
    kinesis_reader: Annotated[
        Literal["polling", "enhanced_fan_out"],
        doc("enhanced_fan_out: pushed, with 2 MB/s per shard for this job alone, at extra cost."),
    ] = "polling"
    kinesis_consumer: Annotated[
        str, doc("For enhanced_fan_out: the consumer name to register with the stream.")
    ] = ""
    kinesis_poll_milliseconds: Annotated[
        Positive,
        doc(
            "Time between two reads of a shard. AWS allows five per second and shard for all "
            "readers together."
        ),
    ] = 500
    kinesis_discover_shards_seconds: Annotated[
        Seconds, doc("How often to look for new shards, for example after resharding.")
    ] = 10.0


class Target(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Kafka topic or a Kinesis stream to write to."""

    kafka_topic: Annotated[OptionalTopic, doc("Kafka topic to write to. It must exist.")] = ""
    kafka_cluster: Annotated[str, doc("A name in `clusters`. Empty: the section `kafka`.")] = ""
    kinesis_stream: Annotated[
        OptionalStream, doc("Kinesis stream to write to, by name or ARN.")
    ] = ""


class SealedTarget(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A target with a maximum record size, and where larger records are stored whole."""

    large_path: Annotated[
        OptionalPath,
        doc(
            "Where a record that is too large for the topic or stream is stored whole: "
            "s3a://bucket/prefix."
        ),
    ] = ""
    max_bytes: Annotated[
        Annotated[int, Meta(ge=1000, le=8_000_000)],
        doc(
            "With large_path: a raw record of more bytes is stored there, and the target gets "
            "only its head."
        ),
    ] = 700_000
    head_bytes: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)],
        doc("Size of that head: the first bytes of the record."),
    ] = 10_000


class Archive(SealedTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every raw record as it was read. Set one of path, kafka_topic and kinesis_stream."""

    path: Annotated[
        OptionalPath,
        doc(
            "Folder to write to: s3a://bucket/prefix, or file:// on a single machine. Exactly once."
        ),
    ] = ""
    kafka_topic: Annotated[
        OptionalTopic, doc("Kafka topic to write to. Exactly once, by transactions.")
    ] = ""
    kinesis_stream: Annotated[
        OptionalStream, doc("Kinesis stream to write to, by name or ARN. At least once.")
    ] = ""


class DeadLetters(SealedTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rejected records and why. Set one of path, kafka_topic and kinesis_stream."""

    path: Annotated[OptionalPath, doc("Folder to write to: s3a://bucket/prefix. Exactly once.")] = (
        ""
    )
    kafka_topic: Annotated[
        OptionalTopic,
        doc("Kafka topic to write to. At least once: a duplicate has the same position headers."),
    ] = ""
    kinesis_stream: Annotated[
        OptionalStream,
        doc(
            "Kinesis stream to write to, by name or ARN. At least once: a duplicate has the same "
            "position."
        ),
    ] = ""


class Replica(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A copy of the events in a Kafka topic (exactly once) or a Kinesis stream (at least once)."""

    event_types: Annotated[tuple[str, ...], doc("Event types to copy. Empty: all.")] = ()
    filter: Annotated[
        str,
        doc(
            "SQL condition on the event's fields, such as pickup_location_id = 132. Empty: no "
            "condition."
        ),
    ] = ""
    value: Annotated[
        Literal["event", "raw"],
        doc("event: canonical JSON of the event. raw: the original bytes."),
    ] = "event"
    guarantee: Annotated[
        Literal["exactly_once", "at_least_once"],
        doc(
            "Of a Kafka topic: exactly_once writes in transactions, at_least_once does not. A "
            "Kinesis stream is always at least once."
        ),
    ] = "exactly_once"
    transaction_prefix: Annotated[
        str,
        doc(
            "Prefix of the transactional ids. No other job may use it. Empty: "
            "job.name-replicate.name."
        ),
    ] = ""
    max_bytes: Annotated[
        Positive, doc("A larger event becomes a dead letter, replica_too_large.")
    ] = 1_000_000
