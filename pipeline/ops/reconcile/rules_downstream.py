"""The rules for index and replicas, as SQL: against the rows of the lake."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from connectors.sql import literal
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.findings import AT, Findings
from pipeline.ops.reconcile.report import Row

_DUE_DOCUMENTS: Final = """
CREATE OR REPLACE TABLE waiting AS SELECT DISTINCT part, number FROM letters WHERE step = 'index';
CREATE OR REPLACE VIEW rows_of_type AS
    SELECT * FROM lake WHERE event_type = {event_type} AND id IS NOT NULL;
CREATE OR REPLACE TABLE ids AS SELECT DISTINCT id FROM rows_of_type;
CREATE OR REPLACE TABLE newest AS
    SELECT id, max(version) AS version FROM rows_of_type ANTI JOIN waiting USING (part, number)
    GROUP BY id;
"""
_DOCUMENTS: Final = """
CREATE OR REPLACE TABLE document_rows AS
SELECT d.id, coalesce(d.version < n.version, false) AS stale,
    coalesce(known, false) AS known, coalesce(same, false) AS same
FROM documents AS d LEFT JOIN newest AS n ON n.id = d.id LEFT JOIN (
    SELECT d.id, true AS known, bool_or(r.content IS NOT DISTINCT FROM d.content) AS same
    FROM documents AS d JOIN rows_of_type AS r ON r.id = d.id AND r.version = d.version
    GROUP BY d.id
) AS versions ON versions.id = d.id
"""
_ABSENT: Final = """
(SELECT id, version FROM rows_of_type SEMI JOIN waiting USING (part, number)) AS r
WHERE NOT EXISTS (FROM documents AS d WHERE d.id = r.id AND d.version >= r.version)
"""
_DUE_EVENTS: Final = """
CREATE OR REPLACE TABLE waiting AS SELECT DISTINCT part, number FROM letters
    WHERE step = 'replicate' AND replica = {replica};
CREATE OR REPLACE TABLE exempt AS
    FROM waiting UNION SELECT part, number FROM expected WHERE is_copy;
CREATE OR REPLACE VIEW due AS SELECT * FROM lake WHERE event_type IN ({event_types});
"""
_MISSING_BY_POSITION: Final = """
CREATE OR REPLACE TABLE missing AS
SELECT DISTINCT part, number, sequence FROM due ANTI JOIN replica USING (part, number)
ANTI JOIN exempt USING (part, number)
"""
_MISSING_BY_CONTENT: Final = """
CREATE OR REPLACE TABLE missing AS
SELECT part, number, sequence FROM due ANTI JOIN waiting USING (part, number)
ANTI JOIN replica USING (content)
"""
_TWICE: Final = """
SELECT part, number, any_value(sequence) AS sequence, count(*) - 1 AS copies
FROM replica SEMI JOIN due USING (part, number) ANTI JOIN exempt USING (part, number)
GROUP BY part, number HAVING count(*) > 1
"""
_OTHER_VALUES: Final = """
(EXISTS (FROM due WHERE due.part = r.part AND due.number = r.number) AND NOT EXISTS (
    FROM due WHERE due.part = r.part AND due.number = r.number AND due.content = r.content))
"""
_OTHER_BYTES: Final = """
EXISTS (FROM expected AS e
    WHERE e.part = r.part AND e.number = r.number AND e.digest <> r.digest)
"""
_STRANGE: Final = "events of no row of the lake"


@dataclass(frozen=True, slots=True)
class DownstreamRules:
    """The rules; `documents` or `replica` are filled between `due_...` and the judgement."""

    database: Database
    findings: Findings

    def due_documents(self, event_type: str) -> None:
        """Find what the lake's rows of a type ask of the index; their ids are in `ids`."""
        self.database.run(_DUE_DOCUMENTS.format(event_type=literal(event_type)))

    def documents(self, event_type: str, *, whole: bool) -> Row:
        """Each id a document of its newest version or a newer one, with that version's values.

        A version that waits as a dead letter of step index may be there or not. Where an id has one
        version with several values, any of these will do. Only if `whole`, documents of no row are
        judged.
        """
        self.database.run(_DOCUMENTS)
        count, add = self.findings.count, self.findings.add_ids
        row = Row(f"index.{event_type}", count("newest"), count("documents"))
        row.not_judged = ("misplaced", "doubled")
        row.figures["waiting_for_redrive"] = count(_ABSENT)
        missing = "SELECT id FROM newest ANTI JOIN documents USING (id)"
        add(row, "missing", event_type, missing, "ids without a document")
        rows = "SELECT id FROM document_rows WHERE NOT stale AND"
        stale = "documents older than the lake's newest row of the id"
        add(row, "wrong", event_type, "SELECT id FROM document_rows WHERE stale", stale)
        other = "documents with other values than the lake's row of that version"
        add(row, "wrong", event_type, f"{rows} known AND NOT same", other)
        if whole:
            strange = "documents of no row of the lake"
            add(row, "unexpected", event_type, f"{rows} NOT known", strange)
        else:
            row.not_judged = (*row.not_judged, "unexpected")
        return row

    def due_events(self, replica: str, event_types: Iterable[str]) -> None:
        """Find what the lake's rows of these types ask of a replica."""
        types = ", ".join(map(literal, event_types))
        self.database.run(_DUE_EVENTS.format(replica=literal(replica), event_types=types))

    def find_missing(self, *, by_position: bool) -> int:
        """Fill `missing` with what a replica lacks; how many rows. `by_position` or else by values.

        What waits as a dead letter may be there or not, as may redriven copies.
        """
        self.database.run(_MISSING_BY_POSITION if by_position else _MISSING_BY_CONTENT)
        return self.findings.count("missing")

    def replica(self, name: str, *, exactly_once: bool, values: bool, raw: bool) -> Row:
        """Each event once, with its `values`, and for a `raw` copy its bytes."""
        due = self.database.count("SELECT count(DISTINCT (part, number)) FROM due")
        row = self._row(name, due)
        add = self.findings.add
        add(row, "doubled", _TWICE, "there more than once", is_error=exactly_once)
        strange = (
            f"SELECT {AT} FROM replica ANTI JOIN due USING (part, number)"
            " ANTI JOIN exempt USING (part, number)"
        )
        add(row, "unexpected", strange, _STRANGE)
        wrong = [_OTHER_VALUES] * values + [_OTHER_BYTES] * raw
        if wrong:
            rows = f"SELECT {AT} FROM replica AS r WHERE {' OR '.join(wrong)}"
            add(row, "wrong", rows, "with other values or bytes than due")
        return row

    def replica_by_values(self, name: str) -> Row:
        """A replica without positions: every row's values must be there, and no others.

        How often can't be judged: at-least-once makes copies, and events may be alike.
        """
        row = self._row(name, self.findings.count("due"))
        strange = f"SELECT {AT} FROM replica ANTI JOIN due USING (content)"
        self.findings.add(row, "unexpected", strange, _STRANGE)
        return row

    def _row(self, name: str, due: int) -> Row:
        count = self.findings.count
        row = Row(f"replicate.{name}", due, count("replica"), not_judged=("misplaced",))
        missing = f"SELECT {AT} FROM missing"
        self.findings.add(row, "missing", missing, "in the lake but not in the replica")
        row.figures["refused"] = count("waiting")
        return row
