"""The process that plans a job and submits it at its caller's word; see `pipeline.client`.

It answers by lines of JSON: why it refused, or an empty text, first when the job is planned, then
when it is submitted. The caller's word is one line of JSON: further settings of Flink.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from connectors.errors import UserError
from connectors.flink import gateway
from pipeline.config import load as load_config
from pipeline.config.model import Config


def serve(path: Path, word: IO[str], answers: IO[str]) -> None:
    """Plan the job of a configuration file, and submit it if the caller says so."""
    try:
        config = load_config.load(path)
        stream = _planned(config)
        _answer(answers, "")
        if line := word.readline():
            _submit(stream, config, json.loads(line))
            _answer(answers, "")
    except UserError as error:
        _answer(answers, str(error))


def _planned(config: Config) -> Any:
    gateway.start_beside(_import_program)
    gateway.submit_to(os.environ["FLINK_REST_URL"], {})
    from pipeline import main

    return main.planned(config, load_config.event_types(config))


def _import_program() -> None:
    import pipeline.main  # noqa: F401  Here: it imports all of PyFlink, which takes a second.


def _submit(stream: Any, config: Config, settings: Mapping[str, str]) -> None:
    from connectors.flink import table_environment as flink

    flink.configure(stream, settings)
    stream.execute_async(config.job.name)


def _answer(answers: IO[str], refusal: str) -> None:
    with suppress(BrokenPipeError):
        print(json.dumps(refusal), file=answers, flush=True)


def main() -> None:
    """Serve the caller that started this process."""
    # What Flink's client prints must not be taken for an answer.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(Path(sys.argv[1]), sys.stdin, answers)


if __name__ == "__main__":
    main()
