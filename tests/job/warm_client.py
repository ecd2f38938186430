"""A Flink client that stays: one JVM with a warm planner submits many jobs.

`run` starts a JVM and a Python process per job, and loads the planner into cold code: some 12 CPU
seconds. This client does the same with a JVM that is warm.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from connectors.errors import UserError
from connectors.flink import gateway
from dev.servers.flink_settings import CLIENT_OPTIONS
from pipeline.config import load as load_config
from pipeline.submit import Submitted, check, submitted

_clients: dict[str, WarmClient] = {}
"""One for each cluster, by its REST address."""


def submit(
    path: Path,
    environment: Mapping[str, str],
    *,
    savepoint: str = "",
    allow_dropped_state: bool = False,
) -> Submitted:
    """Do what `pipeline.submit.submit` does, with the same checks, by a warm client."""
    environment = {**os.environ, **environment}
    config = load_config.load(path, environment)
    check(config, environment, savepoint=savepoint, allow_dropped_state=allow_dropped_state)
    url = environment["FLINK_REST_URL"]
    if url not in _clients:
        _clients[url] = WarmClient(environment)
    job_id = _clients[url].submit(
        path, savepoint=savepoint, allow_dropped_state=allow_dropped_state
    )
    return submitted(job_id, config, environment)


def close() -> None:
    """End all clients."""
    while _clients:
        _clients.popitem()[1].close()


class WarmClient:
    """The client's process; it ends with its standard input."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env={**os.environ, **environment, "JVM_ARGS": " ".join(CLIENT_OPTIONS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def submit(self, config: Path, *, savepoint: str, allow_dropped_state: bool) -> str:
        """Submit the job of a configuration; return its id.

        Raises:
            UserError: the program refused; or Flink did, and the message is its stack trace.
        """
        job_id = uuid.uuid4().hex
        settings = gateway.submission(job_id, savepoint, allow_dropped_state)
        refusal = self._ask({"config": str(config), "settings": settings})
        if refusal:
            raise UserError(refusal)
        return job_id

    def _ask(self, request: Mapping[str, Any]) -> str:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise AssertionError(f"the client ended:\n{self._log.read()}")
        return str(json.loads(line))

    def close(self) -> None:
        """End the process and wait for its end."""
        with self._process, self._log:
            pass


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer each request by a line of JSON: why it was refused, an empty text for a success."""
    for line in requests:
        print(json.dumps(_refusal(json.loads(line))), file=answers, flush=True)


def _refusal(request: Mapping[str, Any]) -> str:
    from connectors.flink.table_environment import JAVA_ERRORS  # here: it imports all of PyFlink
    from pipeline.main import submit as run_program

    try:
        gateway.submit_to(os.environ["FLINK_REST_URL"], request["settings"])
        run_program(load_config.load(Path(request["config"])))
    except (UserError, *JAVA_ERRORS) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
