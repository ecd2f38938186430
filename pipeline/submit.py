"""Submit the job to a Flink cluster, and stop it."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from connectors.flink import rest as flink_rest
from pipeline import client
from pipeline.cluster import cluster_of, find_job, home_of, needed
from pipeline.config import load as load_config
from pipeline.config.model import Config

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
    """Check the configuration in this process, beside another one that plans the job; submit it.

    `environment` is added to the process's own.

    Raises:
        UserError: see `check` and `pipeline.client.Planner`.
    """
    environment = {**os.environ, **environment}
    home_of(environment)
    config = load_config.load(path, environment)
    with client.planning(path, environment) as planner:
        check(config, environment, savepoint=savepoint, allow_dropped_state=allow_dropped_state)
        planner.wait_planned()
        job_id = uuid.uuid4().hex
        planner.submit(job_id, savepoint=savepoint, allow_dropped_state=allow_dropped_state)
    return submitted(job_id, config, environment)


def check(
    config: Config,
    environment: Mapping[str, str],
    *,
    savepoint: str,
    allow_dropped_state: bool = False,
) -> None:
    """Check that a job may be submitted with the configuration, and create its indices.

    A job that starts from a savepoint starts even while OpenSearch is unreachable; a new one does
    not.

    Raises:
        UserError: what is wrong in the schemas, the savepoint or the outside systems.
    """
    # Imported here: `run` starts to plan before it imports the clients of outside systems.
    from pipeline import earlier, preflight

    types = load_config.event_types(config)
    if savepoint:
        earlier.refuse(savepoint, types, environment, allow_dropped_state=allow_dropped_state)
    preflight.paths(config, environment)
    preflight.indices(config, types, may_be_away=bool(savepoint))


def submitted(job_id: str, config: Config, environment: Mapping[str, str]) -> Submitted:
    """Describe a job that was submitted to the cluster that the environment leads to."""
    url = f"{needed(environment, 'FLINK_REST_URL')}/#/job/running/{job_id}"
    return Submitted(job_id, url, config, cluster_of(environment))


def stop(
    job_id: str,
    environment: Mapping[str, str],
    *,
    into: str,
    timeout_seconds: float,
    drain: bool = False,
) -> str:
    """Stop a running job with a savepoint below `into`; return the savepoint's path.

    `drain` writes also the rows that are still collected for a file; else the savepoint keeps them.
    The savepoint is remembered beside the job's checkpoints, where `run --resume` looks for it.

    Raises:
        UserError: there is no such job, it does not run, or `into` is no valid path.
        JobFailed: the savepoint failed; the job keeps running.
        TimeoutError: it takes longer than `timeout_seconds`.
    """
    from pipeline import start  # Here: it imports the clients of outside systems.

    if not re.fullmatch(r"(s3a|file)://\S+", into):
        raise UserError(f"--into is {into!r}; give s3a://bucket/prefix or file:///folder.")
    cluster = cluster_of(environment)
    job = find_job(cluster.jobs(), job_id)
    if job.state != "RUNNING":
        raise UserError(_no_savepoint(cluster, job))
    folder = cluster.checkpoint_folder(job_id)
    savepoint = cluster.stop_with_savepoint(
        job_id, into, timeout_seconds=timeout_seconds, drain=drain
    )
    try:
        if folder:
            start.remember_savepoint(folder, environment, job, savepoint)
    except UserError as error:
        raise UserError(
            f"the job stopped with the savepoint {savepoint}, but `run --resume` may not find it"
            f" ({error}); start the job with --savepoint {savepoint}."
        ) from error
    return savepoint


def _no_savepoint(cluster: flink_rest.Cluster, job: flink_rest.Job) -> str:
    """Say why a job that does not run takes no savepoint, and what that means for its state."""
    state = f"the job {job.job_id} is {job.state}"
    if job.has_ended:
        return f"{state}: it has ended, and can take no savepoint any more."
    status = next(iter(cluster.statuses([job])), None)
    cause = f" ({status.cause})" if status and status.cause else ""
    if status and status.checkpoint and status.checkpoint_ms:
        taken = datetime.fromtimestamp(status.checkpoint_ms / 1000, UTC)
        keeps = (
            f"keeps its last checkpoint, of {taken:%Y-%m-%d %H:%M:%S} UTC, from which"
            " `run --resume` goes on: rows that are collected for files wait in it, records after"
            " it are read again, and only Kinesis and dead letters on Kafka get them twice."
        )
    else:
        keeps = "leaves nothing to go on from, for no checkpoint completed yet."
    return (
        f"{state}; only one that is RUNNING can take a savepoint{cause}. Fix the cause and try"
        f" again, or end it: `streaming-etl cancel {job.job_id}` {keeps}"
    )


def cancel(job_id: str, environment: Mapping[str, str]) -> str | None:
    """End a job without a savepoint; return the address of its last checkpoint, which stays.

    Raises:
        UserError: there is no such job, or it has ended.
        TimeoutError: it does not end.
    """
    cluster = cluster_of(environment)
    job = find_job(cluster.jobs(), job_id)
    if job.has_ended:
        raise UserError(f"the job {job_id} is {job.state}: it has ended.")
    cluster.cancel(job_id)
    flink_rest.wait_for(
        lambda: find_job(cluster.jobs(), job_id).has_ended,
        _CANCEL_SECONDS,
        "the job did not end",
    )
    return next((status.checkpoint for status in cluster.statuses([job])), None)
