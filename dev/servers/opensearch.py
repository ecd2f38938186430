"""OpenSearch as one process: the codelibs runner starts a single node from plain jars, on
127.0.0.1 only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from dev.servers.cache import ServerCache
from dev.servers.server import Server, class_path, fetch, java

LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


# The runner refuses ports above 9299, overrides what the configuration says, and has no option.
HTTP_PORTS = range(9200, 9300)

# A developer's disk is often fuller than 85 %, from where a node refuses to place shards.
COMMON_SETTINGS: Mapping[str, str | int] = {
    "network.host": "127.0.0.1",
    "discovery.type": "single-node",
    "cluster.routing.allocation.disk.threshold_enabled": "false",
}


def server(
    cache: ServerCache,
    *,
    folder: Path,
    http: int,
    transport: int,
    settings: Mapping[str, str | int] | None = None,
) -> Server:
    """A single node with its data, configuration and logs in `folder`; `settings` adds to its own.

    `http` must be one of HTTP_PORTS.
    """
    url = f"http://127.0.0.1:{http}"
    runner = (
        "org.codelibs.opensearch.runner.OpenSearchRunner",
        *("-basePath", str(folder), "-confPath", str(folder / "config")),
        # The runner adds a node's number, from 1 on, to the port.
        *("-numOfNode", "1", "-baseHttpPort", str(http - 1), "-clusterName", "streaming-etl"),
    )
    jvm = (java(), "-Xms512m", "-Xmx1g", "-XX:+UseSerialGC")
    own = {"transport.port": transport}
    return Server(
        name="opensearch",
        command=(*jvm, "-cp", class_path(cache.jars("opensearch")), *runner),
        port=http,
        url=url,
        is_ready=lambda: is_ready(url),
        prepare=lambda: prepare(folder, {**COMMON_SETTINGS, **own, **(settings or {})}),
    )


def prepare(folder: Path, settings: Mapping[str, str | int]) -> None:
    """Write the node's configuration."""
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    lines = [f"{key}: {value}\n" for key, value in settings.items()]
    (config / "opensearch.yml").write_text("".join(lines), "utf-8")
    (config / "log4j2.properties").write_text(LOGGING, "utf-8")


def is_ready(url: str) -> bool:
    """Whether the cluster has a leader and its indices can be written (yellow: no replicas, one
    node)."""
    body = fetch(f"{url}/_cluster/health")
    return body is not None and json.loads(body)["status"] in {"green", "yellow"}
