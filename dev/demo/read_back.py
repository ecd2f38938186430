"""Reads every sink of a configuration back and compares it with the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.errors import UserError
from connectors.kafka import reader as kafka_topic
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.table import stream_of
from connectors.opensearch import client as opensearch
from connectors.opensearch.options import index_name
from connectors.s3.storage import Store, store_at
from dev.demo import read_archive, read_dead_letters, read_replica
from dev.demo.findings import Verdict
from dev.demo.ledger import Ledger
from dev.demo.read_index import IndexedDocuments, from_opensearch
from dev.demo.read_lake import read_lake
from dev.demo.verify import ReplicaFound, verify
from pipeline.config import load as load_config
from pipeline.config.model import Archive, Config, DeadLetters, Replica
from pipeline.ops.lake.content import Lake
from pipeline.ops.readers import carried
from pipeline.progress import Steps

Chosen = Callable[[Ledger], NDArray[np.bool_]]
"""Which lines of a ledger belong in a replica."""


def verdict(
    ledger: Ledger,
    config: Config,
    environment: Mapping[str, str],
    steps: Steps,
    *,
    replicas: Mapping[str, Chosen] | None = None,
) -> Verdict:
    """The verdict on all sinks that the configuration has.

    `replicas` says of each replica with a filter which lines pass it; event types are minded here.
    """
    event_types = list(load_config.event_types(config).names)
    edges = _Edges(ledger, config, environment)
    with steps.step("reading the archive back"):
        archive = edges.archive(config.archive) if config.archive else None
    with steps.step("reading the lake back"):
        lake = (
            read_lake(Lake(edges.store(config.lake.path)), ledger, event_types)
            if config.lake
            else None
        )
    with steps.step("reading the dead letters back"):
        dead_letters = edges.dead_letters(config.dead_letters) if config.dead_letters else None
    with steps.step("reading the index back"):
        index = _index(config, event_types)
    with steps.step("reading the replicas back"):
        copies = {
            name: edges.replica(name, settings, (replicas or {}).get(name))
            for name, settings in config.replicate.items()
        }
    return verify(
        ledger,
        event_types=event_types,
        archive=archive,
        lake=lake,
        dead_letters=dead_letters,
        index=index,
        replicas=copies,
        exactly_once_archive=bool(config.archive and not config.archive.kinesis_stream),
        exactly_once_dead_letters=bool(config.dead_letters and config.dead_letters.path),
    )


@dataclass(frozen=True, slots=True)
class _Edges:
    """How archive, dead letters and replicas are reached, whatever their back end."""

    ledger: Ledger
    config: Config
    environment: Mapping[str, str]

    def archive(self, settings: Archive) -> read_archive.ArchiveRecords:
        """Every record of the archive."""
        if settings.path:
            return read_archive.read_archive(self.store(settings.path), self.ledger)
        if settings.kafka_topic:
            cluster = self.config.cluster(settings.kafka_cluster)
            messages = kafka_topic.messages(cluster, settings.kafka_topic)
            found = (carried.of_message(message, "source.") for message in messages)
        else:
            records = kinesis_stream.records(*self.stream(settings.kinesis_stream))
            found = (carried.of_envelope(record) for record in records)
        return read_archive.read_carried(found, self.ledger, self.store)

    def dead_letters(self, settings: DeadLetters) -> read_dead_letters.DeadLetters:
        """Every dead letter."""
        if settings.path:
            found = read_dead_letters.from_parquet(self.store(settings.path))
        elif settings.kafka_topic:
            cluster = self.config.cluster(settings.kafka_cluster)
            found = read_dead_letters.from_kafka(cluster, settings.kafka_topic, self.store)
        else:
            client, stream = self.stream(settings.kinesis_stream)
            found = read_dead_letters.from_kinesis(client, stream, self.store)
        return read_dead_letters.collect(found, self.ledger)

    def replica(self, name: str, settings: Replica, chosen: Chosen | None) -> ReplicaFound:
        """Every event of a replica, and which belong there."""
        if settings.filter and chosen is None:
            raise UserError(f"the replica {name} has a filter: say which lines of the ledger pass")
        due = chosen(self.ledger) if chosen else np.ones(len(self.ledger), dtype=np.bool_)
        if settings.event_types:
            due &= self.ledger.codes("event_type", list(settings.event_types)) >= 0
        if settings.kafka_topic:
            cluster = self.config.cluster(settings.kafka_cluster)
            found = read_replica.from_kafka(cluster, settings.kafka_topic)
        else:
            found = read_replica.from_kinesis(*self.stream(settings.kinesis_stream))
        exactly_once = bool(settings.kafka_topic) and settings.guarantee == "exactly_once"
        records = read_replica.read_replica(found, self.ledger)
        return ReplicaFound(records=records, chosen=due, exactly_once=exactly_once)

    def stream(self, name: str) -> tuple[Any, str]:
        """A client for that stream, and the stream's name."""
        stream = stream_of(name, self.config.kinesis)
        endpoint = self.config.kinesis.endpoint
        return kinesis_stream.connect(stream, endpoint, self.environment), stream.name

    def store(self, path: str) -> Store:
        """What lies below that path."""
        return store_at(path, self.environment)


def _index(config: Config, event_types: list[str]) -> list[IndexedDocuments] | None:
    if config.index is None:
        return None
    client = opensearch.client(config.index)
    prefix = config.index.prefix
    return [from_opensearch(client, index_name(prefix, name), name) for name in event_types]
