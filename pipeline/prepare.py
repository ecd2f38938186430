"""Make what a configuration names and is not there yet: topics, streams, buckets and indices.

On a server that is not AWS's this makes everything. On AWS, buckets and streams cost money and have
an owner, so the command that makes one is printed instead.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from connectors.aws import reported
from connectors.kafka import admin as kafka_admin
from connectors.kinesis import reader as kinesis_reader
from connectors.kinesis.table import stream_of
from connectors.opensearch import client as opensearch
from connectors.opensearch.options import index_name
from connectors.opensearch.templates import ensure_templates
from connectors.s3.client import has_bucket, reporting, s3_client
from pipeline.config.checks import folders, streams, targets
from pipeline.config.load import event_types
from pipeline.config.model import Config, Replica
from pipeline.events.derive import mapping

_SOURCE_TOPIC: Final = {"message.timestamp.type": "LogAppendTime"}
"""The arrival is the broker's time, and not what a producer says."""
_WHOLE_RECORDS: Final = {"max.message.bytes": str(2 * 1024 * 1024)}
"""A raw record and its headers are larger than the largest record of a topic with the default."""


class Prepared(NamedTuple):
    """One thing that the configuration names.

    `state` is exists, made, missing (a dry run) or yours; then `command` makes it.
    """

    kind: str
    name: str
    state: str
    command: str = ""


def prepare(
    config: Config, environment: Mapping[str, str], *, partitions: int, dry_run: bool
) -> Iterator[Prepared]:
    """Make what is missing, and yield each thing when it is there.

    A topic gets `partitions` partitions and the broker's number of replicas, a stream one shard.

    Raises:
        UserError: a system does not answer, or denies the request.
    """
    yield from _topics(config, partitions, dry_run=dry_run)
    yield from _streams(config, environment, dry_run=dry_run)
    yield from _buckets(config, environment, dry_run=dry_run)
    yield from _indices(config, dry_run=dry_run)


def topics_of(config: Config) -> dict[tuple[str, str], dict[str, str]]:
    """Return the settings of each topic of the configuration, by cluster and topic."""
    topics: dict[tuple[str, str], dict[str, str]] = {}
    for target in targets(config).values():
        if target.kafka_topic:
            is_raw = not isinstance(target, Replica)
            topics[target.kafka_cluster, target.kafka_topic] = _WHOLE_RECORDS if is_raw else {}
    source = config.source
    return topics | {(source.kafka_cluster, topic): _SOURCE_TOPIC for topic in source.kafka_topics}


def buckets_of(config: Config) -> list[str]:
    """Return the buckets that the configuration writes to."""
    paths = {*folders(config).values(), config.job.checkpoint_dir}
    return sorted({path.split("/")[2] for path in paths if path.startswith("s3a://")})


def _topics(config: Config, partitions: int, *, dry_run: bool) -> Iterator[Prepared]:
    topics = topics_of(config)
    clusters = sorted({cluster for cluster, _ in topics})
    brokers = {name: kafka_admin.connect(config.cluster(name)) for name in clusters}
    for (cluster, topic), settings in sorted(topics.items()):
        if topic in brokers[cluster].topics:
            yield Prepared("topic", topic, "exists")
            continue
        if not dry_run:
            brokers[cluster].create(topic, partitions, settings)
        yield Prepared("topic", topic, "missing" if dry_run else "made")


def _streams(
    config: Config, environment: Mapping[str, str], *, dry_run: bool
) -> Iterator[Prepared]:
    endpoint = config.kinesis.endpoint
    for name in sorted({name for _, name in streams(config)}):
        stream = stream_of(name, config.kinesis)
        client = kinesis_reader.connect(stream, endpoint, environment)
        with reported(f"look for the stream {stream.name}"):
            try:
                client.describe_stream_summary(StreamName=stream.name)
                yield Prepared("stream", stream.name, "exists")
                continue
            except client.exceptions.ResourceNotFoundException:
                pass
        if endpoint and not dry_run:
            with reported(f"make the stream {stream.name}"):
                client.create_stream(StreamName=stream.name, ShardCount=1)
                client.get_waiter("stream_exists").wait(StreamName=stream.name)
        command = (
            f"aws kinesis create-stream --stream-name {stream.name} --region {stream.region}"
            " --stream-mode-details StreamMode=ON_DEMAND"
        )
        yield _missing("stream", stream.name, command, is_local=bool(endpoint), dry_run=dry_run)


def _buckets(
    config: Config, environment: Mapping[str, str], *, dry_run: bool
) -> Iterator[Prepared]:
    client: Any = s3_client(environment)
    is_local = bool(environment.get("S3_ENDPOINT"))
    for bucket in buckets_of(config):
        if has_bucket(client, bucket):
            yield Prepared("bucket", bucket, "exists")
            continue
        if is_local and not dry_run:
            with reporting("make the bucket", bucket):
                client.create_bucket(Bucket=bucket)
        command = f"aws s3 mb s3://{shlex.quote(bucket)}"
        yield _missing("bucket", bucket, command, is_local=is_local, dry_run=dry_run)


def _indices(config: Config, *, dry_run: bool) -> Iterator[Prepared]:
    if config.index is None:
        return
    types, client = event_types(config), opensearch.client(config.index)
    with opensearch.reported("look for the indices"):
        names = {name: index_name(config.index.prefix, name) for name in types.names}
        present = {name for name in names.values() if client.indices.exists(index=name)}
    if not dry_run:
        mappings = {event_type.name: mapping(event_type) for event_type in types}
        ensure_templates(client, mappings, config.index)
    for name in names.values():
        state = "exists" if name in present else "missing" if dry_run else "made"
        yield Prepared("index", name, state)


def _missing(kind: str, name: str, command: str, *, is_local: bool, dry_run: bool) -> Prepared:
    if not is_local:
        return Prepared(kind, name, "yours", command)
    return Prepared(kind, name, "missing" if dry_run else "made")
