"""OpenSearch as one process: the codelibs runner starts a single node from plain jars, on
127.0.0.1 only."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.local.cache import Cache
from pipeline.local.server import Server, class_path, fetch, java

CONFIGURATION = """\
network.host: 127.0.0.1
transport.port: {transport}
discovery.type: single-node
# A developer's disk is often fuller than 85 %, where a node refuses to place shards and 95 %, where
# it blocks writes.
cluster.routing.allocation.disk.threshold_enabled: false
action.auto_create_index: true
"""

LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


def server(cache: Cache, *, folder: Path, http: int, transport: int) -> Server:
    """A single node with its data, configuration and logs in `folder`."""
    url = f"http://127.0.0.1:{http}"
    runner = (
        "org.codelibs.opensearch.runner.OpenSearchRunner",
        *("-basePath", str(folder), "-confPath", str(folder / "config")),
        # The runner adds a node's number, from 1 on, to the port.
        *("-numOfNode", "1", "-baseHttpPort", str(http - 1), "-clusterName", "streaming-etl"),
    )
    jvm = (java(), "-Xms512m", "-Xmx1g", "-XX:+UseSerialGC")
    return Server(
        name="opensearch",
        command=(*jvm, "-cp", class_path(cache.jars("opensearch")), *runner),
        url=url,
        is_ready=lambda: is_ready(url),
        prepare=lambda: prepare(folder, transport),
    )


def prepare(folder: Path, transport: int) -> None:
    """Write the node's configuration."""
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "opensearch.yml").write_text(CONFIGURATION.format(transport=transport), "utf-8")
    (config / "log4j2.properties").write_text(LOGGING, "utf-8")


def is_ready(url: str) -> bool:
    """Whether the cluster has a leader and its indices can be written (yellow: no replicas, one
    node)."""
    body = fetch(f"{url}/_cluster/health")
    return body is not None and json.loads(body)["status"] in {"green", "yellow"}
