"""The report: every figure by its name, for people and for programs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from dev.demo.report import render, write

REPORT = {"produced": 203_412, "rejected": {"wrong_type": 110}, "lake_rows": None, "seconds": 71.25}


def test_elsewhere_than_on_a_terminal_each_figure_has_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    render(REPORT)
    assert capsys.readouterr().out.splitlines() == [
        "produced: 203,412",
        "rejected.wrong_type: 110",
        "lake_rows: not looked at",
        "seconds: 71.2",
    ]


def test_a_terminal_gets_a_table() -> None:
    shown = io.StringIO()
    render({**REPORT, "lake_missing": 3}, Console(file=shown, force_terminal=True))
    assert "rejected.wrong_type" in shown.getvalue()
    assert "203,412" in shown.getvalue()
    assert "lake_missing" in shown.getvalue()


def test_the_file_holds_the_same_figures(tmp_path: Path) -> None:
    path = tmp_path / "build" / "demo-report.json"
    write(REPORT, path)
    assert json.loads(path.read_text(encoding="utf-8")) == REPORT
