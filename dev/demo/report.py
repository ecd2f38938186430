"""Shows and keeps the demo's report: a table on a terminal, plain lines elsewhere, JSON always."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from pipeline.progress import lines, shown

_MUST_BE_NONE: Final = re.compile(
    r"(archive|lake|dead_letters|index|replica_\w+)_(missing|unexpected|damaged|wrong)"
    r"|archive_duplicates|lake_duplicates|archive_wrong_partition|index_stale_wrong"
    r"|wrong_partition|wrong_content"
)
"""Figures that are wrong unless they are 0, whatever the back ends promise."""


def render(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints the report: a table on a terminal, else one `name: value` a line."""
    console = console or Console()
    if console.is_terminal:
        console.print(_table(report))
        return
    for name, value in lines(report):
        print(f"{name}: {value}", file=console.file)


def write(report: Mapping[str, Any], path: Path) -> None:
    """Writes the report as JSON with the same names, in the same order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _table(report: Mapping[str, Any]) -> Table:
    table = Table(title="What was produced, and what every sink holds of it", show_edge=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in lines(report):
        table.add_row(name, value, style=_style(name, value))
    return table


def _style(name: str, value: str) -> str | None:
    if not _MUST_BE_NONE.fullmatch(name) or value == shown(None):
        return None
    return "green" if value == "0" else "bold red"
