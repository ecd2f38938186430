"""The commands as a user types them, where nothing was started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dev.servers import commands


@pytest.fixture
def program() -> typer.Typer:
    """A main program with these commands in it."""
    made = typer.Typer()
    commands.add_to(made)
    return made


@pytest.mark.parametrize("command", ["setup", "up", "down", "status"])
def test_help_shows_an_example(program: typer.Typer, command: str) -> None:
    shown = CliRunner().invoke(program, [command, "--help"])

    assert shown.exit_code == 0
    assert f"Example: streaming-etl {command}" in shown.output


def test_status_of_nothing(program: typer.Typer, tmp_path: Path) -> None:
    plain = CliRunner().invoke(program, ["status", "--run-dir", str(tmp_path)])
    for_programs = CliRunner().invoke(program, ["status", "--json", "--run-dir", str(tmp_path)])

    assert (plain.exit_code, plain.output) == (1, "nothing is up\n")
    assert (for_programs.exit_code, json.loads(for_programs.output)) == (1, [])


def test_down_of_nothing(program: typer.Typer, tmp_path: Path) -> None:
    done = CliRunner().invoke(program, ["down", "--run-dir", str(tmp_path)])

    assert done.exit_code == 0
    assert "nothing was up" in done.output
