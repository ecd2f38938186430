"""The servers of a stack, their ports, and how clients reach them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from connectors.errors import UserError
from connectors.local_files import write_whole
from dev.servers import (
    flink,
    kafka,
    kafka_tls,
    kinesis,
    localstack,
    metrics_server,
    opensearch,
    prometheus,
    registry,
    s3,
)
from dev.servers.cache import ServerCache
from dev.servers.flink_settings import Cluster
from dev.servers.server import Server

SERVERS = ("kafka", "s3", "opensearch", "flink")
ALL_SERVERS = (*SERVERS, "kinesis")
"""Every server that the job can use."""
CHOICES = (*ALL_SERVERS, "localstack", "registry", "dashboards")
"""Every one that can be asked for; `dashboards` is Prometheus."""

# The ports that each choice needs. `metrics` belongs to Flink: its processes push there.
PREFERRED_PORTS = {
    "kafka": {"kafka": 9092, "kafka_tls": 9094, "kafka_controller": 9093},
    "s3": {"s3": 8087},
    "opensearch": {"opensearch": 9200, "opensearch_transport": 9300},
    "flink": {"flink_rest": 8081, "flink_rpc": 6123, "metrics": 9249},
    "kinesis": {"kinesis": 4568},
    "localstack": {"localstack": 4566},
    "registry": {"registry": 8085},
    "dashboards": {"prometheus": 9090},
}

WITHIN = {"opensearch": opensearch.HTTP_PORTS}


class Layout(msgspec.Struct, kw_only=True):
    """A running stack, as `stack.json` keeps it for later processes.

    `task_managers` maps a number to the RPC port of its latest start. Each start takes a new port,
    so that it is not mistaken for its dead predecessor.
    """

    root: str
    servers: tuple[str, ...]
    slots: int
    ports: dict[str, int]
    task_managers: dict[int, int]

    def port(self, name: str) -> int:
        """Return a port by its name; the preferred one where the stack has none."""
        return self.ports.get(name) or preferred_ports(CHOICES)[name]

    def url(self, name: str) -> str:
        """The address of one of the HTTP servers."""
        return f"http://127.0.0.1:{self.port(name)}"

    def aws_url(self, name: str) -> str:
        """The address of `s3` or `kinesis`; LocalStack's where the stack has it."""
        return self.url("localstack" if "localstack" in self.servers else name)


def chosen(usual: Iterable[str], also: Iterable[str]) -> tuple[str, ...]:
    """Return the servers to start; LocalStack takes the place of S3 and Kinesis."""
    names = tuple(dict.fromkeys([*usual, *also]))
    replaced = ("s3", "kinesis") if "localstack" in names else ()
    return tuple(name for name in names if name not in replaced)


def preferred_ports(servers: tuple[str, ...]) -> dict[str, int]:
    """Return the ports that these servers use if they are free."""
    unknown = [name for name in servers if name not in PREFERRED_PORTS]
    if unknown or not servers:
        raise UserError(f"Unknown server {', '.join(unknown)}; there are {', '.join(CHOICES)}")
    return {name: port for server in servers for name, port in PREFERRED_PORTS[server].items()}


def read(path: Path) -> Layout | None:
    """Return the layout of the stack that runs; None if there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Layout)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is not a stack of ours ({error}): delete it") from None


def write(path: Path, layout: Layout) -> None:
    """Write the layout for later processes."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(layout)))


def cluster_of(layout: Layout, run_dir: Path) -> Cluster:
    """The Flink cluster of a layout."""
    return Cluster(
        cache=ServerCache(Path(layout.root)),
        folder=run_dir / "flink",
        logs=run_dir / "logs",
        rest=layout.ports["flink_rest"],
        rpc=layout.ports["flink_rpc"],
        slots=layout.slots,
        s3_url=layout.aws_url("s3"),
        metrics_url=layout.url("metrics"),
    )


def servers_of(layout: Layout, run_dir: Path) -> dict[str, Server]:
    """Return every process of a layout by name, the slowest to start first."""
    makers = {
        "opensearch": opensearch_server,
        "flink": flink_servers,
        "s3": s3_server,
        "kinesis": kinesis_server,
        "localstack": localstack_server,
        "registry": registry_server,
        "kafka": kafka_server,
        "dashboards": prometheus_server,
    }
    servers = [
        server
        for name, make in makers.items()
        if name in layout.servers
        for server in make(layout, run_dir)
    ]
    return {server.name: server for server in servers}


def kafka_server(layout: Layout, run_dir: Path) -> list[Server]:
    """The broker."""
    return [
        kafka.server(
            ServerCache(Path(layout.root)),
            folder=run_dir / "kafka",
            broker=layout.ports["kafka"],
            tls=layout.port("kafka_tls"),
            controller=layout.ports["kafka_controller"],
        )
    ]


def s3_server(layout: Layout, run_dir: Path) -> list[Server]:
    """The object store."""
    return [
        s3.server(ServerCache(Path(layout.root)), folder=run_dir / "s3", port=layout.ports["s3"])
    ]


def kinesis_server(layout: Layout, run_dir: Path) -> list[Server]:
    """The streams."""
    port = layout.ports["kinesis"]
    return [kinesis.server(ServerCache(Path(layout.root)), folder=run_dir / "kinesis", port=port)]


def localstack_server(layout: Layout, run_dir: Path) -> list[Server]:
    """The object store, the streams and the stacks in one."""
    cache, port = ServerCache(Path(layout.root)), layout.ports["localstack"]
    return [localstack.server(cache, folder=run_dir / "localstack", port=port)]


def registry_server(layout: Layout, run_dir: Path) -> list[Server]:
    """The schema registry."""
    cache, port = ServerCache(Path(layout.root)), layout.ports["registry"]
    return [registry.server(cache, folder=run_dir / "registry", port=port)]


def opensearch_server(layout: Layout, run_dir: Path) -> list[Server]:
    """The search node."""
    return [
        opensearch.server(
            ServerCache(Path(layout.root)),
            folder=run_dir / "opensearch",
            http=layout.ports["opensearch"],
            transport=layout.ports["opensearch_transport"],
        )
    ]


def flink_servers(layout: Layout, run_dir: Path) -> list[Server]:
    """JobManager, TaskManagers and the server that takes their metrics."""
    cluster = cluster_of(layout, run_dir)
    workers = [
        flink.task_manager(cluster, number, port=port)
        for number, port in layout.task_managers.items()
    ]
    metrics = metrics_server.server(port=layout.ports["metrics"])
    return [metrics, flink.job_manager(cluster), *workers]


def prometheus_server(layout: Layout, run_dir: Path) -> list[Server]:
    """Prometheus over what Flink's processes push."""
    return [
        prometheus.server(
            ServerCache(Path(layout.root)),
            folder=run_dir / "prometheus",
            port=layout.ports["prometheus"],
            metrics_url=layout.url("metrics"),
        )
    ]


def environment_of(layout: Layout, run_dir: Path) -> dict[str, str]:
    """Return what clients need as environment variables, for the servers that the stack has."""
    environment: dict[str, str] = {}
    if "kafka" in layout.servers:
        environment["KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{layout.ports['kafka']}"
        environment |= kafka_tls.environment(run_dir / "kafka", layout.port("kafka_tls"))
        environment["REDRIVE_KEY"] = kafka.REDRIVE_KEY
    for name in ("s3", "kinesis"):
        if name in layout.servers or "localstack" in layout.servers:
            endpoint = {f"{name.upper()}_ENDPOINT": layout.aws_url(name)}
            environment |= {**endpoint, **s3.CREDENTIALS}
    if "localstack" in layout.servers:
        environment["LOCALSTACK_URL"] = layout.url("localstack")
    if "opensearch" in layout.servers:
        environment["OPENSEARCH_URL"] = layout.url("opensearch")
    if "registry" in layout.servers:
        environment["SCHEMA_REGISTRY_URL"] = layout.url("registry") + registry.API
    if "flink" in layout.servers:
        environment |= flink.client_environment(cluster_of(layout, run_dir), layout.task_managers)
    return environment
