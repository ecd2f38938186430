"""The JVM of Flink's client, without the shell script of `flink run`.

`flink run` starts three processes one after the other: a JVM that reads the configuration for the
script, the client's JVM, and Python. Here Python starts the client's JVM, beside its own imports.
Then follows what `ClientUtils.executeProgram` of Flink does: the cluster's configuration becomes
the context of each job that this process submits.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from connectors.errors import UserError

_JAVA_OPTIONS: Final = "env.java.opts.client"
_QUICK: Final = "-XX:TieredStopAtLevel=1"
"""The JVM plans one job and ends: C2 would take more time than it saves, as much again as all."""


def distribution(folder: str) -> Path:
    """Return the folder of a Flink distribution.

    Raises:
        UserError: it is none.
    """
    home = Path(folder)
    for part in ("bin/flink", "opt/flink-python*.jar"):
        if not any(home.glob(part)):
            raise UserError(
                f"FLINK_HOME is {folder!r}, which is no Flink distribution: it has no {part}. Set"
                " FLINK_HOME to the folder of Flink 1.20 that has bin, conf, lib and opt; after"
                " `make up` build/run/env.sh has the local one: source it."
            )
    return home


def start_beside(imports: Callable[[], None]) -> None:
    """Start the JVM of FLINK_HOME, with the options of `flink run`, while `imports` runs.

    Its own options precede those of the user, who may decide otherwise.
    """
    from pyflink.java_gateway import get_gateway
    from pyflink.pyflink_gateway_server import read_from_config

    options = read_from_config(_JAVA_OPTIONS, "", _configuration_folder())
    os.environ["JVM_ARGS"] = f"{_QUICK} {os.environ.get('JVM_ARGS', '')} {options}"
    with ThreadPoolExecutor(1) as beside:
        jvm = beside.submit(get_gateway)
        imports()
        jvm.result()


def submit_to(rest_url: str, settings: Mapping[str, str]) -> None:
    """Submit the jobs of this process to a cluster from now on, with these settings of Flink."""
    from pyflink.java_gateway import get_gateway

    jvm = get_gateway().jvm
    flink = jvm.org.apache.flink
    configuration = flink.configuration.GlobalConfiguration.loadConfiguration(
        _configuration_folder()
    )
    for key, value in {**_context(rest_url), **settings}.items():
        configuration.setString(key, value)
    flink.client.program.StreamContextEnvironment.setAsContext(
        flink.core.execution.DefaultExecutorServiceLoader(),
        configuration,
        jvm.java.lang.Thread.currentThread().getContextClassLoader(),
        False,
        True,
    )


def submission(job_id: str, savepoint: str, allow_dropped_state: bool) -> dict[str, str]:
    """Return the settings of Flink that give a job its id, and a savepoint to start from."""
    settings = {"$internal.pipeline.job-id": job_id}
    if savepoint:
        settings["execution.savepoint.path"] = savepoint
        settings["execution.savepoint.ignore-unclaimed-state"] = str(allow_dropped_state).lower()
    return settings


def _context(rest_url: str) -> dict[str, str]:
    """Return what `flink run -d -m ADDRESS -pyexec PYTHON -pyclientexec PYTHON` sets."""
    cluster = urlsplit(rest_url)
    jar = next(Path(os.environ["FLINK_HOME"], "opt").glob("flink-python*.jar"))
    return {
        "execution.target": "remote",
        "execution.attached": "false",
        "rest.address": str(cluster.hostname),
        "rest.port": str(cluster.port or {"https": 443}.get(cluster.scheme, 80)),
        "pipeline.jars": jar.resolve().as_uri(),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
    }


def _configuration_folder() -> str:
    return os.environ.get("FLINK_CONF_DIR") or str(Path(os.environ["FLINK_HOME"], "conf"))
