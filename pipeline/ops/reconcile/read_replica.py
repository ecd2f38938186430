"""Reads a replica: where its events came from, their bytes and values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec
import numpy as np

from connectors import checksums as content
from connectors.checksums import Hashes
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.reader import Record
from connectors.positions import Positions
from pipeline.config.model import Replica
from pipeline.events.event_types import EventTypes
from pipeline.ops.reconcile.bounds import Bounds
from pipeline.ops.reconcile.carriers import Tail, message_pages
from pipeline.ops.reconcile.places import Places
from pipeline.ops.reconcile.seen import ReplicaRows
from pipeline.ops.reconcile.values import UNREADABLE, Values
from pipeline.ops.systems import Systems

_PAGE: Final = 5_000

Part = tuple[Positions, Hashes, Hashes]


class _Typed(msgspec.Struct):
    type: str = ""


class ReplicaReader:
    """A replica of a configuration. `read` once, then `again` for what is new."""

    def __init__(
        self,
        systems: Systems,
        settings: Replica,
        places: Places,
        bounds: Bounds,
        values: Values | None,
    ) -> None:
        self._systems = systems
        self._settings = settings
        self._places = places
        self._bounds = bounds
        self._values = values
        self._types: EventTypes = systems.types
        self._codes = {one.name: code for code, one in enumerate(systems.types)}
        cluster = systems.config.cluster(settings.kafka_cluster) if settings.kafka_topic else None
        self._tail = Tail(cluster, settings.kafka_topic) if cluster else None

    @property
    def exactly_once(self) -> bool:
        """Whether a second copy is a fault."""
        return bool(self._settings.kafka_topic) and self._settings.guarantee == "exactly_once"

    def read(self, progress: Callable[[int], None]) -> ReplicaRows:
        """All events within the bounds; of a stream all events."""
        parts, rows = [], 0
        for part in self._parts():
            parts.append(part)
            rows += len(part[0])
            progress(rows)
        return self._rows(parts)

    def again(self, seen: ReplicaRows, wanted: Positions) -> ReplicaRows:
        """What was seen, and of what is new the events at the wanted positions."""
        if seen.positions is None:
            return self.read(lambda _: None)
        parts = [(seen.positions, seen.digests, seen.contents)]
        for numbers, digests, contents in self._parts():
            mine = np.isin(numbers, wanted)
            parts.append((numbers[mine], digests[mine], contents[mine]))
        return self._rows(parts)

    def _rows(self, parts: list[Part]) -> ReplicaRows:
        empty = (np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.uint64))
        columns = zip(empty, *parts, strict=True)
        numbers, digests, contents = (np.concatenate(column) for column in columns)
        positions = numbers if self._tail else None
        return ReplicaRows(positions=positions, digests=digests, contents=contents)

    def _parts(self) -> Iterator[Part]:
        return self._of_topic(self._tail) if self._tail else self._of_stream()

    def _of_topic(self, tail: Tail) -> Iterator[Part]:
        for page in message_pages(tail.pages()):
            numbers = self._places.numbers(page.table)
            keep = self._bounds.within(numbers, page.arrival())
            types = page.texts("event_type")
            rows = np.flatnonzero(keep).tolist()
            raws = [page.raws[row] for row in rows]
            contents = self._contents(raws, [types[row] for row in rows])
            yield numbers[keep], content.digests(raws), contents

    def _of_stream(self) -> Iterator[Part]:
        records = kinesis_stream.records(*self._systems.stream(self._settings.kinesis_stream))
        for page in _pages(records):
            raws = [record.data for record in page]
            contents = self._contents(raws, map(_type_of, raws))
            yield np.full(len(page), -1, np.int64), content.digests(raws), contents

    def _contents(self, raws: list[bytes | None] | list[bytes], types: Iterable[str]) -> Hashes:
        found = np.full(len(raws), UNREADABLE if self._values else 0, np.uint64)
        if self._values:
            codes = np.array([self._codes.get(name, -1) for name in types], dtype=np.int64)
            for code in np.unique(codes[codes >= 0]).tolist():
                rows = np.flatnonzero(codes == code)
                found[rows] = self._values.of_documents(code, [raws[row] for row in rows])
        return found


def _pages(records: Iterable[Record]) -> Iterator[list[Record]]:
    remaining = iter(records)
    while page := list(islice(remaining, _PAGE)):
        yield page


def _type_of(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=_Typed).type
    except msgspec.MsgspecError:
        return ""
