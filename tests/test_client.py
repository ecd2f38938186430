"""The process that plans a job says why it does not, and ends with its caller's block."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from connectors.errors import UserError
from pipeline import client

NOWHERE = {"FLINK_REST_URL": "http://127.0.0.1:1"}
CONFIG = """
kafka: {bootstrap_servers: "127.0.0.1:1"}
source: {kafka_topics: [trips]}
archive: {path: "s3a://bucket/archive"}
replicate: {copy: {kafka_topic: copy, event_types: [boat]}}
dead_letters: {path: "s3a://bucket/dead-letters"}
job: {checkpoint_seconds: 1}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "job.yaml"
    file.write_text(CONFIG)
    return file


def test_what_the_plan_lacks_is_told_as_it_was_said(config: Path) -> None:
    with client.planning(config, NOWHERE) as planner:
        with pytest.raises(UserError, match=r"^replicate\.copy\.event_types has boat; ") as caught:
            planner.wait_planned()
    assert "\n" not in str(caught.value)
    assert planner.process.poll() is not None


def test_a_process_that_fails_leaves_all_that_it_said_in_a_file(
    config: Path, tmp_path: Path
) -> None:
    """A distribution without Flink's classes: its JVM cannot start."""
    for part in ("bin/flink", "opt/flink-python-1.jar", "conf/config.yaml"):
        (tmp_path / part).parent.mkdir()
        (tmp_path / part).write_text("rest.port: 1\n")
    broken = {**NOWHERE, "FLINK_HOME": str(tmp_path), "FLINK_CONF_DIR": str(tmp_path / "conf")}
    with client.planning(config, broken) as planner:
        with pytest.raises(UserError, match="the job was not planned: ") as caught:
            planner.wait_planned()
    told = str(caught.value)
    assert "Traceback" not in told
    kept = Path(told.split()[-1].removesuffix("."))
    assert "Java gateway process exited" in kept.read_text()
    kept.unlink()
    assert not planner.said.exists()


def test_a_process_that_died_is_told_and_not_taken_for_a_closed_pipe(config: Path) -> None:
    with pytest.raises(UserError, match="the job was not submitted: "):
        with client.planning(config, NOWHERE) as planner:
            planner.process.kill()
            planner.process.wait()
            planner.submit("1" * 32, savepoint="", allow_dropped_state=False)


def test_it_ends_with_the_block_and_its_arguments_are_no_secrets(config: Path) -> None:
    with pytest.raises(UserError), client.planning(config, NOWHERE) as planner:
        arguments = planner.process.args
        raise UserError("the checks found something")
    assert isinstance(arguments, list)
    assert arguments[1:] == ["-P", "-m", "pipeline.client_process", str(config.resolve())]
    assert planner.process.returncode == -signal.SIGKILL
    assert not planner.said.parent.exists()
