"""Reads the dead letters, wherever they are: position, digest, and the step that refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from connectors import checksums as content
from connectors import positions
from connectors.checksums import Hashes
from connectors.kinesis import reader as kinesis_stream
from connectors.positions import Positions
from connectors.s3.storage import pages
from pipeline.config.model import DeadLetters
from pipeline.ops.reconcile.bounds import Bounds
from pipeline.ops.reconcile.carriers import Page, Tail, envelope_pages, message_pages
from pipeline.ops.reconcile.places import Places
from pipeline.ops.reconcile.seen import OTHER, REPLICATE, STEPS, Letters
from pipeline.ops.systems import Systems

_COLUMNS: Final = ["step", "detail", "raw", *positions.COLUMNS, "arrival_time"]
_REPLICA: Final = re.compile(r"replica ([a-z][a-z0-9_]*): ")

Part = tuple[Positions, Hashes, NDArray[np.uint8], NDArray[np.int8]]


class LettersReader:
    """The dead letters of a configuration. `read` once, then `again` for what is new."""

    def __init__(
        self, systems: Systems, settings: DeadLetters, places: Places, bounds: Bounds
    ) -> None:
        self._systems = systems
        self._settings = settings
        self._places = places
        self._bounds = bounds
        self._replicas = {name: code for code, name in enumerate(systems.config.replicate)}
        self._paths: set[str] = set()
        cluster = systems.config.cluster(settings.kafka_cluster) if settings.kafka_topic else None
        self._tail = Tail(cluster, settings.kafka_topic) if cluster else None

    @property
    def exactly_once(self) -> bool:
        """Whether a second copy is a fault."""
        return bool(self._settings.path)

    def read(self, progress: Callable[[int], None]) -> Letters:
        """All dead letters within the bounds."""
        parts, rows = [], 0
        for part in self._parts():
            parts.append(part)
            rows += len(part[0])
            progress(rows)
        return _letters(parts)

    def again(self, seen: Letters, wanted: Positions) -> Letters:
        """What was seen, and of what is new the dead letters at the wanted positions."""
        parts: list[Part] = [(seen.positions, seen.digests, seen.steps, seen.replicas)]
        for part in self._parts():
            mine = np.isin(part[0], wanted)
            parts.append((part[0][mine], part[1][mine], part[2][mine], part[3][mine]))
        return _letters(parts)

    def _parts(self) -> Iterator[Part]:
        if self._settings.path:
            yield from self._of_files()
            return
        for page in message_pages(self._tail.pages()) if self._tail else self._of_stream():
            numbers = self._places.numbers(page.table)
            steps, details = page.texts("step"), page.texts("detail")
            yield self._kept(
                numbers, page.arrival(), page.digests(self._systems.store), steps, details
            )

    def _of_files(self) -> Iterator[Part]:
        store = self._systems.store(self._settings.path)
        new = [stored for stored in store.listing() if stored.path not in self._paths]
        self._paths.update(stored.path for stored in new)
        for page in pages(store, new, _COLUMNS):
            for _, table in page:
                digests = content.digests(table.column("raw").to_pylist())
                arrival = content.millis(table.column("arrival_time"))
                steps = table.column("step").to_pylist()
                has_detail = "detail" in table.column_names
                details = table.column("detail").to_pylist() if has_detail else [""] * len(table)
                numbers = self._places.numbers(table)
                yield self._kept(numbers, arrival, digests, steps, details)

    def _of_stream(self) -> Iterator[Page]:
        records = kinesis_stream.records(*self._systems.stream(self._settings.kinesis_stream))
        return envelope_pages(records)

    def _kept(
        self,
        numbers: Positions,
        arrival: NDArray[np.int64],
        digests: Hashes,
        steps: Sequence[str | None],
        details: Sequence[str | None],
    ) -> Part:
        keep = self._bounds.within(numbers, arrival)
        codes = np.array([_step(step) for step in steps], dtype=np.uint8)
        replicas = np.full(len(codes), -1, np.int8)
        for row in np.flatnonzero(codes == REPLICATE).tolist():
            replicas[row] = self._replica(details[row])
        return numbers[keep], digests[keep], codes[keep], replicas[keep]

    def _replica(self, detail: str | None) -> int:
        """The replica that a detail names: `replica airport: 1234567 bytes`."""
        match = _REPLICA.match(detail or "")
        return self._replicas.get(match[1], -1) if match else -1


def none() -> Letters:
    """No dead letters."""
    return _letters([])


def _step(text: str | None) -> int:
    return STEPS.index(text) if text in STEPS else OTHER


def _letters(parts: list[Part]) -> Letters:
    empty: Part = (
        np.zeros(0, np.int64),
        np.zeros(0, np.uint64),
        np.zeros(0, np.uint8),
        np.zeros(0, np.int8),
    )
    numbers, digests, steps, replicas = (
        np.concatenate(column) for column in zip(empty, *parts, strict=True)
    )
    return Letters.of(numbers, digests, steps, replicas)
