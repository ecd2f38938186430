"""The contenders of the lake bench, each run in its own processes, cold, one at a time."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from connectors.flink.rest import Cluster, wait_for
from dev.bench.gauge import Gauge
from dev.bench.topic import Topic
from dev.servers import flink_run
from dev.servers.setup import setup
from dev.servers.stack import Stack
from pipeline.cluster import cluster_of
from pipeline.options import ROOT

PATIENCE_SECONDS: Final = 1800.0
CHECKPOINT_SECONDS: Final = 60
FILE_SECONDS: Final = 60
"""As long as a checkpoint, which is how long the other contenders collect for a file."""
SPARK_PYTHON: Final = ROOT / ".venv-bench" / "bin" / "python"
SPARK_JARS: Final = ROOT / ".cache" / "jars" / "spark-kafka"
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: `start_seconds` until the first read, `run_seconds` from then until committed.

    `parts` has the CPU seconds by part and `peak_by_kind` the memory, where they were asked for.
    """

    start_seconds: float
    run_seconds: float
    cpu_seconds: float
    peak_bytes: int
    parts: Mapping[str, float] = field(default_factory=dict)
    peak_by_kind: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contender:
    """A contender's name and function; `outputs` are the folders it fills."""

    name: str
    what: str
    run: Callable[[Bench, Topic, Path], Figures]
    bad: bool = False


@dataclass(slots=True)
class Bench:
    """The broker that all contenders read from, and extra settings of our job and its cluster."""

    servers: str
    folder: Path
    job: dict[str, Any] = field(default_factory=dict)
    lake: dict[str, Any] = field(default_factory=dict)
    flink: dict[str, str] = field(default_factory=dict)
    by_part: bool = False
    runs: int = 0

    @contextmanager
    def cluster(self) -> Iterator[Stack]:
        """Start a fresh Flink cluster."""
        self.runs += 1
        run_dir = self.folder / f"flink-{self.runs}"
        cluster = Stack(ROOT, run_dir=run_dir, free_ports=True, servers=("flink",))
        with cluster.running(lambda text: None) as stack:
            conf = Path(stack.environment()["FLINK_CONF_DIR"], "config.yaml")
            with conf.open("a", encoding="utf-8") as file:
                file.writelines(f"{key}: {value}\n" for key, value in self.flink.items())
            yield stack

    def config(self, topic: str, output: Path, **sections: dict[str, Any]) -> Path:
        """Return our job's configuration: the lake, and the dead letters it requires."""
        config = {
            "kafka": {"bootstrap_servers": self.servers},
            "source": {"kafka_topics": [topic], "kafka_group_id": output.name},
            "decode": {"schemas": str(ROOT / "schemas")},
            "lake": {**files(output, "lake"), **self.lake},
            "dead_letters": files(output, "dead_letters"),
            "job": {
                "name": "bench",
                "parallelism": 2,
                "checkpoint_seconds": CHECKPOINT_SECONDS,
                "checkpoint_dir": f"file://{output}-checkpoints",
                "max_failures": 1,
                **self.job,
            },
            **sections,
        }
        path = self.folder / f"{output.name}.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    def trip(self) -> Path:
        """Return a folder with the schema of the topic's events only."""
        folder = self.folder / "trip"
        folder.mkdir(exist_ok=True)
        for path in (ROOT / "schemas").glob("trip.*"):
            shutil.copy(path, folder)
        return folder

    def whole(self, topic: str, output: Path) -> Path:
        """Return the same configuration with an archive."""
        return self.config(topic, output, archive=files(output, "archive"))


def files(output: Path, step: str) -> dict[str, Any]:
    """Return the section of a step that writes files."""
    return {"path": f"file://{output}/{step}", "file_seconds": FILE_SECONDS}


@contextmanager
def running(*names: str) -> Iterator[Stack]:
    """Start servers for a bench in a temporary folder."""
    setup(ROOT, say=print, servers=names)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        servers = Stack(ROOT, run_dir=Path(folder) / "servers", free_ports=True, servers=names)
        with servers.running(print) as stack:
            yield stack


@contextmanager
def servers(*names: str) -> Iterator[tuple[Bench, Stack]]:
    """Start servers with a broker, and return the bench that reads from it."""
    with running(*names) as stack:
        yield Bench(stack.environment()["KAFKA_BOOTSTRAP_SERVERS"], stack.run_dir.parent), stack


def ours(bench: Bench, topic: Topic, output: Path) -> Figures:
    """(a) This job, lake only, of the one event type that the others know."""
    path = bench.config(topic.name, output, decode={"schemas": str(bench.trip())})
    return configured(bench, topic, output, path)


def ours_whole(bench: Bench, topic: Topic, output: Path) -> Figures:
    """(b) This job with archive, lake and dead letters, 1 % of the events bad."""
    return configured(bench, topic, output, bench.whole(topic.name, output))


def configured(bench: Bench, topic: Topic, output: Path, config: Path) -> Figures:
    """Run our job with a configuration until the topic is read."""
    return flink(bench, topic, output, lambda stack: submit_ours(stack, config))


def flink_json(bench: Bench, topic: Topic, output: Path) -> Figures:
    """(c) Flink SQL with its own JSON format."""
    words = [bench.servers, topic.name, f"file://{output}/lake", str(CHECKPOINT_SECONDS)]
    command = [*words, str(ROOT / "schemas")]
    return flink(bench, topic, output, lambda s: _submit(s, _HERE / "flink_json.py", command))


def spark(settings: str) -> Callable[[Bench, Topic, Path], Figures]:
    """(d) Spark Structured Streaming."""

    def run(bench: Bench, topic: Topic, output: Path) -> Figures:
        jars = ",".join(map(str, sorted(SPARK_JARS.glob("*.jar"))))
        lake = output / "lake" / "trip"
        words = [bench.servers, topic.name, str(lake), jars, settings]
        return _process([str(SPARK_PYTHON), str(_HERE / "spark_job.py"), *words])

    return run


def consumer(bench: Bench, topic: Topic, output: Path) -> Figures:
    """(e) A plain Python consumer."""
    words = [bench.servers, topic.name, str(output / "lake" / "trip")]
    return _process([sys.executable, str(_HERE / "consumer_job.py"), *words])


def _process(command: list[str]) -> Figures:
    launched = time.time()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with Gauge({child.pid}) as gauge:
        output, _ = child.communicate(timeout=PATIENCE_SECONDS)
    ended = time.time()
    assert child.returncode == 0, f"{command[1]} ended with {child.returncode}"
    began = json.loads(output.splitlines()[-1])["began"]
    return Figures(began - launched, ended - began, gauge.cpu_seconds, gauge.peak_bytes)


def flink(bench: Bench, topic: Topic, output: Path, submit: Callable[[Stack], str]) -> Figures:
    """Run a Flink job on a fresh cluster until the topic is read and committed."""
    with bench.cluster() as stack:
        roots = {started.pid for started in stack.started().values()}
        with Gauge(roots, by_part=bench.by_part) as gauge:
            launched = time.time()
            job_id = submit(stack)
            cluster = cluster_of(stack.environment())
            wait_for(lambda: cluster.running(job_id), 120, "the job did not run")
            began = time.time()
            finish(cluster, job_id, topic.records, output)
            ended = time.time()
    own = gauge.parts.seconds(), gauge.peak_by_kind
    return Figures(began - launched, ended - began, gauge.cpu_seconds, gauge.peak_bytes, *own)


def finish(cluster: Cluster, job_id: str, records: int, output: Path) -> None:
    """Wait until the records are read, then stop and drain, which writes and commits all."""
    wait_read(cluster, job_id, records)
    drain(cluster, job_id, output)


def drain(cluster: Cluster, job_id: str, output: Path) -> None:
    """Stop the job with the files of all its open buckets, and wait until it has ended."""
    into = f"file://{output}-savepoint"
    cluster.stop_with_savepoint(job_id, into, drain=True, timeout_seconds=PATIENCE_SECONDS)
    wait_for(lambda: cluster.state(job_id) == "FINISHED", 60, "the job did not finish")


def wait_read(cluster: Cluster, job_id: str, records: int) -> None:
    """Wait until the source has emitted the records.

    It polls once a second: each request costs the cluster some milliseconds of two cores.
    """
    path = wait_for(lambda: _counter(cluster, job_id), 120, "the source has no metrics")
    wait_for(
        lambda: cluster.running(job_id) and _sum(cluster, path) >= records,
        PATIENCE_SECONDS,
        f"{records} records were not read",
        every=1.0,
    )


def _counter(cluster: Cluster, job_id: str) -> str | None:
    """Return the REST path of the source's count of emitted records."""
    for vertex in cluster.get(f"/jobs/{job_id}")["vertices"]:
        if vertex["name"].startswith("Source"):
            path = f"/jobs/{job_id}/vertices/{vertex['id']}/subtasks/metrics"
            known = [metric["id"] for metric in cluster.get(path)]
            names = [name for name in known if re.fullmatch(r"Source__.*\.numRecordsIn", name)]
            if names:
                return f"{path}?get={names[0]}&agg=sum"
    return None


def _sum(cluster: Cluster, path: str) -> int:
    return int(sum(metric["sum"] for metric in cluster.get(path)))


def submit_ours(stack: Stack, config: Path) -> str:
    """Submit our job to a cluster; return its id.

    As the package does: Flink puts the program's folder ahead of all others, and the rooms in
    `pipeline` would take the names of installed packages.
    """
    program = config.with_suffix(".py")
    shutil.copy(ROOT / "pipeline" / "deploy" / "package" / "main.py", program)
    return _submit(stack, program, ["--config", str(config)])


def _submit(stack: Stack, program: Path, words: list[str]) -> str:
    environment = stack.environment()
    return flink_run.submit(
        Path(environment["FLINK_HOME"]),
        environment["FLINK_REST_URL"],
        python=sys.executable,
        program=("-py", str(program)),
        arguments=words,
        # A program of the tests' folder imports this checkout's packages.
        environment=os.environ | environment | {"PYTHONPATH": str(ROOT)},
    )


CONTENDERS: Final = (
    Contender("ours", "this job, lake only, one event type", ours),
    Contender(
        "ours-whole",
        "this job, archive, lake, dead letters, three types; 1 % bad",
        ours_whole,
        bad=True,
    ),
    Contender("flink-json", "Flink SQL with its JSON format (lenient)", flink_json),
    Contender("spark", "Spark Structured Streaming, defaults", spark("default")),
    Contender("spark-tuned", "Spark Structured Streaming, tuned", spark("tuned")),
    Contender("consumer", "Python consumer, json and pyarrow", consumer),
)
