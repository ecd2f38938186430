"""A job that begins anew loses no rows that wait for their file in silence."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.errors import UserError
from connectors.flink.files import COLLECT
from connectors.flink.rest import Cluster, Job
from connectors.flink.savepoint import METADATA, operator_id
from pipeline import fresh, start
from pipeline.cli import app
from pipeline.config.model import Config
from tests.config.test_config import check
from tests.flink_api import answering

GOLDEN = Path(__file__).parent / "data" / "golden"
OLD = sorted(path.parent for path in GOLDEN.glob(f"savepoint-0.[12].*/savepoints/*/{METADATA}"))
DRAINED, KEPT, CHECKPOINT = "Terminate Savepoint", "Suspend Savepoint", "Checkpoint"
JOB = "a" * 32


def taken(folder: Path, kind: str, *uids: str, rows: str = "", at: float = 2e9) -> str:
    """Write the metadata of a snapshot with operators of these uids; return its address."""
    folder.mkdir(parents=True)
    operators = b"-".join([*map(operator_id, uids), rows.encode()])
    metadata = operators + b"..runtime.checkpoint.CheckpointProperties.." + kind.encode()
    (folder / METADATA).write_bytes(metadata)
    os.utime(folder / METADATA, (at, at))
    return f"file://{folder}"


def config(folder: Path, **source: Any) -> Config:
    source = {"kinesis_streams": ["trips"], "kafka_topics": [], **source}
    return check(
        "kafka",
        "index",
        "dead_letters",
        kinesis={"region": "eu-west-1"},
        source=source,
        archive={"path": f"file://{folder}/archive"},
        job={"name": "trips", "checkpoint_dir": f"file://{folder}/checkpoints"},
    )


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with answering({"/jobs/overview": {"jobs": []}}) as url:
        yield Cluster(url)


def ran(folder: Path, *savepoints: str, job_id: str = JOB, at: int = 1) -> None:
    """Remember that a job of the name ran, and took these savepoints."""
    job = Job(job_id, "trips", "FINISHED", at)
    (folder / "checkpoints").mkdir(exist_ok=True)
    for savepoint in savepoints:
        start.remember_savepoint(f"file://{folder}/checkpoints", {}, job, savepoint)


def begin(
    given: Config, cluster: Cluster, choice: start.Choice = "fresh", *, dropping: bool = False
) -> tuple[str, str]:
    return start.savepoint_for(given, cluster, {}, choice, allow_dropped_state=dropping)


@pytest.mark.parametrize(
    ("kind", "uids", "waits"),
    [
        (KEPT, [COLLECT, "decode"], True),
        (CHECKPOINT, [COLLECT], True),
        ("Savepoint", [COLLECT], True),
        (DRAINED, [COLLECT], False),
        (KEPT, ["decode", "lake-files"], False),
    ],
)
def test_rows_wait_in_what_has_the_collector_and_was_not_drained(
    kind: str, uids: list[str], waits: bool, tmp_path: Path
) -> None:
    snapshot = taken(tmp_path / "snapshot", kind, *uids)
    assert fresh.may_wait(snapshot, {}) is waits
    told = fresh.note(snapshot, {})
    assert ("--resume` writes them to the lake, the archive and" in told) is waits
    assert bool(told) is waits


def test_a_record_that_names_the_kind_changes_nothing(tmp_path: Path) -> None:
    """Flink keeps small state in the metadata itself."""
    assert fresh.may_wait(taken(tmp_path / "1", KEPT, COLLECT, rows=DRAINED), {})


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.parts[-3])
def test_none_wait_in_a_savepoint_of_an_earlier_version(old: Path) -> None:
    assert not fresh.may_wait(f"file://{old}", {})


def test_rows_may_wait_in_what_we_cannot_read(tmp_path: Path) -> None:
    assert fresh.may_wait("gs://bucket/savepoint", {})
    assert fresh.may_wait(f"file://{tmp_path}/gone", {})


@pytest.mark.parametrize(
    ("kafka_start", "kinesis_start", "skipping"),
    [
        ("earliest", "", []),
        ("committed", "", ["source.kafka_start committed"]),
        ("latest", "", ["source.kafka_start latest"]),
        ("", "trim_horizon", []),
        ("", "latest", ["source.kinesis_start latest"]),
        ("", "at_timestamp", ["source.kinesis_start at_timestamp"]),
        ("earliest", "latest", ["source.kinesis_start latest"]),
        ("committed", "trim_horizon", ["source.kafka_start committed"]),
    ],
)
def test_which_starts_do_not_read_all_again(
    kafka_start: str, kinesis_start: str, skipping: list[str]
) -> None:
    source: dict[str, Any] = {"kafka_topics": ["trips"] if kafka_start else []}
    if kafka_start:
        source["kafka_start"] = kafka_start
    if kinesis_start:
        source |= {"kinesis_streams": ["s"], "kinesis_start": kinesis_start}
    if kinesis_start == "at_timestamp":
        source["kinesis_start_timestamp"] = "2018-01-01T00:00:00Z"
    given = check(kinesis={"region": "eu-west-1"}, source=source)
    assert fresh.skipping(given.source) == skipping
    told = fresh.repeats(given.source)
    assert len(told) == (2 if kafka_start and kinesis_start else 1)
    assert all("again" in each or "once more" in each or "skipped" in each for each in told)


def test_a_fresh_start_that_would_lose_rows_is_refused(tmp_path: Path, cluster: Cluster) -> None:
    snapshot = taken(tmp_path / "savepoints" / "1", KEPT, COLLECT)
    ran(tmp_path, snapshot)
    given = config(tmp_path, kinesis_start="latest")
    with pytest.raises(UserError) as raised:
        begin(given, cluster)
    for words in (
        f"the snapshot {snapshot} of 2033",
        "not taken by `stop --drain`",
        "with source.kinesis_start latest a fresh start does not read them again",
        "Give --resume, which writes them",
        "--fresh --allow-dropped-state",
    ):
        assert words in str(raised.value)
    with pytest.raises(UserError, match="--resume: go on .*--fresh --allow-dropped-state: begin"):
        begin(given, cluster, "")
    assert begin(given, cluster, "resume")[0] == snapshot
    told = f"rows that may wait in {snapshot} to be written to files are given up"
    assert begin(given, cluster, dropping=True) == ("", told)


def test_one_that_reads_all_again_is_not(tmp_path: Path, cluster: Cluster) -> None:
    snapshot = taken(tmp_path / "checkpoints" / JOB / "chk-7", CHECKPOINT, COLLECT)
    ran(tmp_path, snapshot)
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "file").touch()
    savepoint, told = begin(config(tmp_path), cluster)
    assert savepoint == ""
    assert told.startswith("all records that the source still has are written once more; rows")
    assert "are lost if the source has them no more (data below archive.path" in told
    with pytest.raises(UserError, match="--fresh: begin anew; all records"):
        begin(config(tmp_path), cluster, "")


def test_a_drained_job_begins_anew(tmp_path: Path, cluster: Cluster) -> None:
    taken(tmp_path / "checkpoints" / JOB / "chk-7", CHECKPOINT, COLLECT, at=1e9)
    ran(tmp_path, taken(tmp_path / "savepoints" / "1", DRAINED, COLLECT))
    given = config(tmp_path, kinesis_start="latest")
    assert begin(given, cluster) == ("", "")
    with pytest.raises(UserError, match="--fresh: begin anew\\.$"):
        begin(given, cluster, "")


def test_rows_wait_also_where_the_newest_run_left_nothing(tmp_path: Path, cluster: Cluster) -> None:
    """It went on from them, and ended before its first checkpoint."""
    snapshot = taken(tmp_path / "savepoints" / "1", KEPT, COLLECT)
    ran(tmp_path, snapshot)
    ran(tmp_path, f"file://{tmp_path}/gone", job_id="b" * 32, at=2)
    with pytest.raises(UserError, match=f"{snapshot} of 2033.* Give --savepoint {snapshot}, "):
        begin(config(tmp_path, kinesis_start="latest"), cluster)


def test_without_a_known_snapshot_the_loss_is_told(tmp_path: Path, cluster: Cluster) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "file").touch()
    _, told = begin(config(tmp_path, kinesis_start="latest"), cluster)
    assert "rows that the last run still collected for files, if any, are lost (data" in told
    assert "lost" not in begin(config(tmp_path), cluster)[1]


@pytest.mark.parametrize(("kind", "waits"), [(KEPT, True), (DRAINED, False)])
def test_stop_tells_that_rows_wait(
    kind: str, waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    savepoint = taken(tmp_path / "savepoints" / "1", kind, COLLECT)
    path = f"/jobs/{JOB}"
    job = {"jid": JOB, "name": "trips", "state": "RUNNING", "start-time": 1}
    checkpoint = {"external_path": f"file://{tmp_path}/checkpoints/{JOB}/chk-1"}
    answers = {
        "/jobs/overview": {"jobs": [job]},
        path: {**job, "vertices": [{"status": "RUNNING"}]},
        f"{path}/checkpoints": {"latest": {"completed": checkpoint}},
        f"{path}/stop": {"request-id": "r"},
        f"{path}/savepoints/r": {
            "status": {"id": "COMPLETED"},
            "operation": {"location": savepoint},
        },
    }
    (tmp_path / "checkpoints").mkdir()
    with answering(answers) as url:
        monkeypatch.setenv("FLINK_REST_URL", url)
        command = ["stop", "--into", f"file://{tmp_path}/savepoints", "--json"]
        done = CliRunner().invoke(app, command)
    assert json.loads(done.stdout) == {"savepoint": savepoint}
    note = f"note: {fresh.note(savepoint, {})}\n" if waits else ""
    assert done.stderr == note
