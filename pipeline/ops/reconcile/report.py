"""What a reconciliation found: a row for each step, and findings that name positions or ids."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from pipeline.ops.reconcile.database import Database

Kind = Literal["missing", "doubled", "misplaced", "wrong", "unexpected"]
KINDS: Final[tuple[Kind, ...]] = ("missing", "doubled", "misplaced", "wrong", "unexpected")
SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be: how often, and where. `name` gives the first texts, None: all.

    `is_error` is false where a sink's guarantee allows it, as a copy where it is at least once.
    """

    step: str
    kind: Kind
    count: int
    meaning: str
    name: Callable[[int | None], list[str]]
    is_error: bool = True
    reason: str = ""

    def names(self, most: int | None = None) -> list[str]:
        """The first names, or all."""
        return self.name(most)

    def sentence(self, most: int = SHOWN) -> str:
        """The finding for people."""
        names = self.names(most + 1)
        more = ", ..." if len(names) > most else ""
        return (
            f"{self.step}: {self.count:,} {self.kind}, {self.meaning}:"
            f" {', '.join(names[:most])}{more}"
        )

    def as_dict(self, most: int | None) -> dict[str, Any]:
        """For programs."""
        about: dict[str, Any] = {"kind": self.kind, "count": self.count, "is_error": self.is_error}
        reason = {"reason": self.reason} if self.reason else {}
        return {**about, **reason, "meaning": self.meaning, "names": self.names(most)}


@dataclass(slots=True)
class Row:
    """One step: how many should be there, how many are. `not_judged` kinds are no zeros."""

    step: str
    due: int
    found: int
    figures: dict[str, int | str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    not_judged: tuple[Kind, ...] = ()

    def add(
        self,
        kind: Kind,
        count: int,
        meaning: str,
        name: Callable[[int | None], list[str]],
        *,
        is_error: bool = True,
        reason: str = "",
    ) -> None:
        """Notes a finding, if there is any."""
        if count:
            one = Finding(self.step, kind, int(count), meaning, name, is_error, reason)
            self.findings.append(one)

    def drop(self, kind: Kind) -> None:
        """Takes back what was found of a kind that can't be judged."""
        self.findings = [one for one in self.findings if one.kind != kind]
        if kind not in self.not_judged:
            self.not_judged = (*self.not_judged, kind)

    def count(self, kind: Kind) -> int | None:
        """How many errors of that kind; None where it isn't judged."""
        if kind in self.not_judged:
            return None
        return sum(one.count for one in self.findings if one.kind == kind and one.is_error)

    def as_dict(self, most: int | None) -> dict[str, Any]:
        """For programs."""
        counts: dict[str, int | None] = {kind: self.count(kind) for kind in KINDS}
        findings = [one.as_dict(most) for one in self.findings]
        about: dict[str, Any] = {"step": self.step, "in": self.due, "out": self.found, **counts}
        return {**about, "figures": self.figures, "findings": findings}


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a reconciliation.

    `bounds` are the positions that were judged, as ranges; `notes` say what wasn't, and why.
    """

    rows: list[Row]
    bounds: list[str]
    notes: list[str]
    seconds: dict[str, float]
    peak_rss_bytes: int
    database: Database
    """Holds the names of the findings, and is deleted with the report."""

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, doubled, misplaced, wrong or unexpected."""
        return not any(one.is_error for row in self.rows for one in row.findings)

    def problems(self, most: int = SHOWN) -> list[str]:
        """One sentence for each thing that is wrong, naming the first positions."""
        return [one.sentence(most) for row in self.rows for one in row.findings if one.is_error]

    def row(self, step: str) -> Row:
        """The row of that step; KeyError if there is none."""
        for row in self.rows:
            if row.step == step:
                return row
        raise KeyError(step)

    def as_dict(self, most: int | None = SHOWN) -> dict[str, Any]:
        """For programs; so many names of each finding, None: all."""
        return {
            "ok": self.ok,
            "steps": [row.as_dict(most) for row in self.rows],
            "bounds": self.bounds,
            "notes": self.notes,
            "problems": self.problems(SHOWN if most is None else most),
            "seconds": self.seconds,
            "peak_rss_bytes": self.peak_rss_bytes,
        }


def peak_rss_bytes() -> int:
    """The most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # There `getrusage` tells the parent's figure where that was larger.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
