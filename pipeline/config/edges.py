"""The configuration of the edges: what is read, and where records go beside lake and index."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of keys. A sink whose section is absent is left out of the job."""


def doc(text: str) -> Meta:
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
    """A Kafka cluster and how it is reached."""

    bootstrap_servers: Annotated[str, doc("Kafka brokers, host:port, comma separated.")]
    security: Annotated[
        Literal["plaintext", "tls", "scram", "msk_iam"],
        doc("plaintext is for 127.0.0.1; scram is SASL_SSL with a password; msk_iam is for MSK."),
    ] = "plaintext"
    allow_plaintext: Annotated[
        bool, doc("Allow plaintext to brokers beyond 127.0.0.1: anyone on the way can read.")
    ] = False
    ca_file: Annotated[
        str, doc("PEM certificates to trust instead of Java's own; for tls and scram.")
    ] = ""
    scram_mechanism: Annotated[
        Literal["SCRAM-SHA-512", "SCRAM-SHA-256"], doc("What the brokers speak; for scram.")
    ] = "SCRAM-SHA-512"
    username: Annotated[str, doc("For scram.")] = ""
    password: Annotated[
        str, doc("For scram; give ${env:NAME} or ${file:/path}, never the text itself.")
    ] = ""


class Kinesis(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Kinesis streams are reached; credentials come from AWS's default chain."""

    region: Annotated[
        str, doc("AWS region of streams given by name; one given by ARN has its own.")
    ] = ""
    endpoint: Annotated[
        str, doc("Instead of AWS's own, for a local server; plain http for 127.0.0.1 only.")
    ] = ""
    allow_plaintext: Annotated[
        bool, doc("Allow http to an endpoint beyond 127.0.0.1: anyone on the way can read.")
    ] = False


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


class Target(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where records go that are not the lake's: S3, a Kafka topic or a Kinesis stream."""

    kafka_topic: Annotated[OptionalTopic, doc("A Kafka topic, which must be there.")] = ""
    kafka_cluster: Annotated[str, doc("A name in `clusters`; empty: the section `kafka`.")] = ""
    kinesis_stream: Annotated[OptionalStream, doc("A Kinesis stream, by name or ARN.")] = ""


class SealedTarget(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


class Archive(SealedTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every raw record, before anything touches it: to path, kafka_topic or kinesis_stream."""

    path: Annotated[
        OptionalPath, doc("s3a://bucket/prefix (or file:// on one machine). Exactly once.")
    ] = ""
    kafka_topic: Annotated[OptionalTopic, doc("Exactly once, by transactions.")] = ""
    kinesis_stream: Annotated[OptionalStream, doc("By name or ARN. At least once.")] = ""


class DeadLetters(SealedTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
