"""The Flink cluster that the environment leads to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from connectors.errors import UserError
from connectors.flink import gateway
from connectors.flink.rest import Cluster, Job
from pipeline.terminal import printable


def needed(environment: Mapping[str, str], name: str) -> str:
    """Return an environment variable that leads to the cluster; UserError without it."""
    if name not in environment:
        raise UserError(
            f"no Flink cluster is known: the environment variable {name} is not set. Set"
            " FLINK_REST_URL (http://HOST:8081) and FLINK_HOME (a Flink distribution); after"
            " `make up` the local cluster's are in build/run/env.sh: source it."
        )
    return environment[name]


def home_of(environment: Mapping[str, str]) -> Path:
    """Return the Flink distribution that the environment leads to; UserError if it is none."""
    return gateway.distribution(needed(environment, "FLINK_HOME"))


def cluster_of(environment: Mapping[str, str]) -> Cluster:
    """Return the cluster that the environment leads to."""
    prometheus = [url for url in environment.get("PROMETHEUS_URLS", "").split(",") if url]
    return Cluster(needed(environment, "FLINK_REST_URL"), prometheus)


def find_job(jobs: Iterable[Job], job_id: str) -> Job:
    """Return the job of that id; UserError if there is none."""
    job = next((job for job in jobs if job.job_id == job_id), None)
    if job is None:
        raise UserError(f"the cluster has no job {job_id!r}; `streaming-etl jobs` lists its jobs.")
    return job


def the_only_job(jobs: Iterable[Job]) -> Job:
    """Return the one job that has not ended; UserError if there are none or several."""
    live = [job for job in jobs if not job.has_ended]
    if not live:
        raise UserError(
            "no job runs on the cluster: `streaming-etl run` starts one, and `streaming-etl jobs`"
            " lists those that have ended."
        )
    if len(live) > 1:
        listed = "\n".join(f"  {job.job_id}  {printable(job.name)}  {job.state}" for job in live)
        raise UserError(f"{len(live)} jobs have not ended; give the id of one:\n{listed}")
    return live[0]
