"""A report of figures as a table on a terminal, and as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.report_table import fits, lines

Style = Callable[[str, str], str | None]
"""The style of a row, from the figure's name and its text."""


def render(report: Mapping[str, Any], console: Console, *, title: str, style: Style) -> None:
    """Print a table on a terminal that is wide enough, else one `name: value` a line."""
    table = _table(report, title, style)
    if console.is_terminal and fits(table, console):
        console.print(table)
        return
    for name, text in lines(report):
        print(f"{name}: {text}", file=console.file)


def write(report: Mapping[str, Any], path: Path) -> None:
    """Write the report as JSON, its keys in the same order; make the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _table(report: Mapping[str, Any], title: str, style: Style) -> Table:
    table = Table(title=title, show_edge=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, text in lines(report):
        table.add_row(name, text, style=style(name, text))
    return table
