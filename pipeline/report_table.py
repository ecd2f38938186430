"""A report of figures: one `name: value` line each for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Style = Callable[[str, str], str | None]
"""The style of a row, from the figure's name and its text."""


def print_report(report: Mapping[str, Any], *, as_json: bool) -> None:
    """Print to stdout: one line of JSON, or one `name: value` a line."""
    if as_json:
        print(json.dumps(report))
        return
    for name, text in lines(report):
        print(f"{name}: {text}")


def render(report: Mapping[str, Any], console: Console, *, title: str, style: Style) -> None:
    """Print a table on a terminal, else one `name: value` a line to the console's file."""
    if console.is_terminal:
        console.print(_table(report, title, style))
        return
    for name, text in lines(report):
        print(f"{name}: {text}", file=console.file)


def write(report: Mapping[str, Any], path: Path) -> None:
    """Write the report as JSON, its keys in the same order; make the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def lines(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each figure's name and text; a nested figure's name is `outer.inner`."""
    for name, value in report.items():
        if isinstance(value, Mapping):
            yield from lines({f"{name}.{inner}": number for inner, number in value.items()})
        else:
            yield name, text_of(value)


def text_of(value: object) -> str:
    """Format one figure: thousands separated, one decimal, None as `not looked at`."""
    if value is None:
        return "not looked at"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return json.dumps(value) if isinstance(value, list | tuple) else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _table(report: Mapping[str, Any], title: str, style: Style) -> Table:
    table = Table(title=title, show_edge=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, text in lines(report):
        table.add_row(name, text, style=style(name, text))
    return table
