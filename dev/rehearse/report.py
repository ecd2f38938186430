"""The report of a rehearsal: a line for each thing proved, and how."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.console import Console

from dev.rehearse.watch import Values
from pipeline.deploy.monitoring.alarms import Alarm
from pipeline.report_table import show_rows

How = Literal["done", "provoked", "threshold lowered", "on given samples", "reconciled"]


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that had to hold, how it was shown, and what was observed."""

    what: str
    how: How
    ok: bool
    seen: str


@dataclass(slots=True)
class Proofs:
    """All proofs of a rehearsal in order, and notes."""

    proofs: list[Proof] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    finished: bool = False

    def add(self, what: str, how: How, ok: bool, observed: str) -> None:
        """Add a proof."""
        self.proofs.append(Proof(what, how, ok, observed))

    @property
    def ok(self) -> bool:
        """Whether the rehearsal finished and everything held."""
        return self.finished and all(proof.ok for proof in self.proofs)

    def as_dict(self, seconds: float) -> dict[str, Any]:
        """Return the report for JSON."""
        counts = {how: sum(proof.how == how for proof in self.proofs) for how in _HOWS}
        return {
            "ok": self.ok,
            "seconds": round(seconds, 1),
            "counts": counts,
            "proofs": [asdict(proof) for proof in self.proofs],
            "notes": self.notes,
        }


_HOWS: tuple[How, ...] = (
    "done",
    "provoked",
    "threshold lowered",
    "on given samples",
    "reconciled",
)


def watched(alarm: Alarm, values: Values) -> str:
    """What an alarm saw when it fired.

    >>> from pipeline.deploy.monitoring.alarms import alarm
    >>> watched(alarm("Restarts"), [2.0])
    'growth of full_restarts: 2, fires at > 0'
    """
    form = {"growth": "growth of ", "ratio": "growth of ", "absent": "no "}.get(alarm.form, "")
    per = f" / {alarm.per}" if alarm.form == "ratio" else ""
    observed = ", ".join("no data" if value is None else f"{value:.4g}" for value in values)
    return f"{form}{alarm.signal}{per}: {observed}, fires at {alarm.comparison} {alarm.threshold:g}"


def render(proofs: Proofs, console: Console) -> None:
    """Print a table on a terminal, else a line for each proof; then the notes and the verdict."""
    marks = {True: "ok", False: "FAILED"}
    if console.is_terminal:
        rows = [
            {"proved": proof.what, "how": proof.how, "result": marks[proof.ok], "seen": proof.seen}
            for proof in proofs.proofs
        ]
        show_rows(rows, console, style=_style)
    else:
        for proof in proofs.proofs:
            print(f"{marks[proof.ok]} {proof.what} [{proof.how}]: {proof.seen}", file=console.file)
    for note in proofs.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    count = sum(proof.ok for proof in proofs.proofs)
    console.print(f"{count} of {len(proofs.proofs)} held", highlight=False)


def _style(name: str, value: str) -> str | None:
    return {"ok": "green", "FAILED": "bold red"}.get(value) if name == "result" else None
