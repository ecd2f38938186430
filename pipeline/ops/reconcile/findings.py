"""Keeps the positions and ids of what is wrong, and names them when the report is printed."""

from __future__ import annotations

from functools import partial
from typing import Final

from connectors.sql import literal
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.position_index import PositionIndex
from pipeline.ops.reconcile.report import Kind, Row

AT: Final = "part, number, sequence, 1 AS copies"
"""What `Findings.add` needs of a row; `copies` is how often it counts."""


class Findings:
    """Adds to rows of the report what SQL finds, if it finds anything."""

    def __init__(self, database: Database, index: PositionIndex) -> None:
        self._database = database
        self._index = index
        self._tables = 0

    def count(self, relation: str) -> int:
        """How many rows a relation has."""
        return self._database.count(f"SELECT count(*) FROM {relation}")

    def add(
        self,
        row: Row,
        kind: Kind,
        positions: str,
        meaning: str,
        *,
        is_error: bool = True,
        reason: str = "",
    ) -> None:
        """Add the positions that a query finds, which has the columns of `AT`."""
        table = self._table(positions)
        count = self._database.count(f"SELECT sum(copies) FROM {table}")
        names = partial(self._index.names, f"FROM {table}")
        row.add(kind, count, meaning, names, is_error=is_error, reason=reason)

    def add_ids(self, row: Row, kind: Kind, event_type: str, ids: str, meaning: str) -> None:
        """Add the documents' ids that a query finds: `trip 4071001`."""
        table = self._table(ids)

        def names(most: int | None = None) -> list[str]:
            limit = "" if most is None else f" LIMIT {most}"
            # Numbers in their order, although they are texts.
            prefix = literal(f"{event_type} ")
            sql = f"SELECT {prefix} || id FROM {table} ORDER BY length(id), id{limit}"
            return [name for (name,) in self._database.rows(sql)]

        row.add(kind, self.count(table), meaning, names)

    def _table(self, query: str) -> str:
        self._tables += 1
        table = f"finding_{self._tables}"
        self._database.run(f"CREATE TABLE {table} AS {query}")
        return table
