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
