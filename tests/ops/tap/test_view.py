"""When a tap ends and what it says meanwhile, on a lake in a folder: no server is needed."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import yaml

from pipeline.ops.tap import view
from pipeline.ops.tap.lake import LakeTap
from pipeline.ops.tap.view import Seen, Tap, View, in_turn
from pipeline.terminal import counted
from tests.ops.tap.test_lake import PARTITION, parquet


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a lake of one file of three rows."""
    folder = tmp_path / "lake" / "trip" / PARTITION
    folder.mkdir(parents=True)
    (folder / "part-0").write_bytes(parquet(1, 2, 3))
    sections = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "source": {"kafka_topics": ["unused"]},
        "archive": {"path": f"file://{tmp_path}/archive"},
        "lake": {"path": f"file://{tmp_path}/lake"},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


def run(config: Path, *, since: float, limit: int, timeout: float | None) -> int:
    def open_tap() -> Tap:
        return LakeTap(config, since_seconds=since, rows=5, event_types=[])

    return view.run(open_tap, limit=limit, timeout_seconds=timeout, as_json=False)


def test_it_ends_when_enough_was_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, since=3600, limit=2, timeout=None) == 0
    shown, notes = capsys.readouterr()
    assert shown.count(f"row  trip  {PARTITION}  ") == 2
    assert notes == ""


@pytest.mark.parametrize(
    ("since", "limit", "code", "told"),
    [
        (3600, 0, 0, r"3 shown in \d+ s; looked at 1 file in .*"),
        (3600, 9, 0, r"3 of 9 shown in \d+ s; looked at 1 file in .*"),
        (0, 9, 1, r"0 of 9 shown in \d+ s; looked at 0 files in .*"),
    ],
)
def test_it_ends_when_the_time_is_over(
    config: Path,
    since: float,
    limit: int,
    code: int,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(config, since=since, limit=limit, timeout=0) == code
    following, over = capsys.readouterr().err.splitlines()
    assert following.endswith("; waiting for new files")
    assert re.fullmatch(told, over)


def test_while_nothing_comes_it_says_what_it_waits_for(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []

    def note(line: str) -> None:
        notes.append(line)
        if line.startswith("still waiting"):
            raise KeyboardInterrupt

    monkeypatch.setattr(view, "note", note)
    monkeypatch.setattr(view, "_STILL_WAITING_SECONDS", 0.0)
    assert run(config, since=0, limit=1, timeout=None) == 0
    told = r"still waiting for new files after \d+ s; looked at 0 files in \d+ listings?"
    assert re.fullmatch(told, notes[1])
    assert notes[2] == "ended by Ctrl-C; 0 shown"


def test_ctrl_c_before_it_follows_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    def open_tap() -> Tap:
        raise KeyboardInterrupt

    assert view.run(open_tap, limit=1, timeout_seconds=None, as_json=True) == 0
    assert capsys.readouterr().err == "ended by Ctrl-C; 0 shown\n"


def test_json_has_no_numbers_that_json_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"fare": math.nan, "list": [1.5, math.inf], "pair": (-math.inf, 2**70), "none": None}
    View(limit=1, as_json=True).show([Seen({"row": row, "id": "\x7f\x1b\x9bé"}, ())])
    shown = capsys.readouterr().out
    assert shown.strip().isprintable()
    assert json.loads(shown, parse_constant=pytest.fail) == {
        "row": {"fare": None, "list": [1.5, None], "pair": [None, 2**70], "none": None},
        "id": "\x7f\x1b\x9bé",
    }


def test_a_number_has_its_noun() -> None:
    assert counted(1, "file") == "1 file"
    assert counted(2_000, "file") == "2,000 files"
    assert counted(0, "search", "searches") == "0 searches"


def test_groups_are_shown_in_turn() -> None:
    assert list(in_turn([[1, 2, 3], [], [4], [5, 6]])) == [1, 4, 5, 2, 6, 3]
