"""A dry run judges as the replay would, and contacts nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import schemas
from connectors.errors import UserError
from pipeline.cli import app
from pipeline.ops.replay.run import State, save
from tests.ops.replay.input_data import trips, write
from tests.ops.replay.test_input_tlc import yellow


def dry_run(*arguments: object) -> dict[str, Any]:
    command = ["replay", *map(str, arguments), "--dry-run", "--json"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_the_schemas_are_those_of_the_configuration(tmp_path: Path) -> None:
    pq.write_table(yellow(10), tmp_path / "yellow_tripdata_2018-01.parquet")
    folder = tmp_path / "_schemas"
    folder.mkdir()
    trip = json.loads((Path(schemas.__file__).parent / "trip.avsc").read_text())
    trip["fields"] = [field for field in trip["fields"] if field["name"] != "extra"]
    (folder / "trip.avsc").write_text(json.dumps(trip))
    config = tmp_path / "_config.yaml"
    config.write_text(
        "kafka: {bootstrap_servers: '127.0.0.1:9'}\nsource: {kafka_topics: [a, b]}\n"
        f"archive: {{path: 'file://{tmp_path}/archive'}}\nlake: {{path: 'file://{tmp_path}/lake'}}\n"
        f"dead_letters: {{kafka_topic: dead}}\ndecode: {{schemas: {folder}}}\n"
    )
    shipped, own = dry_run(tmp_path), dry_run(tmp_path, "--config", config)
    assert "extra" not in shipped["columns_left_out"].get("trip", [])
    assert "extra" in own["columns_left_out"]["trip"]
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="_schemas"):
        dry_run(tmp_path, "--config", config)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--config", "/nowhere.yaml"], "/nowhere.yaml: cannot be read"),
        (["--resume"], "leave --resume out"),
        (
            ["--from", "2018-01-02T00:00:00Z", "--until", "2018-01-02T00:00:00Z"],
            "--from 2018-01-02T00:00:00Z is not before --until",
        ),
        (["--archive", "--timestamp-field", "at"], "--timestamp-field is 'at', but archived"),
        (["--archive", "--timestamp-format", "sql"], "--timestamp-format is 'sql', but archived"),
        (["--archive", "--key", "vendor_id"], "--key is 'vendor_id', but archived"),
    ],
)
def test_an_option_that_cannot_hold_is_refused(
    tmp_path: Path, arguments: list[str], why: str
) -> None:
    write(tmp_path / "a.json", trips([1]))
    with pytest.raises(UserError, match=why):
        dry_run(tmp_path, *arguments)


def test_strays_and_the_rounds_that_the_job_accepts_are_reported(tmp_path: Path) -> None:
    far = [-9 * 365 * 86_400, 11 * 365 * 86_400]
    month = range(0, 31 * 86_400, 8_640)
    write(tmp_path / "a.json", trips(sorted([*month, *far])))
    report = dry_run(tmp_path, "--loop", "2", "--speedup", "86400", "--max-wait", "5")
    assert (report["events"], report["strays"]) == (2 * 312, 2)
    (strays,) = report["warnings"]
    assert strays.startswith(
        "stray events: 2, far from all others in time (2009-01-03: 1, 2028-12-29: 1)"
    )
    # Two rounds of 31 days at a day a second, and the waits for three strays, which are cut.
    assert report["seconds"] == pytest.approx(2 * 31 + 3 * 5, abs=1)
    endless = CliRunner().invoke(app, ["replay", str(tmp_path), "--dry-run", "--loop"])
    assert "WARNING: stray events: 2, far from all others" in endless.stdout
    assert "WARNING: the job accepts " in endless.stdout
    assert dry_run(tmp_path)["warnings"] == []


def test_a_selection_of_nothing_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "a.json", trips(range(5)))
    command = ["replay", str(tmp_path), "--dry-run", "--from", "2019-01-01T00:00:00Z"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    assert "NO EVENT is between --from and --until: 5 events and 0 whole files" in done.stdout


def test_a_state_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    state = State(input="", fingerprint="", selection="", targets=())
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        state.resumed(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=r"the state .*/file/state.json cannot be written \("):
        save(tmp_path / "file" / "state.json", state)
