"""A report of figures: each by its name, for people and for programs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from dev.figures import render, write
from pipeline.report_table import print_report, print_rows, show_rows

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


def test_a_narrow_terminal_gets_lines() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=25)
    render(REPORT, console, title="Figures", style=lambda name, text: None)
    assert shown.getvalue().splitlines() == LINES


def test_programs_get_the_same_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "build" / "demo-report.json"
    write(REPORT, path)
    print_report(REPORT, as_json=True)
    assert json.loads(path.read_text(encoding="utf-8")) == REPORT
    assert json.loads(capsys.readouterr().out) == REPORT


LONG = "index_unavailable, " + "x" * 200
ROWS = [
    {"reason": LONG, "count": 203_412, "position": "trips/0/1742", "judged": None},
    {"reason": "\x1b[2J", "count": 0, "position": "", "judged": True},
]


def shown_on(console: Console) -> str:
    show_rows(ROWS, console, style=lambda name, value: "red" if name == "count" else None)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_wide_terminal_gets_rows_in_a_table() -> None:
    shown = shown_on(Console(file=io.StringIO(), force_terminal=True, width=300))
    [first] = [line for line in shown.splitlines() if LONG in line]
    assert "203,412" in first and "trips/0/1742" in first
    assert "\x1b[31m" in shown, "the style of the count"
    assert "\x1b[2J" not in shown and "\\x1b[2J" in shown


@pytest.mark.parametrize("width", [20, 80, 255])
def test_a_narrow_terminal_gets_blocks_and_no_value_is_cut(width: int) -> None:
    shown = shown_on(Console(file=io.StringIO(), force_terminal=True, width=width))
    assert shown.splitlines() == [
        f"reason    {LONG}",
        "count     203,412",
        "position  trips/0/1742",
        "",
        "reason    \\x1b[2J",
        "count     0",
        "judged    True",
    ]


def test_elsewhere_than_on_a_terminal_each_row_has_a_line() -> None:
    shown = shown_on(Console(file=io.StringIO(), width=20))
    assert [line.split("\t") for line in shown.splitlines()] == [
        [LONG, "203412", "trips/0/1742", ""],
        ["\\x1b[2J", "0", "", "True"],
    ]


def test_rows_for_programs_and_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS, as_json=True, none="nothing")
    assert json.loads(capsys.readouterr().out) == ROWS
    print_rows([], as_json=False, none="nothing")
    assert capsys.readouterr().out == "nothing\n"
