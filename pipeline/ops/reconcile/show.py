"""Prints a report: a table and sentences for people, JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from connectors.errors import UserError
from pipeline.ops.reconcile.options import Output
from pipeline.ops.reconcile.report import KINDS, Report, Row


def show(report: Report, output: Output, console: Console) -> None:
    """The report as asked for; UserError if the file can't be written."""
    if output.out:
        _write(report, output.out)
    if output.as_json:
        print(json.dumps(report.as_dict(output.show)))
        return
    if console.is_terminal:
        console.print(_table(report))
    else:
        for row in report.rows:
            for name, value in _plain(row).items():
                print(f"{row.step} {name}: {value}")
    for note in report.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    for problem in report.problems(output.show):
        console.print(problem, style="red", highlight=False, markup=False, soft_wrap=True)
    verdict = "nothing missing, doubled, misplaced or wrong" if report.ok else "something is wrong"
    console.print(verdict, highlight=False)


def _write(report: Report, path: Path) -> None:
    try:
        path.write_text(json.dumps(report.as_dict(None), indent=1) + "\n")
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror})") from error


def _plain(row: Row) -> dict[str, str]:
    counts = {kind: row.count(kind) for kind in KINDS}
    judged = {kind: "not judged" if n is None else str(n) for kind, n in counts.items()}
    figures = {name: str(value) for name, value in row.figures.items()}
    return {"in": str(row.due), "out": str(row.found), **judged, **figures}


def _table(report: Report) -> Table:
    made = Table("step", *("in", "out", *KINDS))
    for column in made.columns[1:]:
        column.justify = "right"
    made.add_column("of which, besides")
    for row in report.rows:
        cells = [_cell(row.count(kind)) for kind in KINDS]
        figures = ", ".join(f"{name} {_of(value)}" for name, value in row.figures.items() if value)
        made.add_row(row.step, f"{row.due:,}", f"{row.found:,}", *cells, figures)
    return made


def _cell(count: int | None) -> str:
    if count is None:
        return "-"
    return f"[red]{count:,}[/]" if count else "0"


def _of(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value
