"""The package, unpacked into an empty folder, is the whole job: a bare apache-flink runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from connectors.errors import UserError
from dev.demo.generate import Recipe, generate
from dev.rehearse import as_platform
from dev.servers import kinesis
from dev.servers.kafka import create_topics
from dev.servers.layout import ALL_SERVERS
from dev.servers.ports import command_line
from dev.servers.setup import setup
from dev.servers.stack import Stack
from pipeline.cluster import cluster_of
from pipeline.config import load as load_config
from pipeline.config.load import PROPERTY_GROUPS
from pipeline.config.model import PLATFORM_KEYS
from pipeline.deploy.package.build import build
from pipeline.submit import Submitted
from tests.job.harness import Harness

ROOT = Path(__file__).parents[2]
NAME = "packaged"
RECIPE = Recipe(events=1_000, seed=5)
# What the platform sets for the application.
PLATFORM = {
    "parallelism.default": "2",
    "execution.checkpointing.interval": "4321 ms",
    "execution.checkpointing.timeout": "98765 ms",
    "execution.checkpointing.dir": f"s3a://{NAME}/checkpoints",
}
# What this program sets of what AWS documents that one may set, on its page on programmatic
# configuration.
ALLOWED = (
    *("execution.runtime-mode", "pipeline.cached-files", "pipeline.classpaths", "pipeline.jars"),
    *("pipeline.max-parallelism", "pipeline.name", "pipeline.object-reuse"),
    *("python.internal.files-key-map", "python.job-options", "table.local-time-zone"),
)
REFUSING = {
    **PLATFORM,
    "execution.program-config.enabled": "false",
    "execution.program-config.wildcards": ";".join(ALLOWED),
}

pytestmark = pytest.mark.deployment


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What `flink run` is told of the unpacked package."""
    folder = tmp_path_factory.mktemp("platform")
    built = build(ROOT, folder / "package.zip", say=print)
    return as_platform.unpack(built.path, folder / "unpacked")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_platform.bare_python(tmp_path_factory.mktemp("bare") / "venv")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The servers, with a Flink that lacks our jar."""
    setup(ROOT, say=print)
    checkout = as_platform.bare_checkout(ROOT, tmp_path_factory.mktemp("checkout") / "root")
    folder = tmp_path_factory.mktemp("platform-servers")
    made = Stack(checkout, run_dir=folder, free_ports=True, servers=ALL_SERVERS)
    with made.running(print) as running:
        yield running


def test_the_bare_interpreter_has_apache_flink_and_no_more(bare: Path) -> None:
    for module in ("msgspec", "opensearchpy", "confluent_kafka", "yaml", "boto3", "pipeline"):
        done = subprocess.run([bare, "-I", "-c", f"import {module}"], capture_output=True, cwd="/")
        assert b"ModuleNotFoundError" in done.stderr, module
    subprocess.run([bare, "-c", "import pyflink.table, pandas, pyarrow"], check=True, cwd="/")


def test_the_package_is_the_whole_job(
    platform: Stack, program: list[str], bare: Path, tmp_path: Path
) -> None:
    replicate = {"topic": {"kafka_topic": f"{NAME}-copy"}, "stream": {"kinesis_stream": NAME}}
    with Harness(
        stack=platform,
        name=NAME,
        folder=tmp_path,
        overrides={"replicate": replicate},
        streams=("trips",),
    ) as harness:
        create_topics(harness.servers, source=f"{NAME}-copy", dead_letters=None, partitions=2)
        kinesis.create_stream(NAME, endpoint=harness.endpoint)
        sent = harness.produce(generate(RECIPE))
        harness.job = start(harness, program, bare)
        harness.wait_running()
        workers = {command_line(pid)[0] for pid in platform.python_worker_pids()}
        harness.drain()
        checkpoints = harness.job.cluster.get(f"/jobs/{harness.job.job_id}/checkpoints/config")
        harness.stop()

    assert workers == {str(bare)}
    assert (checkpoints["interval"], checkpoints["timeout"]) == (4321, 98765)
    assert checkpoints["externalization"]["enabled"] is False
    verdict = harness.verdict(sent)
    assert verdict.problems() == []
    assert verdict.counts["index"] > 0


def test_a_flink_that_takes_no_settings_of_a_program_runs_it(
    platform: Stack, program: list[str], bare: Path, tmp_path: Path
) -> None:
    with Harness(stack=platform, name="refused", folder=tmp_path) as harness:
        sent = harness.produce(generate(RECIPE))
        harness.job = start(harness, program, bare, REFUSING)
        harness.wait_running()
        harness.drain()
        config = harness.job.cluster.get(f"/jobs/{harness.job.job_id}/config")
        harness.stop()

    assert config["execution-config"]["object-reuse-mode"] is True
    assert harness.verdict(sent).problems() == []


def start(
    harness: Harness, program: list[str], bare: Path, settings: Mapping[str, str] = PLATFORM
) -> Submitted:
    """Submit as the platform does; the configuration is the property groups' file alone."""
    sections = harness.config()
    del sections["decode"]  # the schemas are those of the package
    sections["job"] = {k: v for k, v in sections["job"].items() if k not in PLATFORM_KEYS}
    environment = platform_environment(harness, settings)
    try:
        with as_platform.placed(as_platform.property_groups(sections)) as path:
            config = load_config.load_property_groups(path)
            job_id = as_platform.submit(
                Path(environment["FLINK_HOME"]),
                environment["FLINK_REST_URL"],
                python=bare,
                program=program,
                environment=environment,
            )
    except UserError as error:
        if str(error).startswith(f"{PROPERTY_GROUPS}: cannot be made (Permission"):
            pytest.skip(str(error))
        raise
    return Submitted(job_id, "", config, cluster_of(environment))


def platform_environment(harness: Harness, settings: Mapping[str, str]) -> dict[str, str]:
    """The servers' addresses, and Flink's configuration with the platform's own settings."""
    found = harness.stack.environment()
    conf = harness.folder / "conf"
    shutil.copytree(found["FLINK_CONF_DIR"], conf)
    with (conf / "config.yaml").open("a") as file:
        file.writelines(f'{key}: "{value}"\n' for key, value in settings.items())
    return {"PATH": os.environ["PATH"], **found, "FLINK_CONF_DIR": str(conf)}
