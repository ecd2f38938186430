"""The rules, as SQL: what is expected of each sink against what was observed there.

The tables are those that the readers fill: `expected`, `archive`, `lake`, `letters`, `documents`
and `replica`. A rule's result is a row of the report; positions at fault are kept in a table each
until the report is no longer needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connectors.sql import literal
from pipeline.ops.reconcile.attribute import CONTROL, EVENT, REJECT
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.findings import AT, Findings
from pipeline.ops.reconcile.report import Row
from pipeline.ops.reconcile.sinks import LETTERS

_TWICE: Final = """
SELECT part, number, any_value(sequence) AS sequence, count(*) - 1 AS copies
FROM {observed} SEMI JOIN {due} USING (part, number)
GROUP BY part, number HAVING count(*) > 1"""
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
_LOST: Final = """
CREATE OR REPLACE TABLE dead AS SELECT DISTINCT part, number FROM letters WHERE step = 'decode';
CREATE OR REPLACE TABLE lost AS
SELECT part, number, sequence FROM lake_differences ANTI JOIN dead USING (part, number)
WHERE NOT is_row AND NOT (is_copy OR is_control OR aggregated)
"""
_LETTERS: Final = """
CREATE OR REPLACE TABLE letter_rows AS
SELECT l.part, l.number, l.sequence, step, replica, e.part IS NULL AS unexpected,
    coalesce(NOT e.aggregated, false) AS own,
    coalesce(NOT e.aggregated AND l.digest <> e.digest, false) AS wrong
FROM letters AS l LEFT JOIN expected AS e ON l.part = e.part AND l.number = e.number
"""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What became of the records of the source."""

    dead: int
    control: int
    copies: int
    aggregated: int


class Rules:
    """The rules for source, archive, lake and dead letters.

    `with_values` says whether contents were read. Without dead letters, `letters` stays empty.
    """

    def __init__(self, database: Database, findings: Findings, *, with_values: bool) -> None:
        self._database = database
        self._count = findings.count
        self._add = findings.add
        self._with_values = with_values
        database.run(LETTERS)
        database.run(
            """CREATE TABLE attributed (
                part INTEGER, number BIGINT, sequence VARCHAR, outcome VARCHAR, name VARCHAR)"""
        )

    def compare_archive(self) -> int:
        """Find what differs between archive and source; how many records the archive lacks."""
        self._database.run(_ARCHIVE)
        return self._count("archive_missing")

    def compare_lake(self) -> int:
        """Find what differs between lake and source; how many records are nowhere (`lost`)."""
        wrong = _WRONG_VALUES if self._with_values else "false"
        self._database.run(_LAKE.format(wrong=wrong))
        self._database.run(_LOST)
        return self._count("lost")

    def archive(self, *, exactly_once: bool, has_folders: bool) -> Row:
        """Every record once, byte for byte, in the folder of its arrival hour."""
        row = Row("archive", self._count("expected"), self._count("archive"))
        differences = f"SELECT {AT} FROM archive_differences WHERE"
        self._add(row, "missing", f"{differences} missing", "of the source but not in the archive")
        unexpected = self._count("archive_differences WHERE unexpected")
        missing = self._count("archive_differences WHERE missing")
        aggregated = self._count("expected WHERE aggregated")
        # Without surplus rows there is nothing twice, and grouping all of them is spared.
        if aggregated or row.found - unexpected > row.due - missing:
            due = "(FROM expected WHERE NOT aggregated)"
            twice = _TWICE.format(observed="archive", due=due)
            self._add(row, "doubled", twice, "there more than once", is_error=exactly_once)
        strange = "of no record of the source"
        self._add(row, "unexpected", f"{differences} unexpected", strange)
        self._add(row, "wrong", f"{differences} wrong", "with other bytes than in the source")
        elsewhere = "in another folder than that of their hour"
        self._add(row, "misplaced", f"{differences} misplaced", elsewhere)
        if not has_folders:
            row.not_judged = ("misplaced",)
        return row

    def accounts(self) -> Accounts:
        """Count what became of the records; `compare_lake` was called before."""
        return Accounts(
            dead=self._count("expected SEMI JOIN dead USING (part, number) WHERE NOT aggregated"),
            control=self._count(
                "lake_differences ANTI JOIN dead USING (part, number)"
                " WHERE NOT is_row AND is_control"
            ),
            copies=self._count("expected WHERE is_copy"),
            aggregated=self._count("expected WHERE aggregated"),
        )

    def attribute(self, part: int, number: int, outcome: str, name: str) -> None:
        """Note what a lost record is, see `attribute.Outcome`."""
        self._database.run(
            "INSERT INTO attributed SELECT part, number, sequence, ?, ? FROM lost"
            " WHERE part = ? AND number = ?",
            [outcome, name, part, number],
        )

    def source(self, accounts: Accounts) -> Row:
        """Every record accounted for; a lost record that is attributed is in the sink's row."""
        unknown = f"SELECT {AT} FROM lost ANTI JOIN attributed USING (part, number)"
        records = self._count("expected")
        row = Row("source", records, records - self._count(f"({unknown})"))
        row.figures = {
            "dead_letters": accounts.dead,
            "control": accounts.control + self._count(f"attributed WHERE outcome = '{CONTROL}'"),
            "redriven_copies": accounts.copies,
        }
        if accounts.aggregated:
            row.figures["aggregated_not_judged"] = accounts.aggregated
        nowhere = (
            "neither in the lake nor among the dead letters (which of the two lacks it isn't known)"
        )
        self._add(row, "missing", unknown, nowhere)
        return row

    def lake(self, accounts: Accounts) -> Row:
        """Each event once, in its folder, with its values, and not a dead letter of decode too."""
        spared = accounts.dead + accounts.control + accounts.copies + accounts.aggregated
        lost = self._count("lost") - self._count(f"attributed WHERE outcome = '{EVENT}'")
        row = Row("lake", self._count("expected") - spared - lost, self._count("lake"))
        for name in self._attributed(EVENT):
            self._add(row, "missing", _attributed_as(EVENT, name), f"{name} events not in the lake")
        own = "(FROM expected WHERE NOT is_copy AND NOT aggregated)"
        present = self._count("expected") - self._count("lake_differences WHERE NOT is_row")
        unknown = self._count("lake_differences WHERE is_row AND unknown_position")
        if row.found - unknown > present:
            twice = _TWICE.format(observed="lake", due=own)
            self._add(row, "doubled", twice, "there more than once")
        both = (
            f"SELECT {AT} FROM expected SEMI JOIN dead USING (part, number)"
            " SEMI JOIN lake USING (part, number) WHERE NOT aggregated"
        )
        self._add(row, "doubled", both, "in the lake and among the dead letters of decode")
        differences = f"SELECT {AT} FROM lake_differences WHERE"
        strange = "rows of no record that belongs there"
        self._add(row, "unexpected", f"{differences} unexpected", strange)
        elsewhere = "in another folder than their own values say"
        self._add(row, "misplaced", f"{differences} misplaced", elsewhere)
        self._add(row, "wrong", f"{differences} wrong", "with other values than in the source")
        unread = "is_head" if self._with_values else "true"
        unvalued = self._count(f"lake SEMI JOIN (FROM {own} WHERE {unread}) USING (part, number)")
        if unvalued:
            row.figures["values_not_compared"] = unvalued
        return row

    def letters(self, accounts: Accounts | None, *, exactly_once: bool) -> Row:
        """Each reject there, of a record of the source, with its bytes."""
        self._database.run(_LETTERS)
        lost = self._count(f"attributed WHERE outcome = '{REJECT}'")
        due = (accounts.dead if accounts else 0) + lost
        row = Row("dead_letters", due, self._count("letters WHERE step = 'decode'"))
        row.figures["of_index"] = self._count("letters WHERE step = 'index'")
        row.figures["of_replicate"] = self._count("letters WHERE step = 'replicate'")
        for reason in self._attributed(REJECT):
            meaning = f"rejected by decode as {reason} but no dead letter"
            self._add(row, "missing", _attributed_as(REJECT, reason), meaning, reason=reason)
        twice = """
            SELECT part, number, any_value(sequence) AS sequence, count(*) - 1 AS copies
            FROM letter_rows WHERE own GROUP BY part, number, step, replica HAVING count(*) > 1"""
        self._add(row, "doubled", twice, "there more than once", is_error=exactly_once)
        rows = f"SELECT {AT} FROM letter_rows WHERE"
        self._add(row, "unexpected", f"{rows} unexpected", "of no record of the source")
        self._add(row, "wrong", f"{rows} wrong", "with other bytes than in the source")
        return row

    def _attributed(self, outcome: str) -> list[str]:
        """The event types or reasons that lost records are attributed to."""
        sql = "SELECT DISTINCT name FROM attributed WHERE outcome = ? ORDER BY name"
        return [name for (name,) in self._database.rows(sql, [outcome])]


def _attributed_as(outcome: str, name: str) -> str:
    where = f"outcome = {literal(outcome)} AND name = {literal(name)}"
    return f"SELECT {AT} FROM attributed WHERE {where}"
