"""Runs `streaming-etl tap` as a process of its own, and knows when it follows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO, Any, NamedTuple
from uuid import uuid4

import yaml

from dev.servers import s3

PATIENCE = 60.0
# A child of a shell's background job would ignore SIGINT.
_PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from pipeline.cli import main
main()
"""


class Ended(NamedTuple):
    """What a tap left: its exit code, what it showed, and its notes."""

    code: int
    stdout: str
    notes: str

    @property
    def shown(self) -> list[dict[str, Any]]:
        """What it showed as JSON."""
        return [json.loads(line) for line in self.stdout.splitlines()]


@dataclass(frozen=True, slots=True)
class Running:
    """A tap that runs."""

    process: subprocess.Popen[bytes]

    def line(self) -> str:
        """Wait for the next line that it shows."""
        return self._read(self.process.stdout)

    def note(self) -> str:
        """Wait for the next note on stderr."""
        return self._read(self.process.stderr)

    def until_it_follows(self) -> str:
        """Wait until all that comes is seen; return the note that says so."""
        while not (note := self.note()).startswith("following "):
            assert note, f"it ended with {self.process.wait(PATIENCE)}"
        return note

    def interrupted(self) -> Ended:
        """Send Ctrl-C and wait for the end."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> Ended:
        """Wait for the end."""
        stdout, notes = self.process.communicate(timeout=PATIENCE)
        return Ended(self.process.returncode, stdout.decode(), notes.decode())

    def _read(self, pipe: IO[bytes] | None) -> str:
        assert pipe
        return pipe.readline().decode()


@dataclass(frozen=True, slots=True)
class Place:
    """The servers' addresses, and a folder for configurations."""

    environment: Mapping[str, str]
    folder: Path

    def name(self) -> str:
        """Return a name for topics, streams, folders and indices that no other test has."""
        return f"tap-{uuid4().hex[:12]}"

    def config(self, **sections: Any) -> Path:
        """Write a configuration; of what a test does not care for it has something valid."""
        written = {
            "kafka": {"bootstrap_servers": self.environment["KAFKA_BOOTSTRAP_SERVERS"]},
            "kinesis": {"endpoint": self.environment["KINESIS_ENDPOINT"], "region": s3.REGION},
            "source": {"kafka_topics": ["unused"]},
            "archive": {"path": "s3a://unused/archive"},
            **sections,
        }
        path = self.folder / f"{self.name()}.yaml"
        path.write_text(yaml.safe_dump(written))
        return path

    @contextmanager
    def tap(self, what: str, config: Path, *options: str) -> Iterator[Running]:
        """Start a tap; whatever happens, it is ended afterwards."""
        command = [sys.executable, "-c", _PROGRAM, "tap", what, "--config", str(config), *options]
        # Unbuffered, so that `communicate` finds all that `readline` left.
        with subprocess.Popen(
            command,
            bufsize=0,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            late = Timer(PATIENCE, process.kill)  # Else a test would wait for a line without end.
            late.start()
            try:
                yield Running(process)
            finally:
                late.cancel()
                process.kill()

    def run(self, what: str, config: Path, *options: str) -> Ended:
        """Run a tap to its end."""
        with self.tap(what, config, *options) as running:
            return running.ended()
