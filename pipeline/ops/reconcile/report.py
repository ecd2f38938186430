"""Report on a reconciliation: a row for each step, and findings that name positions or ids."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from rich.console import Console

from connectors.errors import UserError
from connectors.sql import literal
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.inventory import Inventory
from pipeline.ops.reconcile.position_index import PositionIndex
from pipeline.report_table import show_rows
from pipeline.terminal import printable

Kind = Literal["missing", "doubled", "misplaced", "wrong", "unexpected"]
KINDS: Final[tuple[Kind, ...]] = ("missing", "doubled", "misplaced", "wrong", "unexpected")
SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """A kind of difference: how often, and where; `names` returns the first positions, or all.

    `is_error` is false where the guarantee allows it, such as copies in an at-least-once sink.
    """

    step: str
    kind: Kind
    count: int
    meaning: str
    names: Callable[..., list[str]]
    is_error: bool = True
    reason: str = ""

    def sentence(self, most: int = SHOWN) -> str:
        """Return the finding as a sentence for people."""
        names = self.names(most + 1)
        more = ", ..." if len(names) > most else ""
        return (
            f"{self.step}: {self.count:,} {self.kind}, {self.meaning}:"
            f" {', '.join(names[:most])}{more}"
        )

    def as_dict(self, most: int | None) -> dict[str, Any]:
        """Return the values for JSON."""
        about: dict[str, Any] = {"kind": self.kind, "count": self.count, "is_error": self.is_error}
        reason = {"reason": self.reason} if self.reason else {}
        return {**about, **reason, "meaning": self.meaning, "names": self.names(most)}


@dataclass(slots=True)
class Row:
    """One step: how many are due and how many were observed. `not_judged` kinds have no count."""

    step: str
    due: int
    observed: int
    figures: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    not_judged: tuple[Kind, ...] = ()

    def drop(self, kind: Kind) -> None:
        """Drop the findings of a kind that can't be judged."""
        self.findings = [finding for finding in self.findings if finding.kind != kind]
        if kind not in self.not_judged:
            self.not_judged = (*self.not_judged, kind)

    def count(self, kind: Kind) -> int | None:
        """Return how many errors of that kind there are; None if it isn't judged."""
        if kind in self.not_judged:
            return None
        errors = (finding for finding in self.findings if finding.kind == kind and finding.is_error)
        return sum(finding.count for finding in errors)

    def counts(self) -> dict[str, int | None]:
        """Return how many errors of each kind there are."""
        return {kind: self.count(kind) for kind in KINDS}

    def cells(self) -> dict[str, int | str]:
        """Return all numbers by their names, for people; "not judged" where there is none."""
        counts = {k: "not judged" if n is None else n for k, n in self.counts().items()}
        return {"in": self.due, "out": self.observed, **counts, **self.figures}

    def shown(self) -> dict[str, int | str]:
        """Return what a terminal shows: figures that most steps do not have are one text."""
        cells = {name: value for name, value in self.cells().items() if name not in self.figures}
        besides = ", ".join(f"{name} {n:,}" for name, n in self.figures.items() if n)
        return {"step": self.step, **cells, "of which, besides": besides}

    def as_dict(self, most: int | None) -> dict[str, Any]:
        """Return the values for JSON."""
        findings = [finding.as_dict(most) for finding in self.findings]
        about: dict[str, Any] = {"step": self.step, "in": self.due, "out": self.observed}
        return {**about, **self.counts(), "figures": self.figures, "findings": findings}


class Findings:
    """Adds results of SQL to rows of the report, and keeps their positions or ids in tables."""

    def __init__(self, database: Database, index: PositionIndex) -> None:
        self._database = database
        self._index = index
        self._tables = 0

    def add(
        self,
        row: Row,
        kind: Kind,
        relation: str,
        meaning: str,
        *,
        copies: str = "1",
        is_error: bool = True,
        reason: str = "",
    ) -> None:
        """Add the positions in a relation; `copies` is SQL for how often one counts."""
        table = self._table(f"part, number, sequence, {copies} AS copies FROM {relation}")
        count = self._database.count(f"SELECT sum(copies) FROM {table}")
        if count:
            names = partial(self._index.names, f"FROM {table}")
            row.findings.append(Finding(row.step, kind, count, meaning, names, is_error, reason))

    def add_doubled(self, row: Row, relation: str, also: str = "", *, is_error: bool) -> None:
        """Add the positions that a relation has more than once with equal columns `also`."""
        twice = f"""(SELECT part, number, any_value(sequence) AS sequence, count(*) - 1 AS surplus
            FROM {relation} GROUP BY part, number{also} HAVING count(*) > 1)"""
        meaning = "there more than once"
        self.add(row, "doubled", twice, meaning, copies="surplus", is_error=is_error)

    def add_ids(self, row: Row, kind: Kind, event_type: str, relation: str, meaning: str) -> None:
        """Add the documents' ids in a relation: `trip 4071001`."""
        table = self._table(f"id FROM {relation}")
        # Ids are texts: sort those that are numbers by value.
        sql = f"SELECT {literal(f'{event_type} ')} || id FROM {table} ORDER BY length(id), id"

        def names(most: int | None = None) -> list[str]:
            limit = "" if most is None else f" LIMIT {most}"
            return [name for (name,) in self._database.rows(sql + limit)]

        if count := self._database.size(table):
            row.findings.append(Finding(row.step, kind, count, meaning, names))

    def _table(self, columns: str) -> str:
        self._tables += 1
        self._database.run(f"CREATE TABLE finding_{self._tables} AS SELECT {columns}")
        return f"finding_{self._tables}"


class Rejects(msgspec.Struct, frozen=True):
    """How many records a step rejected for one reason; copies of a dead letter count once."""

    step: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a reconciliation.

    `bounds` are the judged positions, as ranges; `notes` say what was not judged, and why.
    `rejects` and `lake_files` are None where there are no dead letters or no lake.
    """

    rows: list[Row]
    bounds: list[str]
    notes: list[str]
    seconds: dict[str, float]
    peak_rss_bytes: int
    database: Database
    """Has the names of the findings; deleted with the report."""
    rejects: list[Rejects] | None = None
    lake_files: Inventory | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, doubled, misplaced, wrong or unexpected."""
        return not self._errors()

    def problems(self, most: int = SHOWN) -> list[str]:
        """Return one sentence for each error, naming the first positions."""
        return [finding.sentence(most) for finding in self._errors()]

    def _errors(self) -> list[Finding]:
        return [finding for row in self.rows for finding in row.findings if finding.is_error]

    def row(self, step: str) -> Row:
        """Return the row of that step; KeyError if there is none."""
        return {row.step: row for row in self.rows}[step]

    def as_dict(self, most: int | None = SHOWN) -> dict[str, Any]:
        """Return the report for JSON, with at most `most` names of each finding; None: all."""
        return {
            "ok": self.ok,
            "steps": [row.as_dict(most) for row in self.rows],
            "bounds": self.bounds,
            "notes": self.notes,
            "problems": self.problems(SHOWN if most is None else most),
            "rejects": msgspec.to_builtins(self.rejects),
            "lake_files": msgspec.to_builtins(self.lake_files),
            "seconds": self.seconds,
            "peak_rss_bytes": self.peak_rss_bytes,
        }

    def write(self, path: Path) -> None:
        """Write the whole report as JSON; UserError if that's impossible."""
        try:
            path.write_text(json.dumps(self.as_dict(None), indent=1) + "\n")
        except OSError as error:
            raise UserError(f"--out {path}: cannot be written ({error.strerror})") from error

    def show(self, console: Console, most: int = SHOWN) -> None:
        """Print the report for people: rows on a terminal, else lines; then sentences."""
        if console.is_terminal:
            show_rows([row.shown() for row in self.rows], console, style=_style)
        else:
            for row in self.rows:
                for name, value in row.cells().items():
                    print(f"{row.step} {name}: {value}")
        plain = partial(console.print, highlight=False, markup=False, soft_wrap=True)
        for note in self.notes:
            plain(f"note: {printable(note)}")
        for problem in self.problems(most):
            plain(printable(problem), style="red")
        plain("nothing missing, doubled, misplaced or wrong" if self.ok else "something is wrong")


def _style(name: str, value: Any) -> str | None:
    return "red" if name in KINDS and isinstance(value, int) and value else None


def peak_rss_bytes() -> int:
    """Return the peak resident memory of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # On Linux, `getrusage` returns the parent's figure if that was larger.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
