"""Submit the job to a Flink cluster from the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors import flink_rest
from pipeline import load_config
from pipeline.config import Config


@dataclass(frozen=True, slots=True)
class Submitted:
    """A running job."""

    job_id: str
    url: str
    config: Config
    cluster: flink_rest.Cluster


def submit(path: Path, environment: Mapping[str, str], *, savepoint: str = "") -> Submitted:
    """Check the configuration here, so that a mistake costs no JVM, then submit.

    Raises:
        UserError: what is wrong in the configuration, the schemas or the outside systems.
    """
    os.environ.update(environment)
    config = load_config.load(path)
    load_config.event_types(config)
    rest_url = environment["FLINK_REST_URL"]
    job_id = flink_rest.submit(
        Path(environment["FLINK_HOME"]),
        rest_url,
        python=sys.executable,
        arguments=["--config", str(path.resolve())],
        environment=os.environ,
        savepoint=savepoint,
    )
    url = f"{rest_url}/#/job/running/{job_id}"
    return Submitted(job_id, url, config, cluster_of(environment))


def cluster_of(environment: Mapping[str, str]) -> flink_rest.Cluster:
    """The cluster that the environment leads to."""
    prometheus = [url for url in environment.get("PROMETHEUS_URLS", "").split(",") if url]
    return flink_rest.Cluster(environment["FLINK_REST_URL"], prometheus)
