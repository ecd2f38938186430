"""`flink run`, by which others than `streaming-etl run` submit a program, as the platform does."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from connectors.errors import UserError
from connectors.flink.rest import reason
from dev.servers import quiet


def submit(
    flink_home: Path,
    rest_url: str,
    *,
    python: str,
    program: Sequence[str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    savepoint: str = "",
    folder: Path | None = None,
) -> str:
    """Run `flink run -d` with a program, such as `-py main.py`; return the job's id.

    `folder` is the working directory; None means the current one.

    Raises:
        UserError: the program or Flink rejects the job; the message is theirs.
    """
    command = [
        str(flink_home / "bin" / "flink"), "run", "-d", "-m", rest_url.removeprefix("http://"),
        *(["-s", savepoint] if savepoint else []),
        "-pyexec", python, "-pyclientexec", python, *program, *arguments,
    ]  # fmt: skip
    own = Path(environment.get("FLINK_CONF_DIR") or flink_home / "conf")
    with quiet.client_configuration(own) as conf:
        environment = {**environment, "FLINK_CONF_DIR": str(conf)}
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300
        )
    match = re.search(r"Job has been submitted with JobID ([0-9a-f]{32})", done.stdout)
    if match is None:
        raise UserError(f"the job was not submitted:\n{reason(done.stdout + done.stderr)}")
    return match.group(1)
