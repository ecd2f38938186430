"""On the managed service: groups are typed, unknown ones refused, the platform's settings left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from pipeline.config import load as load_config
from pipeline.config.flink_settings import flink_settings
from pipeline.config.model import PLATFORM_KEYS, Config

GROUPS = {
    "kinesis.analytics.flink.run.options": {"python": "main.py"},
    "kinesis": {"region": "eu-west-1"},
    "source": {"kinesis_streams": "trips"},
    "lake": {"path": "s3a://bucket/lake"},
    "dead_letters": {"path": "s3a://bucket/dead-letters"},
}
NOT_OURS = ("execution.checkpointing", "parallelism", "restart-strategy", "state.", "taskmanager")


def loaded(folder: Path, **changed: Mapping[str, str]) -> Config:
    """The configuration of these groups, read from a file as the platform writes it."""
    groups = {**GROUPS, **changed}
    plain = [{"PropertyGroupId": name, "PropertyMap": each} for name, each in groups.items()]
    return read(folder, json.dumps(plain))


def read(folder: Path, text: str) -> Config:
    path = folder / "application_properties.json"
    path.write_text(text)
    return load_config.load_property_groups(path)


def test_no_checkpoint_parallelism_or_restart_setting_is_made(tmp_path: Path) -> None:
    job = loaded(tmp_path, job={"name": "trips", "bundle_records": "500"}).job
    assert job.bundle_records == 500
    made = flink_settings(job)
    assert [key for key in made if key.startswith(NOT_OURS)] == []
    assert made["pipeline.name"] == "trips"


def test_a_file_of_ours_still_makes_them() -> None:
    made = flink_settings(load_config.load(Path(__file__).parents[2] / "conf" / "local.yaml").job)
    assert made["execution.checkpointing.interval"] == "10000 ms"
    assert made["execution.checkpointing.min-pause"] == "5000 ms"
    assert made["execution.checkpointing.timeout"] == "300000 ms"
    retention = made["execution.checkpointing.externalized-checkpoint-retention"]
    assert retention == "RETAIN_ON_CANCELLATION"


@pytest.mark.parametrize("key", PLATFORM_KEYS)
def test_what_belongs_to_the_platform_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"job.{key} is .*the managed service sets"):
        loaded(tmp_path, job={key: "7"})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"lakes": {"path": "s3a://bucket/l"}}, "lakes is unknown; did you mean `lake`"),
        ({"source": {"kinesis_stream": "trips"}}, "did you mean `kinesis_streams`"),
        ({"lake": {"path": "s3a://bucket/l", "success_file": "perhaps"}}, "the value is 'perhaps'"),
        ({"decode": {"max_record_bytes": "many"}}, "the value is 'many'"),
    ],
)
def test_what_is_unknown_or_of_another_type_is_refused(
    changed: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        loaded(tmp_path, **changed)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON in UTF-8: Expecting property name"),
        ('{"a": 1}', "is not a list of property groups: Expected `array`"),
        ('[{"PropertyGroupId": "lake", "PropertyMap": {"path": 1}}]', "Expected `str`"),
        ('[{"PropertyGroupId":"a","PropertyMap":{}},{"PropertyGroupId":"a","PropertyMap":{}}]',
         "group a occurs 2 times"),
    ],
)  # fmt: skip
def test_a_file_that_holds_something_else_is_told(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        read(tmp_path, text)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read .*elsewhere pass a file with --config"):
        load_config.load_property_groups(tmp_path / "none.json")
