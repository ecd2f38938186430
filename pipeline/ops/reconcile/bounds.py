"""Which positions are judged: those asked for, as far as completed checkpoints cover them.

Bounds are read before any sink, so that what they cover is in the sinks, or a moment later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from connectors.errors import UserError
from connectors.positions import OFFSET_BITS, PARTITION_BITS, UNKNOWN, Positions, packed
from pipeline.ops.reconcile.options import Options, Span
from pipeline.ops.reconcile.places import Flags, Places, at_least

_LAST_OFFSET: Final = (1 << OFFSET_BITS) - 1

Interval = tuple[int, int | None]
"""First and last, both included; None: without end."""
Partition = tuple[str, int]
Shard = tuple[str, str]
Key = TypeVar("Key", Partition, Shard)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The positions to judge, of known partitions and shards; and the arrival times.

    With `whole`, no range was asked for: then what lies in a topic that `sources` doesn't name is
    judged too, for it may be the archive's, and else isn't expected. `open_shards` says that of
    unknown shards.
    """

    places: Places
    partitions: Mapping[Partition, list[Interval]]
    shards: Mapping[Shard, list[Interval]]
    whole: bool
    open_shards: bool = False
    since: int | None = None
    until: int | None = None
    sources: frozenset[str] = frozenset()
    _packed: list[NDArray[np.int64]] = field(default_factory=list)

    @property
    def timed(self) -> bool:
        """Whether arrival times matter."""
        return self.since is not None or self.until is not None

    def within(self, numbers: Positions, arrival: NDArray[np.int64] | None = None) -> Flags:
        """Which positions are judged; `arrival` in epoch milliseconds is needed if `timed`."""
        kafka = numbers >= 0
        found = np.full(len(numbers), self.whole)
        found[kafka] = self._on_kafka(numbers[kafka])
        kinesis = numbers < UNKNOWN
        if kinesis.any():
            found[kinesis] = self._on_kinesis(numbers[kinesis])
        if self.timed:
            assert arrival is not None, "whoever reads for a time must read the arrival too"
            found &= arrival >= (self.since if self.since is not None else -(2**62))
            found &= arrival < (self.until if self.until is not None else 2**62)
        return found

    def spans(self, topic: str) -> dict[int, tuple[int, int]]:
        """What to read of a topic: each partition's first offset, and the one after the last."""
        found = {}
        for (name, partition), intervals in self.partitions.items():
            if name == topic and intervals:
                ends = [_LAST_OFFSET if last is None else last for _, last in intervals]
                found[partition] = (min(first for first, _ in intervals), max(ends) + 1)
        return found

    def texts(self) -> list[str]:
        """The positions to judge, as ranges; an end that isn't known is left out."""
        kafka = ((f"{t}/{p}", intervals) for (t, p), intervals in self.partitions.items())
        kinesis = ((f"{s}/{x}", intervals) for (s, x), intervals in self.shards.items())
        return [
            f"{place}@{first}..{'' if last is None else last}"
            for place, intervals in (*kafka, *kinesis)
            for first, last in intervals
        ]

    def _on_kafka(self, numbers: Positions) -> Flags:
        starts, ends = self._intervals()
        line = np.searchsorted(starts, numbers, side="right") - 1
        inside = (line >= 0) & (numbers <= ends[np.maximum(line, 0)]) if len(starts) else line >= 0
        codes = [self.places.code(topic) for topic in self.sources if topic in self.places.topics]
        foreign = ~np.isin(numbers >> (OFFSET_BITS + PARTITION_BITS), codes)
        found: Flags = inside | (foreign & self.whole)
        return found

    def _intervals(self) -> list[NDArray[np.int64]]:
        if not self._packed:
            pairs = sorted(
                (
                    packed(self.places.code(topic), partition, first),
                    packed(self.places.code(topic), partition, _end(last)),
                )
                for (topic, partition), intervals in self.partitions.items()
                for first, last in intervals
            )
            both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
            self._packed.extend([both[:, 0], both[:, 1]])
        return self._packed

    def _on_kinesis(self, numbers: Positions) -> Flags:
        codes, pieces = self.places.sequences(numbers)
        found = np.full(len(numbers), self.whole and self.open_shards)
        for shard, intervals in self.shards.items():
            mine = codes == self.places.shard(*shard)
            found[mine] = False
            for first, last in intervals:
                inside = at_least(pieces[mine], first)
                if last is not None:
                    inside &= ~at_least(pieces[mine], last + 1)
                found[mine] |= inside
        return found


def _end(last: int | None) -> int:
    return _LAST_OFFSET if last is None else min(last, _LAST_OFFSET)


@dataclass(frozen=True, slots=True)
class Covered:
    """What completed checkpoints cover, whether the source still holds it or not.

    An interval's last is the last position covered, None: all. `open` says that nothing is known of
    the source, so that every position is covered. `pending` offsets lie beyond (an open transaction
    and its markers count too); None where nobody knows, as in a stream.
    """

    partitions: Mapping[Partition, Interval]
    shards: Mapping[Shard, Interval]
    pending: int = 0
    open: bool = False
    uncommitted: tuple[str, ...] = ()


def bounds(places: Places, covered: Covered, options: Options, sources: Iterable[str]) -> Bounds:
    """What is covered, cut to what is asked for; UserError for a range of an unknown place."""
    known = frozenset(sources)
    for one in options.spans:
        if one.place not in known:
            raise UserError(
                f"--range {one.place}/{one.part}: the configuration reads no {one.place!r}; it"
                f" reads {', '.join(sorted(known))}"
            )
    if covered.open:
        covered = _open(options.spans)
        known = frozenset()
    whole = not options.spans
    return Bounds(
        places,
        _cut(covered.partitions, _asked(options.spans, kafka=True), whole=whole),
        _cut(covered.shards, _asked(options.spans, kafka=False), whole=whole),
        whole=whole,
        open_shards=options.complete,
        since=options.since,
        until=options.until,
        sources=known,
    )


def _open(spans: Iterable[Span]) -> Covered:
    """Everything covered, in the partitions and shards that are asked for."""
    partitions: dict[Partition, Interval] = {}
    shards: dict[Shard, Interval] = {}
    for one in spans:
        if one.on_kafka:
            partitions[one.place, int(one.part)] = (0, None)
        else:
            shards[one.place, one.part] = (0, None)
    return Covered(partitions, shards)


def _asked(spans: Iterable[Span], *, kafka: bool) -> dict[tuple[str, str], list[Interval]]:
    found: dict[tuple[str, str], list[Interval]] = defaultdict(list)
    for one in spans:
        if one.on_kafka == kafka:
            found[one.place, one.part].append((one.first or 0, one.last))
    return found


def _cut(
    covered: Mapping[Key, Interval], asked: Mapping[Shard, list[Interval]], *, whole: bool
) -> dict[Key, list[Interval]]:
    """Of each partition or shard the intervals both covered and asked for, each position once."""
    found: dict[Key, list[Interval]] = {}
    for key, (first, last) in covered.items():
        parts = [(0, None)] if whole else asked.get((key[0], str(key[1])), [])
        both = ((max(first, start), _smaller(last, end)) for start, end in parts)
        found[key] = _merged([(a, b) for a, b in both if b is None or b >= a])
    return found


def _smaller(one: int | None, other: int | None) -> int | None:
    given = [each for each in (one, other) if each is not None]
    return min(given) if given else None


def _merged(intervals: list[Interval]) -> list[Interval]:
    found: list[Interval] = []
    for first, last in sorted(intervals, key=lambda each: each[0]):
        if found and (found[-1][1] is None or found[-1][1] >= first):
            before = found[-1]
            end = None if before[1] is None or last is None else max(before[1], last)
            found[-1] = (before[0], end)
        else:
            found.append((first, last))
    return found
