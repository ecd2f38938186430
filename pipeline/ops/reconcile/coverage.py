"""Which positions are judged: those requested, as far as completed checkpoints cover them.

Flink commits offsets to the consumer group when a checkpoint has completed (an idle source up to
ten seconds later: its reader is not woken from a poll for that). For Kinesis nothing is committed
anywhere, so a shard is covered up to its last record in the archive, else in the lake.

Coverage is read before any sink, so what it covers is in the sinks, or will be in a moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from connectors.errors import UserError
from connectors.kafka import reader as kafka_topic
from connectors.kafka.reader import committed_offsets
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.table import stream_of
from pipeline.ops.reconcile.options import Options, Span
from pipeline.ops.systems import Systems

Interval = tuple[int, int | None]
"""First and last position, both included; None: without end."""
Partition = tuple[str, int]
Shard = tuple[str, str]
Key = TypeVar("Key", Partition, Shard)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What completed checkpoints cover, whether the source still holds it or not.

    An interval's last is the last position covered, None: all. With `is_open` nothing is known of
    the source, so every position is covered. `pending` counts the Kafka offsets beyond (an open
    transaction and its markers count too). `uncommitted` topics have no committed offset.
    """

    partitions: Mapping[Partition, Interval]
    shards: Mapping[Shard, Interval]
    pending: int = 0
    is_open: bool = False
    uncommitted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The positions to judge in each partition and shard, and the arrival times.

    With `whole`, no range was requested: then a topic that is not in `sources` is judged too, since
    it may be the archive's, and is unexpected otherwise; and with `open_shards` an unknown shard.
    `since` and `until` (exclusive) are epoch milliseconds.
    """

    partitions: Mapping[Partition, list[Interval]]
    shards: Mapping[Shard, list[Interval]]
    whole: bool
    open_shards: bool = False
    since: int | None = None
    until: int | None = None
    sources: frozenset[str] = field(default_factory=frozenset)

    def of_partition(self, topic: str, partition: int) -> list[Interval]:
        """What is judged of a partition."""
        if (topic, partition) in self.partitions:
            return self.partitions[topic, partition]
        return [(0, None)] if self.whole and topic not in self.sources else []

    def of_shard(self, stream: str, shard: str) -> list[Interval]:
        """What is judged of a shard."""
        if (stream, shard) in self.shards:
            return self.shards[stream, shard]
        return [(0, None)] if self.whole and self.open_shards else []

    def spans(self, topic: str) -> dict[int, tuple[int, int | None]]:
        """What to read of a topic: each partition's first offset, and the one after the last."""
        found: dict[int, tuple[int, int | None]] = {}
        for (name, partition), intervals in self.partitions.items():
            if name == topic and intervals:
                last = intervals[-1][1]
                found[partition] = (intervals[0][0], None if last is None else last + 1)
        return found

    def texts(self) -> list[str]:
        """The positions to judge, as ranges; an end that is not known is left out."""
        kafka = ((f"{t}/{p}", intervals) for (t, p), intervals in self.partitions.items())
        kinesis = ((f"{s}/{x}", intervals) for (s, x), intervals in self.shards.items())
        return [
            f"{where}@{first}..{'' if last is None else last}"
            for where, intervals in (*kafka, *kinesis)
            for first, last in intervals
        ]


def bounds(coverage: Coverage, options: Options, sources: Iterable[str]) -> Bounds:
    """What is covered, cut to what is requested.

    Raises:
        UserError: a range names a topic or stream that is not in `sources`.
    """
    known = frozenset(sources)
    for one in options.spans:
        if one.place not in known:
            raise UserError(
                f"--range {one.place}/{one.part}: the configuration reads no {one.place!r}; it"
                f" reads {', '.join(sorted(known))}"
            )
    if coverage.is_open:
        coverage, known = _open(options.spans), frozenset()
    whole = not options.spans
    return Bounds(
        partitions=_cut(coverage.partitions, _requested(options.spans, kafka=True), whole=whole),
        shards=_cut(coverage.shards, _requested(options.spans, kafka=False), whole=whole),
        whole=whole,
        open_shards=options.complete,
        since=options.since,
        until=options.until,
        sources=known,
    )


def _open(spans: Iterable[Span]) -> Coverage:
    """Everything covered, in the partitions and shards that are requested."""
    partitions: dict[Partition, Interval] = {}
    shards: dict[Shard, Interval] = {}
    for one in spans:
        if one.on_kafka:
            partitions[one.place, int(one.part)] = (0, None)
        else:
            shards[one.place, one.part] = (0, None)
    return Coverage(partitions, shards)


def _requested(spans: Iterable[Span], *, kafka: bool) -> dict[Shard, list[Interval]]:
    intervals: dict[Shard, list[Interval]] = defaultdict(list)
    for one in spans:
        if one.on_kafka == kafka:
            intervals[one.place, one.part].append((one.first or 0, one.last))
    return intervals


def _cut(
    covered: Mapping[Key, Interval], requested: Mapping[Shard, list[Interval]], *, whole: bool
) -> dict[Key, list[Interval]]:
    """Of each partition or shard the intervals both covered and requested, ascending, disjoint."""
    cut: dict[Key, list[Interval]] = {}
    for key, (first, last) in covered.items():
        parts = [(0, None)] if whole else requested.get((key[0], str(key[1])), [])
        both = ((max(first, start), _smaller(last, end)) for start, end in parts)
        cut[key] = _merged([(a, b) for a, b in both if b is None or b >= a])
    return cut


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _merged(intervals: list[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for first, last in sorted(intervals, key=lambda each: each[0]):
        if merged and (merged[-1][1] is None or merged[-1][1] >= first):
            start, end = merged[-1]
            merged[-1] = (start, None if end is None or last is None else max(end, last))
        else:
            merged.append((first, last))
    return merged


def read(systems: Systems, *, complete: bool, from_archive: bool) -> Coverage:
    """How far the job is on Kafka; with `complete`, how far the source is.

    Shards are covered without end with `complete`, and are not in the result otherwise.
    """
    if complete and from_archive:
        return Coverage({}, {}, is_open=True)
    source = systems.config.source
    partitions: dict[Partition, Interval] = {}
    uncommitted, pending = [], 0
    for topic in source.kafka_topics:
        ends = kafka_topic.ends(systems.config.cluster(source.kafka_cluster), topic)
        stops = {partition: high for partition, (_, high) in ends.items()}
        committed = stops if complete else _committed(systems, topic, list(ends))
        if not complete and not any(committed.values()):
            uncommitted.append(topic)
        partitions |= {(topic, p): (0, committed[p] - 1) for p in ends}
        pending += sum(max(0, high - max(low, committed[p])) for p, (low, high) in ends.items())
    shards = _all_shards(systems) if complete else {}
    return Coverage(partitions, shards, pending, uncommitted=tuple(uncommitted))


def _committed(systems: Systems, topic: str, partitions: list[int]) -> dict[int, int]:
    """The group's offsets; 0 where it has committed none."""
    source = systems.config.source
    cluster = systems.config.cluster(source.kafka_cluster)
    return committed_offsets(
        cluster, topic=topic, group_id=source.kafka_group_id, partitions=partitions
    )


def _all_shards(systems: Systems) -> dict[Shard, Interval]:
    streams = (
        stream_of(each, systems.config.kinesis) for each in systems.config.source.kinesis_streams
    )
    return {
        (stream.name, shard): (0, None)
        for stream in streams
        for shard in kinesis_stream.shards(*systems.stream(stream.arn or stream.name))
    }
