"""Flink's configuration for the local cluster: loopback only, small, quick to notice a crash.

Each part of the memory is set, as Flink's start scripts would compute it from a total: the JVMs are
started without those scripts, which run five more JVMs per process for that sum.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from dev.servers import s3
from dev.servers.cache import ServerCache

JOB_MANAGER_HEAP = 448
# Open buckets of lake, archive and dead letters fill at most half of it: docs/performance.md.
TASK_HEAP = 768
FRAMEWORK_HEAP = 128
# Every PyFlink job that a TaskManager has run leaves classes and direct buffers of its gRPC behind,
# some 20 MiB of each: room for thirty jobs. Both are limits, and cost nothing before they are used.
OFF_HEAP = 640
NETWORK = 160
MANAGED = 160
METASPACE = 1024
OVERHEAD = 192
# It coordinates: C2 would take from the tasks' cores what the JobManager never earns back.
JOB_MANAGER_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# A client plans one job and ends: C2 takes more time than it saves, half of a submission's.
CLIENT_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# The parallel collector costs less than G1 where cores are few, and Arrow's readers need not look
# for the end of a buffer at each value that PyFlink takes from it: docs/performance.md.
TASK_MANAGER_OPTIONS = (
    "-XX:+UseParallelGC",
    "-Darrow.enable_unsafe_memory_access=true",
    "-Darrow.enable_null_check_for_get=false",
)
# Of a TaskManager and its Python workers. glibc gives each thread a heap of its own, which keeps
# what large batches needed once; a worker has one thread that works.
TASK_MANAGER_ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster: its folders, ports and addresses."""

    cache: ServerCache
    folder: Path
    logs: Path
    rest: int
    rpc: int
    slots: int
    s3_url: str
    metrics_url: str

    @property
    def conf(self) -> Path:
        """FLINK_CONF_DIR, generated for this cluster; the distribution stays unchanged."""
        return self.folder / "conf"

    @property
    def keys(self) -> Path:
        """The profile file with the keys of S3 and Kinesis."""
        return self.folder / "aws-profile"

    @property
    def rest_url(self) -> str:
        """The address of web UI and REST interface."""
        return f"http://127.0.0.1:{self.rest}"


def settings(cluster: Cluster) -> dict[str, str | int | float | bool]:
    """Return Flink's configuration, without the JVM options of its default file."""
    return {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": cluster.rpc,
        "jobmanager.bind-host": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": cluster.rest,
        "rest.bind-port": cluster.rest,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": cluster.slots,
        # Uploading jars through the web UI; `flink run` does not need it.
        "web.submit.enable": False,
        # How old a job's state may be that REST returns; 3 s by default, which each wait would pay.
        "web.refresh-interval": "200 ms",
        "env.java.opts.client": " ".join(CLIENT_OPTIONS),
        "classloader.resolve-order": "parent-first",
        "io.tmp.dirs": str(cluster.folder / "tmp"),
        # Or each Python worker's address space is limited to its share of the little managed
        # memory.
        "python.fn-execution.memory.managed": False,
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        **memory_settings(cluster.slots),
        **failure_settings(),
        **s3_settings(cluster.s3_url),
        **metrics_settings(cluster.metrics_url),
    }


def memory_settings(slots: int) -> dict[str, str | float]:
    """At most 1.5 GiB for the JobManager and 3 GiB for a TaskManager; Python workers come on top,
    outside the JVM."""
    return {
        "jobmanager.memory.heap.size": f"{JOB_MANAGER_HEAP}m",
        "jobmanager.memory.jvm-metaspace.size": f"{METASPACE}m",
        "taskmanager.cpu.cores": float(slots),
        "taskmanager.memory.framework.heap.size": f"{FRAMEWORK_HEAP}m",
        "taskmanager.memory.task.heap.size": f"{TASK_HEAP}m",
        "taskmanager.memory.framework.off-heap.size": f"{OFF_HEAP}m",
        "taskmanager.memory.task.off-heap.size": "0m",
        "taskmanager.memory.network.min": f"{NETWORK}m",
        "taskmanager.memory.network.max": f"{NETWORK}m",
        # While the lake closes its files at a checkpoint, events wait here and not before decode.
        "taskmanager.network.memory.floating-buffers-per-gate": 512,
        "taskmanager.memory.managed.size": f"{MANAGED}m",
        "taskmanager.memory.jvm-metaspace.size": f"{METASPACE}m",
        "taskmanager.memory.jvm-overhead.min": f"{OVERHEAD}m",
        "taskmanager.memory.jvm-overhead.max": f"{OVERHEAD}m",
    }


def failure_settings() -> dict[str, str | int]:
    """Return settings that notice a killed TaskManager within 10 s and restart the job soon."""
    return {
        "heartbeat.interval": "2 s",
        "heartbeat.timeout": "10 s",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
        "execution.checkpointing.tolerable-failed-checkpoints": 3,
    }


def s3_settings(url: str) -> dict[str, str | int | bool]:
    """S3A through the plugin, which takes keys that begin with `s3.` or `fs.s3a.`; every retry
    has a bound.

    Without `directory.marker.retention: keep` S3A deletes parent markers after each write, the
    local server answers "directory not empty", and S3A retries for ever: a job that hangs without
    an error.
    """
    return {
        "s3.endpoint": url,
        "s3.endpoint.region": s3.REGION,
        "s3.path.style.access": True,
        "s3.access-key": s3.ACCESS_KEY,
        "s3.secret-key": s3.SECRET_KEY,
        "fs.s3a.connection.ssl.enabled": False,
        "fs.s3a.directory.marker.retention": "keep",
        "fs.s3a.attempts.maximum": 3,
        "fs.s3a.retry.limit": 3,
        "fs.s3a.retry.interval": "200ms",
        "fs.s3a.connection.establish.timeout": 5000,
        "fs.s3a.connection.timeout": 20000,
    }


def metrics_settings(url: str) -> dict[str, str]:
    """Push metrics to our loopback server (metrics_server says why they are not pulled)."""
    reporter = "metrics.reporter.prometheus"
    package = "org.apache.flink.metrics.prometheus"
    return {
        f"{reporter}.factory.class": f"{package}.PrometheusPushGatewayReporterFactory",
        f"{reporter}.hostUrl": url,
        # As text: the reporter reads Properties, where a real boolean counts as absent.
        f"{reporter}.randomJobNameSuffix": "false",
        f"{reporter}.deleteOnShutdown": "true",
        f"{reporter}.interval": "2 SECONDS",
        # How old a metric that REST tells may be, in ms; 10 s by default.
        "metrics.fetcher.update-interval": "500",
    }
