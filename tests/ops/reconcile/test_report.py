"""The report of a reconciliation for people: nothing is cut, and nothing commands a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.report import Finding, Report, Row

POSITIONS = [f"a-topic-with-a-name-that-is-long/{number}@1..9999999999" for number in range(20)]


@pytest.fixture
def report() -> Report:
    lost = Finding("lake", "missing", 1234, "in no file", lambda most=None: POSITIONS[:most])
    strange = Finding("index", "unexpected", 1, "an id", lambda most=None: ["trip \x1b[2J"][:most])
    rows = [
        Row("decode", 1_000_000, 999_999, {"control": 5, "copies": 0}),
        Row("lake", 999_994, 998_760, findings=[lost]),
        Row("index", 999_994, 999_995, findings=[strange], not_judged=("wrong",)),
    ]
    return Report(rows, [], ["\x1b]0;title"], {}, 0, Database())


def shown(report: Report, width: int) -> list[str]:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)
    report.show(console, 20)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_narrow_terminal_gets_each_step_as_lines(report: Report) -> None:
    lines = shown(report, 60)
    assert lines[:10] == [
        "step               decode",
        "in                 1,000,000",
        "out                999,999",
        "missing            0",
        "doubled            0",
        "misplaced          0",
        "wrong              0",
        "unexpected         0",
        "of which, besides  control 5",
        "",
    ]
    assert "wrong              not judged" in lines


@pytest.mark.parametrize("width", [60, 200])
def test_all_positions_are_there_at_any_width(report: Report, width: int) -> None:
    lines = shown(report, width)
    assert f"lake: 1,234 missing, in no file: {', '.join(POSITIONS)}" in lines
    assert "index: 1 unexpected, an id: trip \\x1b[2J" in lines
    assert "note: \\x1b]0;title" in lines
    assert lines[-1] == "something is wrong"


def test_a_wide_terminal_gets_a_table(report: Report) -> None:
    [row] = [line for line in shown(report, 200) if line.startswith("│ lake")]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "lake", "999,994", "998,760", "1,234", "0", "0", "0", "0", "",
    ]  # fmt: skip


def test_elsewhere_each_number_has_a_line(
    report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    report.show(Console(file=io.StringIO()))
    lines = capsys.readouterr().out.splitlines()
    assert {"decode in: 1000000", "decode control: 5", "index wrong: not judged"} <= set(lines)
