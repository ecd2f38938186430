"""A report of figures: each by its name, for people and for programs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from dev.figures import render, write
from pipeline.report_table import print_report

REPORT = {"produced": 203_412, "rejected": {"wrong_type": 110}, "lake_rows": None, "seconds": 71.25}
LINES = [
    "produced: 203,412",
    "rejected.wrong_type: 110",
    "lake_rows: not looked at",
    "seconds: 71.2",
]


def test_elsewhere_than_on_a_terminal_each_figure_has_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = io.StringIO()
    render(REPORT, Console(file=shown), title="Figures", style=lambda name, text: None)
    assert shown.getvalue().splitlines() == LINES
    print_report(REPORT, as_json=False)
    assert capsys.readouterr().out.splitlines() == LINES


def test_a_terminal_gets_a_table() -> None:
    shown = io.StringIO()
    styles: list[tuple[str, str]] = []
    console = Console(file=shown, force_terminal=True)
    render(REPORT, console, title="Figures", style=lambda *figure: styles.append(figure))
    for text in ("Figures", "rejected.wrong_type", "203,412"):
        assert text in shown.getvalue()
    assert ("seconds", "71.2") in styles


def test_programs_get_the_same_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "build" / "demo-report.json"
    write(REPORT, path)
    print_report(REPORT, as_json=True)
    assert json.loads(path.read_text(encoding="utf-8")) == REPORT
    assert json.loads(capsys.readouterr().out) == REPORT
