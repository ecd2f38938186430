"""The entry point of our image (conf/docker/Dockerfile): one of its processes, in the foreground.

    jobmanager, taskmanager   Flink's own, configured for the names of docker-compose.yml
    prepare [OPTIONS]         makes what the configuration names, as `streaming-etl prepare`
    job [OPTIONS]             submits the job, as `streaming-etl run` with its options
    anything else             is run as it is: streaming-etl, bash

FLINK_PROPERTIES, lines of `key: value`, overrides Flink's settings, as in Flink's own images.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from connectors.errors import UserError
from dev.servers import flink, flink_settings, kinesis, process, s3
from dev.servers.cache import ServerCache

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "conf" / "docker.yaml"
METRICS_URL = "http://metrics:9249"
SLOTS = 2
FLINK_FOLDERS = ("FLINK_HOME", "FLINK_CONF_DIR", "FLINK_LOG_DIR", "FLINK_PID_DIR")


def main(arguments: list[str]) -> int:
    """Run the requested role; return 2 when the user has something to fix."""
    try:
        return run(arguments, dict(os.environ))
    except UserError as error:
        print(f"streaming-etl: {error}", file=sys.stderr)
        return 2


def run(arguments: list[str], outer: Mapping[str, str]) -> int:
    """Run one of this project's roles to its end, or replace the process by the program."""
    role, *rest = arguments or ["bash"]
    if role in ("prepare", "job"):
        words = ["prepare"] if role == "prepare" else ["run", "--json"]
        command = ["streaming-etl", *words, "--config", str(CONFIG), *rest]
        os.execvpe(command[0], command, cluster_environment(outer))
    if role in ("jobmanager", "taskmanager"):
        environment = server_environment(write_configuration(outer))
        script = f"{environment['FLINK_HOME']}/bin/{role}.sh"
        os.execve(script, [script, "start-foreground", *rest], environment)
    try:
        os.execvpe(role, [role, *rest], outer)
    except OSError as error:
        raise UserError(
            f"{role}: neither jobmanager, taskmanager, prepare or job, nor a program here"
            f" ({error.strerror})."
        ) from error


def write_configuration(outer: Mapping[str, str]) -> dict[str, str]:
    """Write Flink's configuration folder and return the environment of its programs."""
    home = ServerCache(ROOT).flink_home
    folder = Path(outer.get("FLINK_FOLDER", "/tmp/flink"))
    conf = folder / "conf"
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    flink.copy_configuration(home / "conf", conf, settings(folder, outer))
    own = {
        "FLINK_HOME": str(home),
        "FLINK_CONF_DIR": str(conf),
        "FLINK_LOG_DIR": str(folder / "log"),
        "FLINK_PID_DIR": str(folder / "tmp"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), outer.get("PATH", os.defpath)]),
    }
    return {**s3.CREDENTIALS, **kinesis.JSON_ONLY, **outer, **own}


def cluster_environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of tools that submit to the cluster."""
    environment = write_configuration(outer)
    written = yaml.safe_load((Path(environment["FLINK_CONF_DIR"]) / "config.yaml").read_text())
    address = f"http://{written['rest.address']}:{written.get('rest.port', 8081)}"
    return {**environment, "FLINK_REST_URL": address}


def server_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of Flink's own processes; their AWS keys are in a profile file."""
    profile = Path(own["FLINK_CONF_DIR"]).with_name("aws-profile")
    s3.write_profile(profile, own)
    return {
        **process.inherited(own),
        **{name: own[name] for name in FLINK_FOLDERS},
        **s3.profile_environment(profile, own["AWS_REGION"]),
        **kinesis.JSON_ONLY,
    }


def settings(folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Flink's configuration in a container: as the local cluster's, but under compose's names.

    Beyond loopback it listens to the containers of its network alone; what docker-compose.yml
    publishes is on 127.0.0.1.
    """
    everywhere = "0.0.0.0"
    return {
        "jobmanager.rpc.address": "jobmanager",
        "jobmanager.bind-host": everywhere,
        "rest.address": "jobmanager",
        "rest.bind-address": everywhere,
        "taskmanager.bind-host": everywhere,
        "taskmanager.numberOfTaskSlots": SLOTS,
        "web.submit.enable": False,
        "io.tmp.dirs": str(folder / "tmp"),
        "env.java.opts.jobmanager": " ".join(flink_settings.JOB_MANAGER_OPTIONS),
        "env.java.opts.taskmanager": " ".join(flink_settings.TASK_MANAGER_OPTIONS),
        "python.fn-execution.memory.managed": False,
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        **flink_settings.memory_settings(SLOTS),
        **flink_settings.failure_settings(),
        **flink_settings.s3_settings(s3_endpoint(environment)),
        **flink_settings.metrics_settings(METRICS_URL),
        "metrics.reporter.prometheus.jobName": socket.gethostname(),
        **overrides(environment.get("FLINK_PROPERTIES", "")),
    }


def s3_endpoint(environment: Mapping[str, str]) -> str:
    """The address of the S3 server, `http://host:port`; UserError where the variable is absent."""
    if not (endpoint := environment.get("S3_ENDPOINT", "")):
        raise UserError("S3_ENDPOINT is not set; give http://HOST:PORT of the S3 server.")
    return endpoint


def overrides(text: str) -> dict[str, Any]:
    """Settings given as lines of `key: value`.

    Raises:
        UserError: the text is something else; the message quotes none of it, it may hold keys.
    """
    try:
        properties = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" from line {mark.line + 1} on" if mark else ""
        raise UserError(
            f"FLINK_PROPERTIES: is not YAML{where}; give lines of key: value."
        ) from None
    if not isinstance(properties, dict):
        kind = type(properties).__name__
        raise UserError(f"FLINK_PROPERTIES: must be lines of key: value, it is one {kind}.")
    return properties


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
