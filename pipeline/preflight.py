"""Checks before the job starts: topics and streams exist, indices are created.

On a first start, fail if a dependency is unreachable. A job that comes back, from a savepoint or
after a restart of its JobManager, starts without OpenSearch: the lake must go on, and the index
step handles an outage by itself.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import NamedTuple

from connectors.errors import UserError
from connectors.kafka.brokers import Brokers, Connect
from connectors.kafka.table import HEADERS_BYTES
from connectors.kinesis import reader as kinesis_reader
from connectors.kinesis import table as kinesis
from connectors.opensearch import client as opensearch
from connectors.opensearch.templates import IndexAway, ensure_templates
from connectors.s3.store import is_local, open_store
from connectors.s3.uploads import PROBE, Uploads
from connectors.schema_registry.client import Registry
from connectors.schema_registry.options import SchemaRegistry
from pipeline.config.checks import (
    REPLICA_KEY_BYTES,
    folders,
    streams,
    targets,
    transaction_too_short,
    transactional,
)
from pipeline.config.filters import unknown_event_types
from pipeline.config.model import Archive, Config, DeadLetters, Replica
from pipeline.events.derive import mapping
from pipeline.events.event_types import EventTypes


def outside(
    config: Config, types: EventTypes, checkpoint_seconds: float | None, connect: Connect
) -> None:
    """Check the outside systems of this configuration, without a change to any.

    `checkpoint_seconds` is the effective interval, the cluster's own setting included. `connect`
    connects to Kafka: by Kafka's own client where Flink's JVM is, else by librdkafka.

    Raises:
        UserError: which system, its answer, what to do.
    """
    for problem in problems(config, types, checkpoint_seconds, connect):
        raise UserError(problem)


def indices(config: Config, types: EventTypes, *, may_be_away: bool) -> None:
    """Create the indices, or add the fields that they lack.

    If OpenSearch is unreachable and `may_be_away`, print a warning; each index worker then creates
    the indices before its first request, and until it can, events become dead letters.

    Raises:
        UserError: a field of an index has another definition, or OpenSearch is unreachable.
    """
    if config.index is None:
        return
    mappings = {event_type.name: mapping(event_type) for event_type in types}
    try:
        ensure_templates(opensearch.client(config.index), mappings, config.index)
    except IndexAway as away:
        if not may_be_away:
            raise
        print(f"warning: starting without the index: {away}", file=sys.stderr)


def paths(config: Config, environment: Mapping[str, str]) -> None:
    """Write a probe below each path of the job, and delete it.

    Raises:
        UserError: a bucket is missing, S3 denies access or does not answer, or a folder cannot be
            written to; the message names the key.
    """
    for key, path in written(config).items():
        probe(key, path, environment)


def written(config: Config) -> dict[str, str]:
    """Return each path that the job writes below, by its key."""
    paths = {**folders(config), "job.checkpoint_dir": config.job.checkpoint_dir}
    return {key: path for key, path in paths.items() if path}


def probe(key: str, path: str, environment: Mapping[str, str]) -> None:
    """Write a probe below a path, and delete it; UserError as `paths`."""
    try:
        if is_local(path):
            name = f"{PROBE}-{uuid.uuid4().hex}"
            open_store(path).write(name, b"")
            open_store(path).delete(name)
        else:
            Uploads(path, environment).probe()
    except UserError as error:
        raise UserError(f"{key}: {error}") from error


class Check(NamedTuple):
    """One thing to check: its name, and what yields why it prevents the start.

    `problems` may also raise UserError, if a system does not answer.
    """

    name: str
    problems: Callable[[], Iterator[str]]


def problems(
    config: Config, types: EventTypes, checkpoint_seconds: float | None, connect: Connect
) -> Iterator[str]:
    """Yield what prevents the start, most fundamental first."""
    for check in checks(config, types, checkpoint_seconds, connect):
        yield from check.problems()


def checks(
    config: Config, types: EventTypes, checkpoint_seconds: float | None, connect: Connect
) -> Iterator[Check]:
    """Yield the checks of topics and streams, most fundamental first."""
    if (registry := config.schema_registry) and registry.url:
        yield Check(f"schema_registry.url {registry.url}", partial(_registry, registry))
    if config.replicate:
        yield Check("event types of the replicas", lambda: unknown_event_types(config, types))
    for key, name in streams(config):
        yield Check(f"{key} {name}", partial(_stream, config, key, name))
    clusters = _Clusters(config, connect)
    source, to = config.source, targets(config)
    for name in clusters.names:
        yield Check(
            f"Kafka at {config.cluster(name).bootstrap_servers}", partial(clusters.no_problem, name)
        )
    for topic in source.kafka_topics:
        key = "source.kafka_topics"
        yield Check(f"{key} {topic}", partial(_topic, clusters, source.kafka_cluster, topic, key))
    yield from (
        Check(f"replicate.{name}.max_bytes", partial(_stream_room, config, name))
        for name, replica in config.replicate.items()
        if replica.kinesis_stream
    )
    largest = cache(lambda: _largest_record(config, clusters))
    for key, target in to.items():
        if target.kafka_topic:
            yield Check(
                f"{key}.kafka_topic {target.kafka_topic}",
                partial(_target, clusters, key, target, largest),
            )
    if transactional(config):
        yield Check(
            "job.transaction_timeout_seconds",
            lambda: _transactions(config, clusters, checkpoint_seconds),
        )


def _registry(options: SchemaRegistry) -> Iterator[str]:
    try:
        Registry(options).check()
    except UserError as error:
        yield str(error)


class _Clusters:
    """The Kafka clusters of a configuration; each is connected when it is first needed."""

    def __init__(self, config: Config, connect: Connect) -> None:
        self._config, self._connect = config, connect
        self._connected: dict[str, Brokers | UserError] = {}
        names = {target.kafka_cluster for target in targets(config).values() if target.kafka_topic}
        if config.source.kafka_topics:
            names.add(config.source.kafka_cluster)
        self.names = sorted(names)

    def __getitem__(self, name: str) -> Brokers:
        """Return the brokers of a cluster; UserError, at once the second time, without one."""
        if name not in self._connected:
            try:
                self._connected[name] = self._connect(self._config.cluster(name))
            except UserError as error:
                self._connected[name] = error
        found = self._connected[name]
        if isinstance(found, UserError):
            raise found
        return found

    def no_problem(self, name: str) -> Iterator[str]:
        """Connect a cluster; there is no problem if that succeeds."""
        assert self[name]
        return iter(())


def _topic(clusters: _Clusters, cluster: str, topic: str, key: str) -> Iterator[str]:
    yield from clusters[cluster].missing(topic, key)


def _target(
    clusters: _Clusters,
    key: str,
    target: Archive | DeadLetters | Replica,
    largest: Callable[[], int],
) -> Iterator[str]:
    brokers = clusters[target.kafka_cluster]
    yield from brokers.missing(target.kafka_topic, f"{key}.kafka_topic")
    yield from _room(key, target, brokers, largest())


def _largest_record(config: Config, clusters: _Clusters) -> int:
    """Return the largest raw record that a source may hold, in bytes."""
    source = config.source
    sizes = [clusters[source.kafka_cluster].max_message_bytes(name) for name in source.kafka_topics]
    for name in source.kinesis_streams:
        stream = kinesis.stream_of(name, config.kinesis)
        sizes.append(kinesis_reader.largest_record(stream, config.kinesis.endpoint))
    return max(sizes)


def _stream_room(config: Config, name: str) -> Iterator[str]:
    """Yield a stream whose owner does not allow records as large as a replica's may be."""
    replica = config.replicate[name]
    needed = replica.max_bytes + REPLICA_KEY_BYTES
    if needed <= kinesis.RECORD_BYTES:
        return
    stream = kinesis.stream_of(replica.kinesis_stream, config.kinesis)
    room = kinesis_reader.largest_record(stream, config.kinesis.endpoint)
    if room < needed:
        yield (
            f"replicate.{name}.max_bytes is {replica.max_bytes:,}, but {stream.name} takes"
            f" records of {room:,} bytes, its MaxRecordSizeInKiB; lower the one to"
            f" {room - REPLICA_KEY_BYTES:,} or raise the other."
        )


def _room(
    key: str, target: Archive | DeadLetters | Replica, brokers: Brokers, largest: int
) -> Iterator[str]:
    """Yield a topic that is too small: Kafka would refuse a message and the job never go on."""
    has_claim_check = not isinstance(target, Replica) and target.large_path
    needed = target.max_bytes if isinstance(target, Replica) or has_claim_check else largest
    needed += HEADERS_BYTES
    room = brokers.max_message_bytes(target.kafka_topic)
    if room < needed:
        remedy = "" if isinstance(target, Replica) else f", or give {key}.large_path"
        yield (
            f"{key}.kafka_topic: {target.kafka_topic} takes messages of {room:,} bytes, the largest"
            f" one here, headers included, may have {needed:,}; set its max.message.bytes to"
            f" {needed} or more, or lower {key}.max_bytes{remedy}."
        )


def _transactions(
    config: Config, clusters: _Clusters, checkpoint_seconds: float | None
) -> Iterator[str]:
    timeout = config.job.transaction_timeout_seconds
    keys = transactional(config)
    if keys and checkpoint_seconds is None:
        yield (
            f"{keys[0]} writes by transactions, but checkpoints are off; set"
            " job.checkpoint_seconds, or on the managed service the application's."
        )
    elif keys and checkpoint_seconds:
        yield from transaction_too_short(timeout, checkpoint_seconds)
    for key in keys:
        allowed = clusters[targets(config)[key].kafka_cluster].max_transaction_millis()
        if allowed is not None and timeout * 1000 > allowed:
            yield (
                f"job.transaction_timeout_seconds is {timeout} ({timeout * 1000} ms), and the"
                f" brokers of {key} allow {allowed} ms (transaction.max.timeout.ms); lower the one"
                " or raise the other."
            )


def _stream(config: Config, key: str, name: str) -> Iterator[str]:
    stream = kinesis.stream_of(name, config.kinesis)
    yield from kinesis_reader.problem(f"{key}: {name}", stream, config.kinesis.endpoint)
