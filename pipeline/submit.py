"""Submit the job to a Flink cluster, and stop it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from connectors.flink import rest as flink_rest
from pipeline import preflight, start
from pipeline.cluster import cluster_of, needed
from pipeline.config import load as load_config
from pipeline.config.model import Config

MAIN = ("-pym", "pipeline.main", "-pyfs", str(Path(__file__).with_name("main.py")))
"""What `flink run` runs: a module, for a script's folder would hide packages of the same names."""


_CANCEL_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """A running job."""

    job_id: str
    url: str
    config: Config
    cluster: flink_rest.Cluster


def submit(
    path: Path,
    environment: Mapping[str, str],
    *,
    savepoint: str = "",
    allow_dropped_state: bool = False,
) -> Submitted:
    """Check the configuration in this process, which costs no JVM, then submit.

    `environment` is added to the process's own.

    Raises:
        UserError: see `checked`.
    """
    environment = {**os.environ, **environment}
    config = checked(path, environment, savepoint=savepoint)
    rest_url, home = needed(environment, "FLINK_REST_URL"), needed(environment, "FLINK_HOME")
    job_id = flink_rest.submit(
        Path(home),
        rest_url,
        python=sys.executable,
        program=MAIN,
        arguments=["--config", str(path.resolve())],
        environment=environment,
        savepoint=savepoint,
        allow_dropped_state=allow_dropped_state,
    )
    return submitted(job_id, config, environment)


def checked(path: Path, environment: Mapping[str, str], *, savepoint: str) -> Config:
    """Return the configuration if a job may be submitted with it.

    A job that starts from a savepoint starts even while OpenSearch is unreachable; a new one does
    not.

    Raises:
        UserError: what is wrong in the configuration, the schemas or the outside systems.
    """
    config = load_config.load(path, environment)
    preflight.paths(config, environment)
    preflight.indices(config, load_config.event_types(config), may_be_away=bool(savepoint))
    return config


def submitted(job_id: str, config: Config, environment: Mapping[str, str]) -> Submitted:
    """Describe a job that was submitted to the cluster that the environment leads to."""
    url = f"{needed(environment, 'FLINK_REST_URL')}/#/job/running/{job_id}"
    return Submitted(job_id, url, config, cluster_of(environment))


def stop(job_id: str, environment: Mapping[str, str], *, into: str, timeout_seconds: float) -> str:
    """Stop a running job with a savepoint below `into`; return the savepoint's path.

    The savepoint is remembered beside the job's checkpoints, where `run --resume` looks for it.

    Raises:
        UserError: there is no such job, it does not run, or `into` is no valid path.
        JobFailed: the savepoint failed; the job keeps running.
        TimeoutError: it takes longer than `timeout_seconds`.
    """
    if not re.fullmatch(r"(s3a|file)://\S+", into):
        raise UserError(f"--into is {into!r}; give s3a://bucket/prefix or file:///folder.")
    cluster = cluster_of(environment)
    job = _known(cluster, job_id)
    if job.state != "RUNNING":
        cause = cluster.status(job).cause
        raise UserError(
            f"the job {job_id} is {job.state}; only one that is RUNNING can take a savepoint"
            f"{f' ({cause})' if cause else ''}. `streaming-etl cancel {job_id}` ends it and keeps"
            " its last checkpoint, from which `run --resume` goes on."
        )
    folder = cluster.checkpoint_folder(job_id)
    savepoint = cluster.stop_with_savepoint(job_id, into, timeout_seconds=timeout_seconds)
    if folder:
        start.remember_savepoint(folder, environment, job, savepoint)
    return savepoint


def cancel(job_id: str, environment: Mapping[str, str]) -> str | None:
    """End a job without a savepoint; return the address of its last checkpoint, which stays.

    Raises:
        UserError: there is no such job, or it has ended.
        TimeoutError: it does not end.
    """
    cluster = cluster_of(environment)
    job = _known(cluster, job_id)
    if job.has_ended:
        raise UserError(f"the job {job_id} is {job.state}: it has ended.")
    cluster.cancel(job_id)
    flink_rest.wait_for(
        lambda: _known(cluster, job_id).has_ended, _CANCEL_SECONDS, "the job did not end"
    )
    return cluster.status(job).checkpoint


def _known(cluster: flink_rest.Cluster, job_id: str) -> flink_rest.Job:
    job = next((job for job in cluster.jobs() if job.job_id == job_id), None)
    if job is None:
        raise UserError(f"the cluster has no job {job_id!r}; `streaming-etl jobs` lists its jobs.")
    return job
