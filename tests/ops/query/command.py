"""`streaming-etl query`, run as a user does, and its database in this process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from rich.console import Console

from connectors.errors import UserError
from pipeline.cli import main
from pipeline.config.model import Config, Source
from pipeline.events import event_types
from pipeline.ops.lake.content import Lake
from pipeline.ops.query.database import LakeDatabase
from pipeline.ops.query.output import json_lines
from pipeline.ops.query.tables import schema_columns
from pipeline.progress import Steps
from tests.ops.compact.lakes import Lakes

CONFIG = Config(source=Source(kafka_topics=("trips",)))
TYPES = event_types.load(Path(__file__).parents[3] / "schemas")
PROGRAM = str(Path(sys.executable).parent / "streaming-etl")


def rows(lakes: Lakes, sql: str) -> list[dict[str, Any]]:
    """The rows of a query as its JSON has them."""
    return answer(lakes.lake, lakes.uri, sql)


def answer(lake: Lake, uri: str, sql: str) -> list[dict[str, Any]]:
    columns = schema_columns(CONFIG, TYPES)
    steps = Steps(Console(quiet=True))
    with LakeDatabase(lake, uri, columns, steps) as database:
        result = database.query(sql)
        found = json.loads("".join(json_lines(result.names, result.rows)))
    assert isinstance(found, list)
    return found


def refusal(lakes: Lakes, sql: str) -> str:
    """The one line that a query is refused with."""
    with pytest.raises(UserError) as caught:
        rows(lakes, sql)
    (line,) = str(caught.value).splitlines()
    return line


class Done(NamedTuple):
    """How the program ended, and what it printed."""

    returncode: object
    stdout: str
    stderr: str


class Query:
    """The program with a configuration `my.yaml` for a lake."""

    def __init__(self, lake: str, folder: Path, environment: Mapping[str, str] | None = None):
        self.folder = folder
        self.environment = {**os.environ, **(environment or {})}
        sections = {
            "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
            "source": {"kafka_topics": ["trips"]},
            "lake": {"path": lake},
            "dead_letters": {"kafka_topic": "dead-letters"},
        }
        (folder / "my.yaml").write_text(yaml.safe_dump(sections))

    def run(self, *words: str) -> Done:
        """What the program does, in this process: it starts in no time."""
        out, err = io.StringIO(), io.StringIO()
        before = sys.argv, dict(os.environ)
        sys.argv = self.command(*words)
        os.environ.update(self.environment)
        code: object = 0
        try:
            with redirect_stdout(out), redirect_stderr(err):
                main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.argv = before[0]
            os.environ.clear()
            os.environ.update(before[1])
        return Done(code, out.getvalue(), err.getvalue())

    def process(self, *words: str) -> Done:
        """What the program does in a process of its own."""
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, check=False, env=self.environment
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def command(self, *words: str) -> list[str]:
        return [PROGRAM, "query", *words, "--config", str(self.folder / "my.yaml")]

    def rows(self, sql: str, *words: str) -> list[dict[str, Any]]:
        """The rows as the program's JSON has them."""
        found = json.loads(self.printed(sql, "--json", *words))
        assert isinstance(found, list)
        return found

    def printed(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, *words: str) -> str:
        """The one line that the program prints for what it cannot do."""
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = [line for line in done.stderr.splitlines() if ": done in " not in line]
        return line.removeprefix("streaming-etl: ")
