"""A process that plans the job while its caller still checks, and submits it at the caller's word.

Its other side is `pipeline.client_process`. The process ends with the block that started it. If its
caller ends before it asked for the submission, for whatever reason, nothing is submitted: the
process finds its standard input closed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from typing import Final

from connectors.errors import UserError
from connectors.flink import gateway
from connectors.flink import rest as flink_rest

_PATIENCE_SECONDS: Final = 300.0
_END_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Planner:
    """The process, and the file with all that it and Flink's client said."""

    process: subprocess.Popen[str]
    said: Path

    def wait_planned(self) -> None:
        """Wait until the job needs nothing but to be submitted.

        Raises:
            UserError: the job cannot be planned, or something that it needs is missing.
            TimeoutError: it takes too long.
        """
        self._wait("the job was not planned")

    def submit(self, job_id: str, *, savepoint: str, allow_dropped_state: bool) -> None:
        """Submit the planned job under an id of ours, from a savepoint if one is given.

        Raises:
            UserError: Flink rejects the job; nothing runs then.
            TimeoutError: it takes too long; whether the job runs is not known.
        """
        settings = gateway.submission(job_id, savepoint, allow_dropped_state)
        assert self.process.stdin
        with suppress(BrokenPipeError):  # Then it ended, and what it said tells why.
            print(json.dumps(settings), file=self.process.stdin, flush=True)
        self._wait("the job was not submitted")

    def _wait(self, otherwise: str) -> None:
        answers = self.process.stdout
        assert answers
        if not select([answers], [], [], _PATIENCE_SECONDS)[0]:
            raise TimeoutError(f"{otherwise} within {_PATIENCE_SECONDS:g} s")
        line = answers.readline()
        if not line:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_SECONDS)  # It says why after it closed its output.
            reason = flink_rest.reason(self.said.read_text("utf-8", errors="replace"))
            raise UserError(f"{otherwise}: {reason}")
        if refusal := json.loads(line):
            raise UserError(refusal)


@contextmanager
def planning(path: Path, environment: Mapping[str, str]) -> Iterator[Planner]:
    """Start to plan the job of a configuration file; end the process with the block."""
    prefix = "streaming-etl-client-"
    with TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        said = Path(folder, "said")
        with said.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pipeline.client_process", str(path.resolve())],
                env={**os.environ, **environment, "TMPDIR": folder},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for its caller, which ends it.
            )
        with process:
            try:
                yield Planner(process, said)
            finally:
                process.kill()  # Its JVM follows, whose standard input is then closed.
                assert process.stdin
                with suppress(BrokenPipeError):  # What a process that ended did not read.
                    process.stdin.close()
