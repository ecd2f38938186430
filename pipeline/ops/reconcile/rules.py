"""Compare in SQL what is expected of each sink with what was observed there.

The tables are those that the readers fill: `expected`, `archive`, `lake` and `letters`. A rule's
result is a row of the report; faulty positions are kept in a table each until the report is no
longer needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectors.sql import literal
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.report import Findings, Kind, Row
from pipeline.ops.reconcile.steps import ARCHIVE, DEAD_LETTERS, LAKE, SOURCE

EVENT: Final = "event"
CONTROL: Final = "control"
REJECT: Final = "reject"

_ARCHIVE: Final = """
CREATE OR REPLACE TABLE archive_differences AS
SELECT coalesce(a.part, e.part) AS part, coalesce(a.number, e.number) AS number,
    coalesce(a.sequence, e.sequence) AS sequence,
    a.part IS NULL AS missing, e.part IS NULL AS unexpected,
    coalesce(a.digest <> e.digest, false) AS wrong,
    coalesce(a.folder_hour <> e.hour, false) AS misplaced
FROM archive AS a FULL JOIN expected AS e ON a.part = e.part AND a.number = e.number
WHERE NOT coalesce(e.aggregated, false) AND (
    a.part IS NULL OR e.part IS NULL OR a.digest <> e.digest OR a.folder_hour <> e.hour);
CREATE OR REPLACE VIEW archive_missing AS FROM archive_differences WHERE missing;
"""
_OF_ARCHIVE: Final[Mapping[Kind, str]] = {
    "missing": "of the source but not in the archive",
    "unexpected": "of no record of the source",
    "wrong": "with other bytes than in the source",
    "misplaced": "in another folder than that of their hour",
}
_LAKE: Final = """
CREATE OR REPLACE TABLE lake_differences AS
SELECT *, is_row AND NOT coalesce(aggregated, false) AND (unknown_position OR is_copy) AS unexpected
FROM (
    SELECT coalesce(r.part, e.part) AS part, coalesce(r.number, e.number) AS number,
        coalesce(r.sequence, e.sequence) AS sequence,
        r.part IS NOT NULL AS is_row, e.part IS NULL AS unknown_position,
        coalesce(e.is_copy, false) AS is_copy, coalesce(e.is_control, false) AS is_control,
        coalesce(e.aggregated, false) AS aggregated,
        coalesce(r.misplaced AND NOT coalesce(e.aggregated, false), false) AS misplaced,
        {wrong} AS wrong
    FROM lake AS r FULL JOIN expected AS e ON r.part = e.part AND r.number = e.number
    WHERE r.part IS NULL OR e.part IS NULL OR e.is_copy OR r.misplaced OR {wrong}
)
"""
_WRONG_VALUES: Final = """coalesce(
    NOT e.is_copy AND NOT e.aggregated AND NOT e.is_head AND r.event_type IS NOT NULL AND (
        e.event_type IS DISTINCT FROM r.event_type
        OR e.content IS DISTINCT FROM xor(r.content, r.unknown)), false)"""
_OF_LAKE: Final[Mapping[Kind, str]] = {
    "unexpected": "rows of no record that belongs there",
    "misplaced": "in another folder than their own values say",
    "wrong": "with other values than in the source",
}
_LOST: Final = """
CREATE OR REPLACE TABLE dead AS SELECT DISTINCT part, number FROM letters WHERE step = 'decode';
CREATE OR REPLACE TABLE lost AS
SELECT part, number, sequence FROM lake_differences ANTI JOIN dead USING (part, number)
WHERE NOT is_row AND NOT (is_copy OR is_control OR aggregated)
"""
_NOWHERE: Final = (
    "neither in the lake nor among the dead letters (which of the two lacks it isn't known)"
)
_LETTERS: Final = """
CREATE OR REPLACE TABLE letter_rows AS
SELECT l.part, l.number, l.sequence, step, replica, e.part IS NULL AS unexpected,
    coalesce(NOT e.aggregated, false) AS own,
    coalesce(NOT e.aggregated AND l.digest <> e.digest, false) AS wrong
FROM letters AS l LEFT JOIN expected AS e ON l.part = e.part AND l.number = e.number
"""
_OF_LETTERS: Final[Mapping[Kind, str]] = {
    "unexpected": "of no record of the source",
    "wrong": "with other bytes than in the source",
}


class Rules:
    """The rules for source, archive, lake and dead letters.

    `with_values` says whether contents were read. Without dead letters, `letters` stays empty.
    """

    def __init__(self, database: Database, findings: Findings, *, with_values: bool) -> None:
        self._database = database
        self._size = database.size
        self._findings = findings
        self._with_values = with_values
        self._dead = self._events = 0

    def compare_archive(self) -> int:
        """Compare the archive with the source; return how many records it lacks."""
        self._database.run(_ARCHIVE)
        return self._size("archive_missing")

    def compare_lake(self) -> int:
        """Compare the lake with the source; return how many records no sink has (`lost`)."""
        wrong = _WRONG_VALUES if self._with_values else "false"
        self._database.run(_LAKE.format(wrong=wrong))
        self._database.run(_LOST)
        return self._size("lost")

    def attribute(self, part: int, number: int, outcome: str, name: str) -> None:
        """Note what a lost record is: EVENT and its type, REJECT and its reason, or CONTROL."""
        self._database.run(
            "INSERT INTO attributed SELECT part, number, sequence, ?, ? FROM lost"
            " WHERE part = ? AND number = ?",
            [outcome, name, part, number],
        )

    def archive(self, *, exactly_once: bool, has_folders: bool) -> Row:
        """Require every record once, byte for byte, in the folder of its arrival hour."""
        row = Row(ARCHIVE, self._size("expected"), self._size("archive"))
        unexpected = self._size("archive_differences WHERE unexpected")
        missing = self._size("archive_missing")
        # Without surplus rows nothing is doubled, so don't group them all.
        if self._size("expected WHERE aggregated") or row.observed - unexpected > row.due - missing:
            due = "archive SEMI JOIN (FROM expected WHERE NOT aggregated) USING (part, number)"
            self._findings.add_doubled(row, due, is_error=exactly_once)
        self._add_flagged(row, "archive_differences", _OF_ARCHIVE)
        if not has_folders:
            row.not_judged = ("misplaced",)
        return row

    def source(self) -> Row:
        """Require every record in some sink; a lost, attributed one counts in that sink's row.

        Call `compare_lake` before, and `letters` and `lake` after.
        """
        records, copies = self._size("expected"), self._size("expected WHERE is_copy")
        aggregated = self._size("expected WHERE aggregated")
        control = self._size(
            "lake_differences ANTI JOIN dead USING (part, number) WHERE NOT is_row AND is_control"
        )
        self._dead = self._size("expected SEMI JOIN dead USING (part, number) WHERE NOT aggregated")
        lost_events = self._size("lost") - self._size(_attributed(EVENT))
        self._events = records - self._dead - control - copies - aggregated - lost_events
        unknown = "lost ANTI JOIN attributed USING (part, number)"
        row = Row(SOURCE, records, records - self._size(unknown))
        row.figures = {
            "dead_letters": self._dead,
            "control": control + self._size(_attributed(CONTROL)),
            "redriven_copies": copies,
        }
        if aggregated:
            row.figures["aggregated_not_judged"] = aggregated
        self._findings.add(row, "missing", unknown, _NOWHERE)
        return row

    def lake(self) -> Row:
        """Require each event once, in its folder, with its values, and without a dead letter."""
        row = Row(LAKE, self._events, self._size("lake"))
        for event_type in self._names(EVENT):
            lost = _attributed(EVENT, event_type)
            self._findings.add(row, "missing", lost, f"{event_type} events not in the lake")
        own = "(FROM expected WHERE NOT is_copy AND NOT aggregated)"
        present = self._size("expected") - self._size("lake_differences WHERE NOT is_row")
        unknown = self._size("lake_differences WHERE is_row AND unknown_position")
        if row.observed - unknown > present:
            due = f"lake SEMI JOIN {own} USING (part, number)"
            self._findings.add_doubled(row, due, is_error=True)
        both = """expected SEMI JOIN dead USING (part, number) SEMI JOIN lake USING (part, number)
            WHERE NOT aggregated"""
        meaning = "in the lake and among the dead letters of decode"
        self._findings.add(row, "doubled", both, meaning)
        self._add_flagged(row, "lake_differences", _OF_LAKE)
        unread = "is_head" if self._with_values else "true"
        unvalued = self._size(f"lake SEMI JOIN (FROM {own} WHERE {unread}) USING (part, number)")
        if unvalued:
            row.figures["values_not_compared"] = unvalued
        return row

    def letters(self, *, exactly_once: bool) -> Row:
        """Require a dead letter for each reject, with its bytes, and none of unknown records."""
        self._database.run(_LETTERS)
        due = self._dead + self._size(_attributed(REJECT))
        row = Row(DEAD_LETTERS, due, self._size("letters WHERE step = 'decode'"))
        row.figures["of_index"] = self._size("letters WHERE step = 'index'")
        row.figures["of_replicate"] = self._size("letters WHERE step = 'replicate'")
        for reason in self._names(REJECT):
            lost, meaning = _attributed(REJECT, reason), f"rejected by decode as {reason}"
            self._findings.add(row, "missing", lost, f"{meaning} but no dead letter", reason=reason)
        self._findings.add_doubled(
            row, "letter_rows WHERE own", ", step, replica", is_error=exactly_once
        )
        self._add_flagged(row, "letter_rows", _OF_LETTERS)
        return row

    def _add_flagged(self, row: Row, relation: str, meanings: Mapping[Kind, str]) -> None:
        """Add the rows of a relation for which the column named as the kind is true."""
        for kind, meaning in meanings.items():
            self._findings.add(row, kind, f"{relation} WHERE {kind}", meaning)

    def _names(self, outcome: str) -> list[str]:
        """Return the event types or reasons to which lost records are attributed."""
        sql = f"SELECT DISTINCT name FROM {_attributed(outcome)} ORDER BY name"
        return [name for (name,) in self._database.rows(sql)]


def _attributed(outcome: str, name: str = "") -> str:
    named = f" AND name = {literal(name)}" if name else ""
    return f"attributed WHERE outcome = {literal(outcome)}{named}"
