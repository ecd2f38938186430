"""A cluster may take no settings of a program: what the job leaves to it, and by which names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyflink
import pytest
from msgspec.structs import replace

from connectors.errors import UserError
from pipeline import main
from pipeline.config import load as load_config
from pipeline.config.flink_settings import flink_settings
from pipeline.config.model import Config, Job
from tests.config.test_config import check

ROOT = Path(__file__).parents[2]
CONFIG = load_config.load(ROOT / "conf" / "minimal.yaml")
# Two jobs of one Python function; it prints which settings Flink refused of each.
PROGRAM = """
from pyflink.table.udf import udf
from connectors.flink import table_environment as flink
from pipeline.config.flink_settings import flink_settings
from pipeline.config.model import Job

for job in (Job(), Job(leave_to_cluster=("python.*", "pipeline.*", "table.*"))):
    stream, tables = flink.environment(flink_settings(job))
    flink.require_utc(tables)
    tables.create_temporary_function("same", udf(lambda x: x, result_type="INT"))
    tables.execute_sql("CREATE TABLE numbers (x INT) WITH ('connector' = 'datagen')")
    tables.execute_sql("CREATE TABLE seen (x INT) WITH ('connector' = 'blackhole')")
    statements = tables.create_statement_set()
    statements.add_insert_sql("INSERT INTO seen SELECT same(x) FROM numbers")
    statements.attach_as_datastream()
    if job.leave_to_cluster:
        flink.forget_needless(stream)
    try:
        stream.execute_async("refused")
    except flink.JAVA_ERRORS as error:
        print("refused:", *flink.refused_settings(error))
"""


def test_flink_names_each_setting_that_it_refuses_and_none_that_is_left(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    home = Path(pyflink.__file__).parent
    environment = {**os.environ, "FLINK_CONF_DIR": str(home / "conf"), "PYTHONPATH": str(ROOT)}
    environment |= {"FLINK_LOG_DIR": str(tmp_path), "TZ": "UTC"}
    command = [str(home / "bin" / "flink"), "run", "-t", "local"]
    command += ["-Dexecution.program-config.enabled=false"]
    command += ["-pyclientexec", sys.executable, "-pyexec", sys.executable, "-py", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    told = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("refused:")]
    all_set, left = map(set, told)
    ours = flink_settings(Job()).keys()
    assert ours <= all_set
    assert ours & left == {"execution.checkpointing.timeout"}
    own = {"pipeline.jars", "pipeline.classpaths", "python.loopback-server.address"}
    assert left - ours == own  # PyFlink's own, in every job; the last one in a local run
    assert own < all_set


def test_a_beginning_leaves_all_that_follow() -> None:
    made = flink_settings(Job(leave_to_cluster=("python.fn-execution.*", "pipeline.name")))
    assert not [
        key for key in made if key.startswith("python.fn-execution") or key == "pipeline.name"
    ]
    assert made["table.local-time-zone"] == "UTC"
    assert made["python.map-state.read-cache-size"] == "0"


@pytest.mark.parametrize("entry", ["python.fn-execution", "state.*", "pipeline.object-reuse.*"])
def test_what_the_job_never_sets_is_refused(entry: str) -> None:
    with pytest.raises(UserError, match=r"job.leave_to_cluster has .*which the job never sets"):
        check(job={"leave_to_cluster": [entry]})


def test_what_was_refused_is_left_to_the_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    refused = ["pipeline.object-reuse", "pipeline.name", "execution.runtime-mode"]
    left = main.left_to_cluster(CONFIG, refused)
    assert not {"pipeline.object-reuse", "pipeline.name"} & flink_settings(left.job).keys()
    told = capsys.readouterr().err
    assert told.startswith("warning: the cluster takes no settings of a program")
    assert "pipeline.object-reuse, pipeline.name" in told


def test_what_a_planned_job_does_not_need_is_left_without_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.left_to_cluster(CONFIG, ["__table.query-start.epoch-time__"]) == CONFIG
    assert capsys.readouterr().err == ""


def test_what_pyflink_needs_must_be_allowed() -> None:
    with pytest.raises(UserError, match="refuses pipeline.jars, which PyFlink sets"):
        main.left_to_cluster(CONFIG, ["pipeline.name", "pipeline.jars"])


def test_a_setting_that_was_left_and_is_refused_again_is_not_ours() -> None:
    job = replace(CONFIG.job, leave_to_cluster=("pipeline.name",))
    config: Config = replace(CONFIG, job=job)
    with pytest.raises(UserError, match="refuses pipeline.name, which PyFlink sets"):
        main.left_to_cluster(config, ["pipeline.name"])


def test_the_sessions_zone_must_be_utc(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TZ": "America/New_York"}
    code = (
        "from connectors.flink import table_environment as flink\n"
        "stream, tables = flink.environment({})\n"
        "flink.require_utc(tables)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert "UserError: the cluster's table.local-time-zone is America/New_York" in done.stderr
