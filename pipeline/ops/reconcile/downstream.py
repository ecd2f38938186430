"""Index and replicas against the lake, whose rows were judged by the source before."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from connectors.opensearch.options import index_name
from pipeline.config.model import Replica
from pipeline.events.event_types import EventType
from pipeline.ops.reconcile.index import IndexReader
from pipeline.ops.reconcile.report import Row
from pipeline.ops.reconcile.rules_downstream import DownstreamRules
from pipeline.ops.reconcile.sinks import ReplicaReader
from pipeline.ops.reconcile.workspace import Workspace

_IS_MISSING: Final = (
    "EXISTS (FROM missing AS m WHERE m.part = judged.part AND m.number = page.number)"
)


@dataclass(frozen=True, slots=True)
class Downstream:
    """Judges index and replicas."""

    ws: Workspace
    rules: DownstreamRules

    @property
    def whole(self) -> bool:
        """Whether what no row of the lake explains can be judged: else it may explain it later."""
        return self.ws.options.everything and self.ws.options.complete

    def documents(self) -> list[Row]:
        """A row for each event type."""
        settings = self.ws.config.index
        if settings is None:
            return []
        if not self.whole:
            self.ws.notes.append(
                "documents of no row of the lake aren't judged: that takes --complete, no range and"
                " no time"
            )
        return [
            self._documents(index_name(settings.prefix, one.name), one) for one in self.ws.types
        ]

    def _documents(self, index: str, event_type: EventType) -> Row:
        self.rules.due_documents(event_type.name)
        reader = IndexReader(self.ws, index, event_type)
        with self.ws.phase("reading the index", unit="documents") as progress:
            documents = reader.read(progress, "ids", whole=self.whole)
        row = self.rules.documents(event_type.name, whole=self.whole)
        row.figures["documents"] = documents
        return row

    def replicas(self) -> list[Row]:
        """A row for each replica."""
        return [self._replica(*each) for each in self.ws.config.replicate.items()]

    def _replica(self, name: str, settings: Replica) -> Row:
        self.rules.due_events(name, settings.event_types or self.ws.types.names)
        reader = ReplicaReader(self.ws, settings)
        self._read(name, settings, reader)
        if reader.has_positions:
            row = self.rules.replica(
                name,
                exactly_once=reader.exactly_once,
                values=self.ws.values is not None,
                raw=settings.value == "raw",
            )
        else:
            row = self.rules.replica_by_values(name)
        self._limit(row, name, settings)
        return row

    def _read(self, name: str, settings: Replica, reader: ReplicaReader) -> None:
        """Read a replica, and again for what is missing there, until it settles."""
        deadline = time.monotonic() + self.ws.options.settle_seconds
        with self.ws.phase(f"reading the replica {name}", unit="events") as progress:
            reader.read(progress)
        while self.rules.find_missing(by_position=reader.has_positions) and not settings.filter:
            if time.monotonic() >= deadline:
                return
            what = f"looking again in the replica {name}"
            with self.ws.look_again(what, deadline) as progress:
                reader.read(progress, _IS_MISSING)

    def _limit(self, row: Row, name: str, settings: Replica) -> None:
        """Strike out what can't be judged of this replica, and note why."""
        if settings.filter:
            row.drop("missing")
            self.ws.notes.append(f"replica {name} has a filter: what is missing there isn't judged")
        if settings.kinesis_stream:
            row.drop("doubled")
            self.ws.notes.append(
                f"replica {name} is a stream, which tells no positions: its events are compared by"
                " their values, copies aren't judged"
            )
            if not self.whole:
                row.drop("unexpected")
            if not self.ws.values:
                row.drop("missing")
                row.drop("unexpected")
                self.ws.notes.append(f"replica {name} isn't judged without --values")
