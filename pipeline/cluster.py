"""The Flink cluster that the environment leads to."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.errors import UserError
from connectors.flink.rest import Cluster


def needed(environment: Mapping[str, str], name: str) -> str:
    """Return an environment variable that leads to the cluster; UserError without it."""
    if name not in environment:
        raise UserError(
            f"no Flink cluster is known: the environment variable {name} is not set. Set"
            " FLINK_REST_URL (http://HOST:8081) and FLINK_HOME (a Flink distribution); after"
            " `make up` the local cluster's are in build/run/env.sh: source it."
        )
    return environment[name]


def cluster_of(environment: Mapping[str, str]) -> Cluster:
    """Return the cluster that the environment leads to."""
    prometheus = [url for url in environment.get("PROMETHEUS_URLS", "").split(",") if url]
    return Cluster(needed(environment, "FLINK_REST_URL"), prometheus)
