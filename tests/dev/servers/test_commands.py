"""The commands as a user types them, where nothing was started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dev.__main__  # noqa: F401  adds commands to `app`
from dev.servers.commands import app


@pytest.mark.parametrize(
    "command", ["setup", "up", "down", "status", "demo", "rehearse", "template"]
)
def test_help_shows_an_example(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])

    assert shown.exit_code == 0
    assert f"Example: python -m dev {command}" in shown.output


def test_status_of_nothing(tmp_path: Path) -> None:
    plain = CliRunner().invoke(app, ["status", "--run-dir", str(tmp_path)])
    for_programs = CliRunner().invoke(app, ["status", "--json", "--run-dir", str(tmp_path)])

    assert (plain.exit_code, plain.output) == (1, "nothing is up\n")
    assert (for_programs.exit_code, json.loads(for_programs.output)) == (
        1,
        {"servers": [], "jobs": None},
    )


def test_up_with_a_java_that_is_too_new_starts_nothing(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.touch(mode=0o755)
    java.write_text("#!/bin/sh\necho 'openjdk version \"24.0.1\" 2025-04-15' >&2\n")
    path = os.pathsep.join([str(java.parent), os.environ["PATH"]])

    done = subprocess.run(
        [sys.executable, "-m", "dev", "up", "--run-dir", str(tmp_path / "run")],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert f"{java} is version 24.0.1; a JDK from 17 to 21 is needed" in done.stderr
    assert not (tmp_path / "run").exists()


def test_down_of_nothing(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["down", "--run-dir", str(tmp_path)])

    assert done.exit_code == 0
    assert "nothing was up" in done.output
