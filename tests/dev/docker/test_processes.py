"""What the containers would run, run as processes: entry points, settings, health commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from connectors.flink.rest import Cluster, wait_for
from connectors.s3.store import open_store
from dev.servers import metrics_server, ports, process
from dev.servers.job_watch import ArchivedRecords
from dev.servers.server import fetch
from dev.servers.stack import Stack
from tests.conftest import PLANTED

ROOT = Path(__file__).parents[3]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PATIENCE_SECONDS = 180.0
EVENTS = 4_000


class Containers:
    """The image's entry point under loopback addresses, beside the servers of the stack."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.rest, self.rpc, metrics = ports.unused(3)
        self.metrics = metrics_server.server(port=metrics)

    def environment(self, name: str) -> dict[str, str]:
        """As compose gives it, but for the addresses."""
        loopback = {
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.rpc.port": self.rpc,
            "jobmanager.bind-host": "127.0.0.1",
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.port": self.rest,
            "taskmanager.host": "127.0.0.1",
            "taskmanager.bind-host": "127.0.0.1",
            "metrics.reporter.prometheus.hostUrl": self.metrics.url,
            "metrics.reporter.prometheus.jobName": name,  # all have the same host name here
        }
        return {
            **os.environ,
            **self.stack.environment(),
            "FLINK_PROPERTIES": yaml.safe_dump(loopback),
            "FLINK_FOLDER": str(self.folder / name),
            "PYTHONPATH": str(ROOT),
        }

    def command(self, name: str) -> list[str]:
        """The Dockerfile's entry point with compose's command."""
        return [sys.executable, "-m", "dev.servers.container", *SERVICES[name]["command"]]

    def start(self, name: str) -> process.Started:
        """A process that stays in the foreground, as a container's must, in the root folder."""
        return process.start(
            ["env", "-C", "/", *self.command(name)],
            environment=self.environment(name),
            log=self.folder / f"{name}.log",
            pid_file=self.folder / f"{name}.pid",
        )

    def start_metrics(self) -> process.Started:
        """The service `metrics`, which the test of docker-compose.yml compares with this."""
        return process.start(
            self.metrics.command,
            environment=self.metrics.environment,
            log=self.folder / "metrics.log",
            pid_file=self.folder / "metrics.pid",
        )

    def run(self, name: str) -> str:
        """One that ends; what it printed."""
        done = subprocess.run(
            self.command(name), env=self.environment(name), cwd="/", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tools(self, arguments: list[str]) -> str:
        """`streaming-etl`, as the service `tools` runs it, with 0 as its end; what it printed."""
        program = [sys.executable, "-c", "from pipeline.cli import main; main()"]
        done = subprocess.run(
            [*program, *arguments], env=self.environment("tools"), cwd=self.folder,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def healthy(self, name: str) -> bool:
        """What compose's health check says, asked at our ports."""
        (_, command) = SERVICES[name]["healthcheck"]["test"]
        found = self.stack.environment()
        moved = {
            "http://127.0.0.1:8081": f"http://127.0.0.1:{self.rest}",
            "http://jobmanager:8081": f"http://127.0.0.1:{self.rest}",
            "http://127.0.0.1:9249": self.metrics.url,
            "http://127.0.0.1:9200": found["OPENSEARCH_URL"],
            "127.0.0.1/9092": found["KAFKA_BOOTSTRAP_SERVERS"].replace(":", "/"),
        }
        for ours, here in moved.items():
            command = command.replace(ours, here)
        return subprocess.run(["sh", "-c", command], capture_output=True).returncode == 0


@pytest.fixture
def containers(stack: Stack, tmp_path: Path) -> Iterator[Containers]:
    """JobManager and TaskManager in the foreground; stopped by their own pids, workers too."""
    made = Containers(stack, tmp_path)
    assert not made.healthy("jobmanager")
    assert not made.healthy("taskmanager")
    with ExitStack() as stop:
        stop.callback(process.stop, made.start_metrics(), patience=60)
        wait_for(partial(made.healthy, "metrics"), PATIENCE_SECONDS, "metrics: not healthy")
        for name in ("jobmanager", "taskmanager"):
            stop.callback(process.stop, made.start(name), patience=60)
            wait_for(partial(made.healthy, name), PATIENCE_SECONDS, f"{name}: not healthy")
        yield made


@pytest.mark.deployment
def test_the_page_s_commands_run_the_job(containers: Containers, tmp_path: Path) -> None:
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    assert containers.healthy("kafka")
    assert containers.healthy("opensearch")
    assert "topic trips.dead-letters: " in containers.run("prepare")
    assert "stream trips-airport: exists" in containers.run("prepare"), "nothing is made twice"
    generate, to_topic, to_stream, *others = page_commands("tools")
    for command in (generate, to_topic, to_stream):
        containers.tools(command)
    job_id = json.loads(containers.run("job"))["job_id"]
    cluster = Cluster(f"http://127.0.0.1:{containers.rest}")
    wait_for(lambda: cluster.running(job_id), PATIENCE_SECONDS, "the job did not run")
    archived = ArchivedRecords(
        open_store("s3a://streaming-etl/archive", containers.environment("reader"))
    )
    wait_for(lambda: archived.count() >= EVENTS, PATIENCE_SECONDS, "not all is archived")
    wait_for(lambda: counted(containers.metrics.url) > 0, PATIENCE_SECONDS, "no metrics")
    told = [containers.tools(command) for command in others]
    cluster.cancel(job_id)
    assert len(told) == 2
    assert [line for line in told[-1].splitlines() if line.split()[:1] == ["lake"]], told[-1]
    logs = {path.name: path.read_text() for path in containers.folder.rglob("*.log")}
    assert {"jobmanager.log", "taskmanager.log"} <= set(logs)
    secrets = [*PLANTED.values(), containers.environment("job")["AWS_SECRET_ACCESS_KEY"]]
    assert [name for name, text in logs.items() for each in secrets if each in text] == []


def test_what_the_image_copies_is_enough_to_assemble_its_flink(tmp_path: Path) -> None:
    dockerfile = (ROOT / "conf" / "docker" / "Dockerfile").read_text()
    last_stage = dockerfile.rpartition("FROM ")[2]
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", last_stage, re.MULTILINE):
        for name in line.split():
            copy = shutil.copytree if name.endswith("/") else shutil.copy
            copy(ROOT / name, tmp_path / name)
    (tmp_path / ".cache").mkdir()
    for folder in re.findall(r"^COPY --from=jars \S+/ (\S+)/$", last_stage, re.MULTILINE):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (program,) = re.findall(r'python -c "([^"]+)"', last_stage)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    made = tmp_path / ".cache" / "flink"
    assert os.access(made / "bin" / "jobmanager.sh", os.X_OK)
    assert (made / "lib" / "streaming-etl-connectors.jar").resolve().is_file()
    assert list((made / "plugins" / "s3-fs-hadoop").glob("flink-s3-fs-hadoop-*.jar"))


def counted(url: str) -> float:
    """How many events Prometheus would be told of."""
    families = text_string_to_metric_families((fetch(f"{url}/metrics") or b"").decode())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "streaming_etl_decode_events_total"
    )


def page_commands(service: str) -> list[list[str]]:
    """What docs/docker.md tells that service to do."""
    page = (ROOT / "docs" / "docker.md").read_text()
    start = f"docker compose run --rm {service} "
    lines = [line.removeprefix(start) for line in page.splitlines() if line.startswith(start)]
    return [shlex.split(line, comments=True) for line in lines]
