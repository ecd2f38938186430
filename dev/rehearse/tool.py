"""Run `streaming-etl` as an operator does, as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from connectors.errors import UserError
from pipeline.options import ROOT

_PROGRAM: Final = (sys.executable, "-c", "from pipeline.cli import main; main()")


def tool(*words: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command; return its output. `environment` is added to the process's own.

    Raises:
        UserError: it did not exit with 0; with the end of its output.
    """
    done = subprocess.run(
        [*_PROGRAM, *words],
        cwd=ROOT,
        env={**os.environ, **(environment or {}), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = (done.stdout + done.stderr)[-2000:]
        raise UserError(f"streaming-etl {words[0]} ended with {done.returncode}:\n{output}")
    return done.stdout
