"""One job, looked at again and again until it ends."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
from pathlib import Path
from typing import Final, Protocol

from connectors.errors import JobFailed, UserError
from connectors.flink.job_metrics import JobMetrics
from connectors.flink.rest import Cluster, Job
from pipeline.cluster import find_job, the_only_job
from pipeline.ops.top import data
from pipeline.ops.top.files import Counter
from pipeline.ops.top.rates import Sampler
from pipeline.ops.top.view import Screen
from pipeline.terminal import printable

_ONCE_SECONDS: Final = 0.85
_NOT_FOUND: Final = 404
_SILENT: Final = (OSError, http.client.HTTPException, json.JSONDecodeError)
"""What a cluster raises that does not answer, or not in full."""


class Show(Protocol):
    """Shows a picture of the job, or a line in its place."""

    def __call__(self, screen: Screen | str) -> None: ...


class Watch:
    """Takes pictures of a job, and counts the files of its configuration beside that."""

    def __init__(self, cluster: Cluster, job: Job, config: Path) -> None:
        self._began = time.monotonic()
        self._cluster = cluster
        self._job = job
        self._counter = Counter(config, os.environ, job)
        self._metrics = JobMetrics(cluster, job.job_id, data.wanted)
        self._sampler = Sampler(self._metrics)

    def close(self) -> None:
        """End what runs beside."""
        self._counter.close()
        self._metrics.close()

    def once(self) -> Screen:
        """Return one picture, with rates and files if they are known within a second.

        Raises:
            UserError: the cluster does not answer.
            JobFailed: the cluster no longer knows the job.
        """
        try:
            sample, rates = self._sampler.once()
        except _SILENT as error:
            self._check_known(error)
            raise UserError(f"{_silence(error)}; is it up, and FLINK_REST_URL right?") from error
        self._counter.wait(self._began + _ONCE_SECONDS - time.monotonic())
        return Screen(sample, rates, self._counter.made)

    def until_it_ends(self, show: Show, every: float) -> Screen:
        """Show a picture every so many seconds; return the last one, of the job's end.

        A cluster that does not answer is asked again.

        Raises:
            JobFailed: the cluster no longer knows the job.
        """
        while True:
            try:
                sample, rates = self._sampler.next()
            except _SILENT as error:
                self._check_known(error)
                show(f"{printable(self._job.name)}: {_silence(error)}; asking again")
            else:
                screen = Screen(sample, rates, self._counter.made)
                show(screen)
                if screen.reading.job.has_ended:
                    return screen
            time.sleep(every)

    def _check_known(self, error: Exception) -> None:
        if not isinstance(error, urllib.error.HTTPError) or error.code != _NOT_FOUND:
            return
        try:
            jobs = self._cluster.jobs()
        except UserError:  # silent again: whether it knows the job is asked the next time
            return
        if all(job.job_id != self._job.job_id for job in jobs):
            raise JobFailed(
                f"the cluster no longer knows the job {self._job.job_id}: its JobManager was"
                " started anew, or forgot a job that ended. `streaming-etl jobs` lists its jobs."
            )


def chosen(cluster: Cluster, job_id: str) -> Job:
    """Return the job of that id, or without one the only job that has not ended.

    Raises:
        UserError: there is no such job, or there are several.
    """
    jobs = cluster.jobs()
    return find_job(jobs, job_id) if job_id else the_only_job(jobs)


def _silence(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return f"the cluster does not answer ({printable(str(reason)) or type(error).__name__})"
