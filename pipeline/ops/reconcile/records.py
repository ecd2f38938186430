"""Fill the table `expected`: each record of the source once, and what the sinks must have of it.

Where the source no longer holds a record, or with `--from-archive`, the archive provides it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from pipeline.decode.type_rule import TypeRule
from pipeline.ops.reconcile.database import Row
from pipeline.ops.reconcile.position_index import placed
from pipeline.ops.reconcile.type_sql import is_control, told_apart, type_name
from pipeline.ops.reconcile.workspace import Workspace

HOUR_OF_PATH: Final = """CASE
    WHEN regexp_full_match(path, 'arrival_date=unknown/arrival_hour=unknown/[^/]+') THEN -1
    ELSE coalesce(epoch(try_strptime(
        regexp_extract(path, '^(arrival_date=[^/]{10}/arrival_hour=[0-9]{2})/[^/]+$', 1),
        'arrival_date=%Y-%m-%d/arrival_hour=%H'))::BIGINT // 3600, -2)
    END::INTEGER AS folder_hour"""
"""SQL for the hour of an archive's file, see `hours_sql`; -2 (no hour) for an odd path."""

_HOUR_MS: Final = 3_600_000
_SANE_HOURS: Final = "BETWEEN 341_880 AND 1_139_567"
"""From 2009 on and before 2100; the archive has a folder `unknown` for other times."""
_COLUMNS: Final = (
    "digest, hour, is_copy, is_forged, is_control, aggregated, is_head, event_type, content"
)
# What a later step than decode rejected is in the lake already, so a redriven copy of it must not
# be there again. A forged mark changes nothing.
_IS_COPY: Final = "coalesce(redrive = 'genuine', false)"
_IS_FORGED: Final = "coalesce(redrive = 'forged', false)"
_PAGE: Final = """
CREATE OR REPLACE TEMP TABLE page AS
SELECT source, partition, shard, number, sequence, arrival_ms, folder_hour, is_new,
    coalesce(known_digest, hash(raw)) AS digest, {hours} AS hour,
    {is_copy} AS is_copy, {is_forged} AS is_forged, is_head, aggregated,
    {is_control} AS is_control, event_type, xor({known}, {unknown}) AS content
FROM (
    SELECT *, TRY_CAST({type_name} AS event_type) AS event_type
    FROM ({rows})
)
"""


def hours_sql(arrival: str) -> str:
    """Return SQL for the hour since 1970 of an arrival (epoch milliseconds).

    It is -1 for an implausible time and for NULL.
    """
    hour = f"({arrival} // {_HOUR_MS})"
    return f"(CASE WHEN {hour} {_SANE_HOURS} THEN {hour} ELSE -1 END)::INTEGER"


class Records:
    """Fills `expected`."""

    def __init__(self, ws: Workspace) -> None:
        self._database = ws.database
        self._index = ws.index
        self._values = ws.values
        rule = TypeRule.of(ws.config.source)
        self._text = ws.text.sql(told_apart(rule))
        self._type_name, self._is_control = type_name(rule), is_control(rule, ws.types)

    def add(self, page: pa.Table) -> int:
        """Take a page of `Source`; return how many of its records are judged."""
        self.make_page(self.incoming(page), self._database.run)
        return self.add_page()

    def incoming(self, page: pa.Table) -> str:
        """Return SQL for a page of the source, as `make_page` takes it."""
        self._database.present("incoming", page)
        return f"""
            SELECT {placed(page.column_names)}, arrival_ms, raw, redrive, aggregated,
                told, NULL::UBIGINT AS known_digest, false AS is_head,
                NULL::INTEGER AS folder_hour, true AS is_new
            FROM incoming"""

    def raws(self, rows: str) -> list[Row]:
        """Return part, number, bytes, arrival, source and header of the rows of table `wanted`.

        Leave out records of which only the head is available.
        """
        return self._database.rows(
            f"""SELECT w.part, w.number, raw, arrival_ms, source, told FROM ({rows}) AS r
            JOIN wanted AS w USING (source, partition, shard, number) WHERE NOT is_head"""
        )

    def make_page(self, rows: str, run: Callable[[str], object]) -> None:
        """Make the table `page` of raw records.

        `rows` is a query for the columns of a position (`placed`), arrival_ms, raw, redrive, told
        (what the header of the type says), known_digest (where the bytes are not all of the
        record), is_head, aggregated, folder_hour and is_new. Type and values are read of new
        records only. `run` runs the statement.
        """
        run(
            _PAGE.format(
                rows=self._values.members(rows, "is_new", self._text),
                hours=hours_sql("arrival_ms"),
                is_copy=_IS_COPY,
                is_forged=_IS_FORGED,
                is_control=self._is_control,
                type_name=self._type_name,
                known=self._values.of_json("event_type"),
                unknown=self._values.unknown_of_json("event_type"),
            )
        )

    def add_page(self, where: str = "true") -> int:
        """Take judged records from `page`; return how many."""
        return self._index.put("expected", _COLUMNS, where)

    def drop_copies(self, start: int) -> None:
        """Keep the first of each record that the archive, from row `start` on, has repeatedly."""
        self._database.run(
            f"""
            DELETE FROM expected WHERE rowid IN (
                SELECT unnest(rowids[2:]) FROM (
                    SELECT list(rowid ORDER BY rowid) AS rowids
                    FROM expected WHERE rowid >= {start}
                    GROUP BY part, number HAVING count(*) > 1
                )
            )"""
        )
