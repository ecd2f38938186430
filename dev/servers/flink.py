"""Flink's standalone cluster on 127.0.0.1: one JobManager and some TaskManagers, each a JVM that
we start."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dev.servers import flink_settings as sizes
from dev.servers import kinesis, metrics_server, quiet, s3
from dev.servers.flink_settings import Cluster, settings
from dev.servers.server import Server, fetch, java

JVM_OPTIONS = "env.java.opts.all"


def prepare(cluster: Cluster) -> None:
    """Generate FLINK_CONF_DIR from the distribution's files and ours."""
    (cluster.folder / "tmp").mkdir(parents=True, exist_ok=True)
    copy_configuration(cluster.cache.flink_home / "conf", cluster.conf, settings(cluster))
    s3.write_profile(cluster.keys, s3.CREDENTIALS)


def copy_configuration(default: Path, conf: Path, own: Mapping[str, Any]) -> None:
    """Make a FLINK_CONF_DIR of the distribution's files with our own settings in them."""
    shutil.rmtree(conf, ignore_errors=True)
    shutil.copytree(default, conf)
    options = jvm_options((default / "config.yaml").read_text("utf-8"))
    values = {JVM_OPTIONS: options, **own}  # the options are for Flink's scripts
    lines = [f"{key}: {json.dumps(value)}" for key, value in values.items()]
    (conf / "config.yaml").chmod(0o600)  # it has the keys of S3
    (conf / "config.yaml").write_text("\n".join([*lines, ""]), "utf-8")
    log_to_console_only(conf / "log4j-console.properties")
    for properties in conf.glob("log4j*.properties"):
        quiet.silence(properties)


def jvm_options(default_config: str) -> str:
    """The flags without which Flink does not run on Java 17, from its default configuration."""
    lines = (line.strip() for line in default_config.splitlines())
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("all:"))


def log_to_console_only(properties: Path) -> None:
    """Drop the rolling log file: the console output goes to a log file already.

    Without a name for it, log4j creates a file called `${sys:log.file}` in the current directory.
    """
    lines = properties.read_text("utf-8").splitlines()
    rolling = ("rootLogger.appenderRef.rolling", "appender.rolling")
    others = [line for line in lines if not line.startswith(rolling)]
    properties.write_text("\n".join([*others, ""]), "utf-8")


def environment(cluster: Cluster) -> dict[str, str]:
    """Return what Flink's start scripts export and its Kinesis clients read, with this Python first
    on PATH."""
    home = cluster.cache.flink_home
    python_folder = str(Path(sys.executable).parent)
    return {
        "FLINK_HOME": str(home),
        "FLINK_CONF_DIR": str(cluster.conf),
        "FLINK_LOG_DIR": str(cluster.logs),
        "FLINK_BIN_DIR": str(home / "bin"),
        "FLINK_LIB_DIR": str(home / "lib"),
        "FLINK_OPT_DIR": str(home / "opt"),
        "FLINK_PLUGINS_DIR": str(home / "plugins"),
        "PATH": os.pathsep.join([python_folder, os.environ.get("PATH", os.defpath)]),
        **s3.profile_environment(cluster.keys),
        **kinesis.JSON_ONLY,
    }


def job_manager(cluster: Cluster) -> Server:
    """Return the JobManager, which is ready when its REST interface answers."""
    entry = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    heap = sizes.JOB_MANAGER_HEAP
    return Server(
        name="jobmanager",
        command=(
            *jvm(cluster, f"-Xms{heap}m", f"-Xmx{heap}m", *sizes.JOB_MANAGER_OPTIONS),
            entry,
            *("--configDir", str(cluster.conf), "--executionMode", "cluster"),
            *own_settings(cluster, "jobmanager", "web.log.path"),
        ),
        port=cluster.rest,
        url=cluster.rest_url,
        is_ready=lambda: fetch(f"{cluster.rest_url}/overview") is not None,
        prepare=lambda: prepare(cluster),
        environment=environment(cluster),
    )


def task_manager(cluster: Cluster, number: int, *, port: int) -> Server:
    """Return a TaskManager, which is ready when the JobManager counts it; `port` identifies it."""
    name = f"taskmanager-{number}"
    heap = sizes.FRAMEWORK_HEAP + sizes.TASK_HEAP
    direct = sizes.OFF_HEAP + sizes.NETWORK
    memory = (f"-Xms{heap}m", f"-Xmx{heap}m", f"-XX:MaxDirectMemorySize={direct}m")
    return Server(
        name=name,
        command=(
            *jvm(cluster, *memory, *sizes.TASK_MANAGER_OPTIONS),
            "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
            *("--configDir", str(cluster.conf)),
            *own_settings(cluster, name, "taskmanager.log.path"),
            *("-D", f"taskmanager.rpc.port={port}"),
        ),
        port=port,
        url=f"127.0.0.1:{port}",
        is_ready=lambda: port in registered_ports(cluster.rest_url),
        prepare=lambda: None,
        environment={**environment(cluster), **sizes.TASK_MANAGER_ENVIRONMENT},
    )


def jvm(cluster: Cluster, *memory: str) -> tuple[str, ...]:
    """The JVM with Flink's class path and flags; flink-dist goes last, as in Flink's own
    scripts."""
    home = cluster.cache.flink_home
    jars = sorted(
        (home / "lib").glob("*.jar"), key=lambda jar: ("flink-dist" in jar.name, jar.name)
    )
    default = (home / "conf" / "config.yaml").read_text("utf-8")
    logging = (cluster.conf / "log4j-console.properties").as_uri()
    return (
        java(),
        *memory,
        f"-XX:MaxMetaspaceSize={sizes.METASPACE}m",
        *jvm_options(default).split(),
        f"-Dlog4j.configurationFile={logging}",
        *("-classpath", os.pathsep.join(map(str, jars))),
    )


def own_settings(cluster: Cluster, name: str, log_key: str) -> tuple[str, ...]:
    """Return the settings of one process: its name in metrics, and its log."""
    return (
        *("-D", f"metrics.reporter.prometheus.jobName={name}"),
        *("-D", f"{log_key}={cluster.logs / name}.log"),
    )


def client_environment(cluster: Cluster, numbers: Iterable[int]) -> dict[str, str]:
    """Return what a client needs; `flink run` finds the cluster through FLINK_CONF_DIR."""
    names = ["jobmanager", *(f"taskmanager-{number}" for number in numbers)]
    urls = [metrics_server.process_url(cluster.metrics_url, name) for name in names]
    return {
        "FLINK_REST_URL": cluster.rest_url,
        "FLINK_HOME": str(cluster.cache.flink_home),
        "FLINK_CONF_DIR": str(cluster.conf),
        "FLINK_LOG_DIR": str(cluster.logs),
        "PROMETHEUS_URLS": ",".join(urls),
    }


def registered_ports(rest_url: str) -> set[int]:
    """Return the RPC ports of the TaskManagers that the JobManager knows.

    A killed one stays among them until its heartbeat times out.
    """
    body = fetch(f"{rest_url}/taskmanagers")
    if body is None:
        return set()
    return {rpc_port(manager["path"]) for manager in json.loads(body)["taskmanagers"]}


def rpc_port(path: str) -> int:
    """The port in `pekko.tcp://flink@127.0.0.1:36179/user/rpc/taskmanager_0`."""
    return int(path.partition("@")[2].partition("/")[0].rpartition(":")[2])
