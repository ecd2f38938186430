"""What must become of the records that were made, and whether a reconciliation agrees.

`reconcile` proves that the sinks agree with the source and names every position that does not.
It cannot know what the generator meant, so counts are compared here as well: of records, of
rejects by reason, and of ids by event type.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dev.demo.made import CONTROL, EVENT, Made
from dev.demo.variants import AIRPORTS
from pipeline.ops.dead_letters.reader import read_letters
from pipeline.ops.reconcile.report import KINDS, Kind, Report, Row
from pipeline.ops.reconcile.steps import (
    ARCHIVE,
    DEAD_LETTERS,
    INDEX,
    LAKE,
    REPLICATE,
    SOURCE,
    kind_of,
    name_of,
)
from pipeline.ops.systems import Systems

_KINDS: Final[Mapping[Kind, str]] = {**{kind: kind for kind in KINDS}, "doubled": "duplicates"}
_NAMES: Final = {
    "archive_wrong": "archive_damaged",
    "archive_misplaced": "archive_wrong_partition",
    "lake_misplaced": "wrong_partition",
    "lake_wrong": "wrong_content",
    "index_wrong": "index_stale_wrong",
}
_NEVER: Final = re.compile(r"index_(doubled|misplaced)|(dead_letters|replica_\w+)_misplaced")
"""What cannot be wrong with a sink: a document has one place, and so has a topic's record."""
_HELD: Final = {ARCHIVE: "archive_records", LAKE: "lake_rows", DEAD_LETTERS: "dead_letters"}
_ERRORS: Final = re.compile(
    r"\w+_(missing|unexpected|damaged|wrong)|(archive|lake)_duplicates|archive_wrong_partition"
    r"|wrong_partition|wrong_content"
)
"""Figures that are errors unless they are 0, whatever the back ends guarantee."""


@dataclass(slots=True)
class Expectation:
    """What must become of the records made so far, as counts."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Records by `Made.expect`."""
    ids: dict[str, set[int]] = field(default_factory=dict)
    """Ids by event type; each must be one document."""
    at_airports: int = 0
    """Valid events that pass the replicas' filter, repeats included."""

    @property
    def produced(self) -> int:
        """The number of records."""
        return self.outcomes.total()

    @property
    def rejected(self) -> dict[str, int]:
        """Rejects by reason, in alphabetical order."""
        return {r: n for r, n in sorted(self.outcomes.items()) if r not in (EVENT, CONTROL)}

    def add(self, record: Made) -> None:
        """Count one record."""
        self.outcomes[record.expect] += 1
        if record.expect == EVENT:
            self.ids.setdefault(record.event_type, set()).add(record.trip_id)
            self.at_airports += record.pickup_location_id in AIRPORTS


def reasons_of(systems: Systems) -> dict[str, int]:
    """Count the dead letters of decode by reason, copies of one position once."""
    decoded = {
        (letter.position, letter.reason)
        for letter in read_letters(systems)
        if letter.step == "decode"
    }
    return dict(sorted(Counter(reason for _, reason in decoded).items()))


def differences(due: Expectation, report: Report, reasons: Mapping[str, int]) -> list[str]:
    """Return a sentence for each count that is not what the generator made."""
    return [
        f"{what}: {observed:,} instead of the {expected:,} that were made"
        for what, expected, observed in _counts(due, report, reasons)
        if expected != observed
    ]


def _counts(
    due: Expectation, report: Report, reasons: Mapping[str, int]
) -> Iterator[tuple[str, int, int]]:
    """Yield what is counted, the number expected and the number observed."""
    yield "records in the source", due.produced, report.row(SOURCE).due
    yield "control events", due.outcomes[CONTROL], int(report.row(SOURCE).figures["control"])
    for reason in sorted({*due.rejected, *reasons}):
        yield f"rejects for {reason}", due.outcomes[reason], reasons.get(reason, 0)
    for row in report.rows:
        kind, name = kind_of(row.step), name_of(row.step)
        if kind == ARCHIVE:
            yield "archived records", due.produced, _distinct(row)
        elif kind == LAKE:
            yield "rows of the lake", due.outcomes[EVENT], _distinct(row)
        elif kind == INDEX:
            yield f"documents of {name}", len(due.ids.get(name, ())), row.observed
        elif kind == REPLICATE:
            yield f"events in {row.step}", due.at_airports, _distinct(row)


def figures(due: Expectation, report: Report) -> dict[str, Any]:
    """Return what was made and what every sink holds of it, by the names of the demo's report."""
    shown: dict[str, Any] = {
        "produced": due.produced,
        "valid": due.outcomes[EVENT],
        "control": due.outcomes[CONTROL],
        "rejected": due.rejected,
    }
    index = [row for row in report.rows if kind_of(row.step) == INDEX]
    for row in report.rows:
        if row.step == SOURCE or row in index:
            continue
        sink = f"replica_{name}" if (name := name_of(row.step)) else row.step
        shown[_HELD.get(sink, f"{sink}_records")] = row.observed
        shown |= _findings(sink, [row])
        if sink == DEAD_LETTERS:
            shown["dead_letters_index"] = row.figures["of_index"]
    shown["index_docs"] = {name_of(row.step): row.observed for row in index} or None
    return {**shown, **_findings("index", index)}


def style(name: str, text: str) -> str | None:
    """Return a figure's style: red for an error, green where there could have been one."""
    if not _ERRORS.fullmatch(name) or not text[0].isdigit():
        return None
    return "green" if text == "0" else "bold red"


def _findings(sink: str, rows: Iterable[Row]) -> dict[str, int | None]:
    """Return how often each kind of finding was met; None where it was not judged."""
    counted: dict[str, int | None] = {}
    for kind, text in _KINDS.items():
        if _NEVER.fullmatch(f"{sink}_{kind}"):
            continue
        counts = [_count(row, kind) for row in rows if kind not in row.not_judged]
        name = _NAMES.get(f"{sink}_{kind}", f"{sink}_{text}")
        counted[name] = sum(counts) if counts else None
    return counted


def _count(row: Row, kind: Kind) -> int:
    """Count the findings of a kind, those that the sink's guarantee allows included."""
    return sum(finding.count for finding in row.findings if finding.kind == kind)


def _distinct(row: Row) -> int:
    """Return how many records a sink holds, copies of one counted once."""
    return row.observed - _count(row, "doubled")
