"""The plan: one scan, one decode, one index call; every sink can be left out; names are stable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline import load_config, plan
from pipeline.config import Config
from pipeline.event_types import EventTypes, load

ROOT = Path(__file__).parents[2]
SECTIONS: dict[str, dict[str, Any]] = {
    "source": {"kafka_bootstrap_servers": "127.0.0.1:1", "kafka_topics": ["a", "b"]},
    "archive": {"path": "s3a://bucket/archive"},
    "lake": {"path": "s3a://bucket/lake"},
    "index": {"url": "http://127.0.0.1:1"},
    "dead_letters": {"kafka_topic": "dead"},
}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def types() -> EventTypes:
    return load(ROOT / "schemas")


def config(*without: str, **changed: dict[str, Any]) -> Config:
    kept = {name: keys for name, keys in SECTIONS.items() if name not in without}
    return load_config.check({**kept, **changed}, where="test")


def test_source_decode_and_index_stand_in_the_plan_once(types: EventTypes) -> None:
    text = plan.explain(config(), types)
    assert text.count("TableSourceScan(") == 1
    assert text.count("decode_step(") == 1
    assert text.count("index_step(") == 1
    assert len(re.findall(r"TableSourceScan.*\(reuse_id=\[\d+\]\)", text)) == 1
    assert len(re.findall(r"PythonCalc.*decode_step.*\(reuse_id=\[\d+\]\)", text)) == 1


def test_only_events_are_given_to_the_index(types: EventTypes) -> None:
    lines = plan.explain(config(), types).splitlines()
    below = lines[next(i for i, line in enumerate(lines) if "index_step(" in line) + 1]
    assert "where=[(d.kind = 'event')]" in below


@pytest.mark.parametrize("without", ["archive", "lake", "index", "dead_letters"])
def test_every_sink_can_be_left_out(types: EventTypes, without: str) -> None:
    names = plan.step_names(config(without), types)
    assert not [name for name in names if name.split("-")[0].startswith(without)]
    assert "records" in names


def test_operator_names_are_our_step_names(types: EventTypes) -> None:
    names = plan.step_names(config(), types)
    assert len(names) == len(set(names))
    expected = {"records", "archive", "decode", "index", "dead_letters"}
    assert expected | {f"lake_{name}" for name in types.names} <= set(names)


def test_a_fourth_event_type_renames_no_operator(types: EventTypes, tmp_path: Path) -> None:
    for path in (ROOT / "schemas").glob("*.avsc"):
        (tmp_path / path.name).write_text(path.read_text())
    scooter = (ROOT / "schemas" / "fhv_trip.avsc").read_text().replace("fhv_trip", "scooter_trip")
    (tmp_path / "scooter_trip.avsc").write_text(scooter)
    before, after = plan.step_names(config(), types), plan.step_names(config(), load(tmp_path))
    assert set(before) < set(after)
    assert {name.split("-")[0] for name in set(after) - set(before)} == {"lake_scooter_trip"}


def test_dead_letters_on_s3_and_unknown_fields_kept(types: EventTypes) -> None:
    changed = config(
        decode={"unknown_fields": "keep"}, dead_letters={"path": "s3a://bucket/dead-letters"}
    )
    text = plan.explain(changed, types)
    assert "d.unknown_fields AS unknown_fields" in text
    assert text.count("decode_step(") == 1
