"""Determine the positions to judge: those requested, as far as completed checkpoints cover them.

Flink commits offsets to the consumer group when a checkpoint has completed (an idle source up to
ten seconds later: its reader is not woken from a poll for that). For Kinesis nothing is committed
anywhere, so a shard is covered up to its last record in the archive, else in the lake.

Coverage is read before any sink, so what it covers is in the sinks or soon will be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from connectors.errors import UserError
from connectors.kafka import reader as kafka_topic
from connectors.kafka.reader import committed_offsets
from connectors.kinesis import reader as kinesis_stream
from pipeline.ops.reconcile.options import END, Interval, Options, Part
from pipeline.ops.systems import Systems

_ALL: Final = (0, END)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What completed checkpoints cover, whether the source still holds it or not.

    If `parts` is None, nothing is known of the source, so every position is covered. `pending`
    counts the Kafka offsets beyond the coverage, including open transactions and their markers.
    `uncommitted` are the topics without a committed offset.
    """

    parts: Mapping[Part, Interval] | None
    pending: int = 0
    uncommitted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The positions to judge in each partition and shard, and the arrival times.

    `whole`: no range was requested. Then a topic that is not in `sources` is judged too (it may be
    the archive's, else it is unexpected), and with `open_shards` also an unknown shard.
    `since` and `until` (exclusive) are epoch milliseconds.
    """

    parts: Mapping[Part, list[Interval]]
    whole: bool
    open_shards: bool = False
    since: int | None = None
    until: int | None = None
    sources: frozenset[str] = frozenset()

    def of(self, part: Part) -> list[Interval]:
        """Return the intervals to judge of a partition or shard."""
        source, _, shard = part
        is_open = self.whole and (self.open_shards if shard else source not in self.sources)
        return self.parts.get(part, [_ALL] if is_open else [])

    def spans(self, topic: str) -> dict[int, Interval]:
        """Return the first and the last offset to read of each of a topic's partitions."""
        return {
            partition: (intervals[0][0], intervals[-1][1])
            for (source, partition, shard), intervals in self.parts.items()
            if source == topic and not shard and intervals
        }

    def texts(self) -> list[str]:
        """Return the positions to judge, as ranges; leave out an unknown end."""
        return [
            f"{source}/{shard or partition}@{first}..{'' if last == END else last}"
            for (source, partition, shard), intervals in self.parts.items()
            for first, last in intervals
        ]


def bounds(coverage: Coverage, options: Options, sources: Iterable[str]) -> Bounds:
    """Return the intersection of the coverage and the requested ranges.

    Raises:
        UserError: a range names a topic or stream that is not in `sources`.
    """
    known, whole = frozenset(sources), not options.spans
    requested: dict[Part, list[Interval]] = defaultdict(list)
    for span in options.spans:
        if span.place not in known:
            raise UserError(
                f"--range {span.place}/{span.part}: the configuration reads no {span.place!r}; it"
                f" reads {', '.join(sorted(known))}"
            )
        requested[span.key].append(span.interval)
    covered = coverage.parts
    if covered is None:
        covered, known = dict.fromkeys(requested, _ALL), frozenset()
    return Bounds(
        parts={
            part: _merged([_ALL] if whole else requested[part], *interval)
            for part, interval in covered.items()
        },
        whole=whole,
        open_shards=options.complete,
        since=options.since,
        until=options.until,
        sources=known,
    )


def _merged(intervals: list[Interval], lowest: int, highest: int) -> list[Interval]:
    """Return the intervals clipped to both limits, ascending and disjoint."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        first, last = max(start, lowest), min(end, highest)
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        elif first <= last:
            merged.append((first, last))
    return merged


def read(
    systems: Systems, options: Options, shards: Callable[[], Mapping[Part, Interval]]
) -> Coverage:
    """Return how far the job has read; with `complete`, how far the source reaches.

    `shards` is called for the job's progress in each shard.
    """
    if options.complete and options.from_archive:
        return Coverage(None)
    source = systems.config.source
    parts: dict[Part, Interval] = {}
    uncommitted, pending = [], 0
    for topic in source.kafka_topics:
        cluster = systems.config.cluster(source.kafka_cluster)
        ends = kafka_topic.ends(cluster, topic)
        stops = {partition: high for partition, (_, high) in ends.items()}
        if not options.complete:
            stops = committed_offsets(
                cluster, topic=topic, group_id=source.kafka_group_id, partitions=list(ends)
            )
            if not any(stops.values()):
                uncommitted.append(topic)
        parts |= {(topic, p, ""): (0, stops[p] - 1) for p in ends}
        pending += sum(max(0, high - max(low, stops[p])) for p, (low, high) in ends.items())
    if source.kinesis_streams:
        parts |= dict.fromkeys(_shards(systems), _ALL) if options.complete else shards()
    return Coverage(parts, pending, tuple(uncommitted))


def _shards(systems: Systems) -> Iterator[Part]:
    for name_or_arn in systems.config.source.kinesis_streams:
        client, stream = systems.stream(name_or_arn)
        for shard in kinesis_stream.shards(client, stream):
            yield stream, -1, shard
