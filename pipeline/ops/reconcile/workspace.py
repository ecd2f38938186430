"""Hold what all parts of one reconciliation share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from connectors.sql import literal
from pipeline.decode.type_rule import TypeRule
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.options import Options, settle_for
from pipeline.ops.reconcile.position_index import PositionIndex
from pipeline.ops.reconcile.record_text import RecordText
from pipeline.ops.reconcile.report import Findings
from pipeline.ops.reconcile.values import Values
from pipeline.ops.systems import Systems
from pipeline.progress import Steps

_POLL_SECONDS: Final = 1.0
_POLLS: Final = 100
"""How often to look again at most: a listing of a large lake takes a while."""
_TABLES: Final = """
CREATE TYPE event_type AS ENUM ({names});
CREATE TABLE expected (
    part INTEGER, number BIGINT, sequence VARCHAR,
    digest UBIGINT, hour INTEGER,
    is_copy BOOLEAN, is_forged BOOLEAN, is_control BOOLEAN, aggregated BOOLEAN, is_head BOOLEAN,
    event_type event_type, content UBIGINT
);
CREATE TABLE archive (
    part INTEGER, number BIGINT, sequence VARCHAR, digest UBIGINT, folder_hour INTEGER
);
CREATE TABLE lake (
    part INTEGER, number BIGINT, sequence VARCHAR, event_type event_type, misplaced BOOLEAN,
    content UBIGINT, unknown UBIGINT, id VARCHAR, version BIGINT
);
CREATE TABLE letters (
    part INTEGER, number BIGINT, sequence VARCHAR, digest UBIGINT, step VARCHAR, replica VARCHAR,
    reason VARCHAR
);
CREATE TABLE replica (
    part INTEGER, number BIGINT, sequence VARCHAR, digest UBIGINT, content UBIGINT
);
CREATE TABLE documents (id VARCHAR, version BIGINT, content UBIGINT);
CREATE TABLE attributed (
    part INTEGER, number BIGINT, sequence VARCHAR, outcome VARCHAR, name VARCHAR
);
"""

Progress = Callable[[int], None]
"""Receives how much is done."""


class Workspace:
    """The database, what fills its tables, and notes and times for the report."""

    def __init__(
        self, systems: Systems, options: Options, steps: Steps, database: Database
    ) -> None:
        self.systems = systems
        self.config = systems.config
        self.types = systems.types
        self.options = options
        self.database = database
        database.run(_TABLES.format(names=", ".join(map(literal, self.types.names))))
        self.index = PositionIndex(database)
        self.findings = Findings(database, self.index)
        keep = self.config.decode.unknown_fields == "keep"
        tag = TypeRule.of(self.config.source).tag
        self.values = Values(self.types, compare=options.values, keep_unknown=keep, tag=tag)
        self.values.prepare(database)
        self.text = RecordText(self.config, self.types)
        self.text.prepare(database)
        self.notes: list[str] = []
        self.seconds: dict[str, float] = {}
        self._steps = steps

    @property
    def serverless(self) -> bool:
        """Whether the index is in OpenSearch Serverless, which refreshes when it likes."""
        return self.config.index is not None and self.config.index.service == "aoss"

    @contextmanager
    def phase(self, what: str, unit: str = "") -> Iterator[Progress]:
        """Show and time a phase."""
        started = time.monotonic()
        with self._steps.step(what, unit=unit) as progress:
            yield progress
        took = time.monotonic() - started
        self.seconds[what] = round(self.seconds.get(what, 0.0) + took, 3)

    def settle(
        self, what: str, compare: Callable[[], int], again: Callable[[Progress], object]
    ) -> None:
        """Look `again` while `compare` finds something missing, for at most `settle_seconds`.

        Rows are in files some time after their offsets are committed.
        """
        given = self.options.settle_seconds
        seconds = settle_for(self.config) if given is None else given
        pause, deadline = max(_POLL_SECONDS, seconds / _POLLS), time.monotonic() + seconds
        while compare() and (remaining := deadline - time.monotonic()) > 0:
            with self.phase(f"looking again {what}") as progress:
                time.sleep(min(pause, remaining))
                again(progress)
