"""Asks how far completed checkpoints are: the group's offsets, and what the archive has of shards.

Flink commits offsets to the group when a checkpoint has completed (an idle source up to ten seconds
later: its reader is not woken from a poll for that). Of Kinesis nothing is committed anywhere, so
a shard is covered up to the last record of it in the archive, else in the lake.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Consumer, KafkaException

from connectors.kafka import reader as kafka_topic
from connectors.kafka.security import librdkafka_options
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.table import stream_of
from connectors.s3 import storage
from pipeline.ops.reconcile.bounds import Covered, Interval, Partition, Shard
from pipeline.ops.reconcile.carriers import envelope_pages, message_pages
from pipeline.ops.systems import Systems

_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.5
_PLACE: Final = ["stream", "shard", "sequence_number"]

Ends = Mapping[str, Mapping[int, tuple[int, int]]]


def ends(systems: Systems) -> Ends:
    """The first offset there is and the one after the last, by topic and partition."""
    source = systems.config.source
    if not source.kafka_topics:
        return {}
    cluster = systems.config.cluster(source.kafka_cluster)
    return {topic: kafka_topic.ends(cluster, topic) for topic in source.kafka_topics}


def covered(systems: Systems, *, complete: bool, from_archive: bool) -> Covered:
    """How far the job is; with `complete` as far as the source is."""
    if complete and from_archive:
        return Covered({}, {}, open=True)
    source = systems.config.source
    partitions: dict[Partition, Interval] = {}
    uncommitted, pending = [], 0
    for topic, found in ends(systems).items():
        stops = {p: high for p, (_, high) in found.items()}
        committed = stops if complete else _committed(systems, topic, list(found))
        if not complete and not any(committed.values()):
            uncommitted.append(topic)
        partitions |= {(topic, p): (0, committed[p] - 1) for p in found}
        pending += sum(max(0, high - max(low, committed[p])) for p, (low, high) in found.items())
    shards = _shards(systems, complete=complete) if source.kinesis_streams else {}
    return Covered(partitions, shards, pending, uncommitted=tuple(uncommitted))


def _committed(systems: Systems, topic: str, partitions: list[int]) -> dict[int, int]:
    """The group's offsets; 0 where it has committed none."""
    source = systems.config.source
    cluster = systems.config.cluster(source.kafka_cluster)
    # A consumer that never subscribes, and not the admin client: that one crashes while the
    # group's coordinator is still loading (librdkafka 2.16).
    options = {"group.id": source.kafka_group_id, "enable.auto.commit": False}
    group = Consumer({**librdkafka_options(cluster), **options})
    deadline = time.monotonic() + _SECONDS
    try:
        while True:
            try:
                return kafka_topic.committed(group, topic, partitions)
            except KafkaException as error:
                if not kafka_topic.has_no_coordinator_yet(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(_PAUSE_SECONDS)
    finally:
        group.close()


def _shards(systems: Systems, *, complete: bool) -> dict[Shard, Interval]:
    if complete:
        names = (stream_of(each, systems.config.kinesis) for each in _streams(systems))
        return {
            (stream.name, shard): (0, None)
            for stream in names
            for shard in kinesis_stream.shards(*systems.stream(stream.arn or stream.name))
        }
    highest: dict[Shard, int] = {}
    for table in _archived(systems):
        _raise(highest, table)
    return {shard: (0, last) for shard, last in highest.items()}


def _streams(systems: Systems) -> tuple[str, ...]:
    return systems.config.source.kinesis_streams


def _raise(highest: dict[Shard, int], table: pa.Table) -> None:
    rows = table.filter(pc.is_valid(table.column("stream")))
    places = zip(*(rows.column(name).to_pylist() for name in _PLACE), strict=True)
    for stream, shard, sequence in places:
        if sequence and sequence.isdecimal():
            highest[stream, shard] = max(highest.get((stream, shard), 0), int(sequence))


def _archived(systems: Systems) -> Iterator[pa.Table]:
    """The Kinesis positions of the archive, or else of the lake."""
    config = systems.config
    if config.archive and config.archive.kafka_topic:
        cluster = config.cluster(config.archive.kafka_cluster)
        pages = message_pages(kafka_topic.pages(cluster, config.archive.kafka_topic), "source.")
        yield from (page.table for page in pages)
    elif config.archive and config.archive.kinesis_stream:
        records = kinesis_stream.records(*systems.stream(config.archive.kinesis_stream))
        yield from (page.table for page in envelope_pages(records))
    elif config.archive:
        yield from _stored(systems.store(config.archive.path), "")
    elif config.lake:
        yield from _stored(systems.lake(config.lake.path), "source_")


def _stored(store: storage.Store, prefix: str) -> Iterator[pa.Table]:
    columns = [prefix + name for name in _PLACE]
    for page in storage.pages(store, store.listing(), columns):
        for _, table in page:
            if table.num_columns == len(_PLACE):
                yield table.select(columns).rename_columns(_PLACE)
