"""Index and replicas against the lake, whose rows were judged by the source before."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from connectors.opensearch.options import index_name
from connectors.positions import Positions
from pipeline.config.model import Replica
from pipeline.events.event_types import EventType
from pipeline.ops.reconcile import judge
from pipeline.ops.reconcile.bounds import Bounds
from pipeline.ops.reconcile.checks import Checks
from pipeline.ops.reconcile.ids import is_number
from pipeline.ops.reconcile.options import Options
from pipeline.ops.reconcile.places import Places
from pipeline.ops.reconcile.read_index import SLICES, IndexReader
from pipeline.ops.reconcile.read_replica import ReplicaReader
from pipeline.ops.reconcile.report import Row
from pipeline.ops.reconcile.seen import INDEX, REPLICATE, Documents, LakeRows, Letters, ReplicaRows
from pipeline.ops.reconcile.source import COPY
from pipeline.ops.reconcile.truth import Truth
from pipeline.ops.reconcile.values import Values
from pipeline.ops.systems import Systems

_FEW_IDS: Final = 0.2
"""Below this share of an index its documents are asked for by id, not all read."""
_POLL_SECONDS: Final = 1.0


class Phase(Protocol):
    """Shows and times a phase; what it gives is told how much is done."""

    def __call__(
        self, what: str, *, unit: str = "", total: int | None = None
    ) -> AbstractContextManager[Callable[[int], None]]: ...


@dataclass(frozen=True, slots=True)
class Downstream:
    """What index and replicas are judged with."""

    systems: Systems
    options: Options
    places: Places
    bounds: Bounds
    values: Values | None
    phase: Phase
    notes: list[str]

    @property
    def whole(self) -> bool:
        """Whether what no row of the lake explains can be judged: else it may explain it later."""
        return self.options.everything and self.options.complete

    def index(self, checks: Checks, lake: LakeRows, letters: Letters) -> list[Row]:
        """A row for each event type."""
        settings = self.systems.config.index
        if settings is None:
            return []
        if not self.whole:
            self.notes.append(
                "documents of no row of the lake aren't judged: that takes --complete, no range and"
                " no time"
            )
        clients = [self.systems.opensearch() for _ in range(SLICES)]
        waiting = letters.of_step(INDEX)
        found = []
        for code, one in enumerate(self.systems.types):
            name = index_name(settings.prefix, one.name)
            reader = IndexReader(clients, name, one, code, self.values)
            rows = lake.only(lake.types == code)
            count, documents = self._documents(reader, one, rows)
            verdict = judge.judge_index(rows, waiting, documents)
            row = checks.index(one, rows, documents, verdict, reader.texts, whole=self.whole)
            row.figures["documents"] = count
            found.append(row)
        return found

    def replicas(self, checks: Checks, truth: Truth, lake: LakeRows, letters: Letters) -> list[Row]:
        """A row for each replica."""
        names = self.systems.types.names
        found = []
        for code, (name, settings) in enumerate(self.systems.config.replicate.items()):
            codes = [names.index(each) for each in settings.event_types or names]
            due = lake.only(np.isin(lake.types, codes))
            waiting = letters.of_step(REPLICATE, code)
            found.append(self._replica(checks, name, settings, truth, due, waiting))
        return found

    def _documents(
        self, reader: IndexReader, event_type: EventType, rows: LakeRows
    ) -> tuple[int, Documents]:
        """How many there are, and those that the rows speak of, or all."""
        with self.phase("reading the index", unit="documents") as progress:
            count = reader.count()
            due = np.unique(rows.keys()[0])
            if count == 0:
                return 0, reader.none()
            if self.whole:
                return count, reader.read(progress)
            if is_number(event_type) and len(due) < count * _FEW_IDS:
                return count, reader.read_ids(due)
            documents = reader.read(progress)
            return count, documents.only(np.isin(documents.ids, due))

    def _replica(
        self,
        checks: Checks,
        name: str,
        settings: Replica,
        truth: Truth,
        due: LakeRows,
        waiting: Positions,
    ) -> Row:
        reader = ReplicaReader(self.systems, settings, self.places, self.bounds, self.values)
        deadline = time.monotonic() + self.options.settle_seconds
        with self.phase(f"reading the replica {name}", unit="events") as progress:
            found = reader.read(progress)
        verdict = self._verdict(settings, truth, due, waiting, found)
        while len(verdict.compared.missing) and not settings.filter:
            if time.monotonic() >= deadline:
                break
            with self.phase(f"looking again in the replica {name}"):
                time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
                found = reader.again(found, verdict.compared.missing)
            verdict = self._verdict(settings, truth, due, waiting, found)
        row = checks.replica(name, len(found), verdict, exactly_once=reader.exactly_once)
        self._limit(row, name, settings)
        row.figures["refused"] = len(waiting)
        return row

    def _verdict(
        self,
        settings: Replica,
        truth: Truth,
        due: LakeRows,
        waiting: Positions,
        found: ReplicaRows,
    ) -> judge.ReplicaVerdict:
        if found.positions is None:
            return judge.judge_contents(due, waiting, found.contents)
        seen = judge.ReplicaFound(
            found.positions,
            found.contents if self.values else None,
            found.digests if settings.value == "raw" else None,
        )
        copies = truth.positions[truth.has(COPY)]
        return judge.judge_replica(truth, due, copies, waiting, seen)

    def _limit(self, row: Row, name: str, settings: Replica) -> None:
        """Strikes out what can't be judged of this replica, and says so."""
        if settings.filter:
            row.drop("missing")
            self.notes.append(f"replica {name} has a filter: what is missing there isn't judged")
        if settings.kinesis_stream:
            row.drop("doubled")
            self.notes.append(
                f"replica {name} is a stream, which tells no positions: its events are compared by"
                " their values, copies aren't judged"
            )
            if not self.whole:
                row.drop("unexpected")
            if not self.values:
                row.drop("missing")
                row.drop("unexpected")
                self.notes.append(f"replica {name} isn't judged without --values")
