"""Drafts of schemas decode the events that they are made of; the command says how many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.errors import UserError
from pipeline.cli import app
from pipeline.decode.decoder import Decoder, Event
from pipeline.events.event_types import load
from pipeline.ops.infer.drafter import Roles, infer, text
from pipeline.ops.infer.judge import judged
from tests.decode.corpus import NOW, VALID
from tests.ops.drafts import BASE, drafted


def test_an_id_that_is_too_long_is_rejected() -> None:
    event = {**BASE, "reading_id": "x" * 9000}
    draft = infer([event], Roles())
    assert judged(draft, [json.dumps(event).encode()])[0] == "the draft accepts 0 of 1 events"


def test_a_draft_that_is_no_schema_is_told() -> None:
    draft = drafted({})
    draft.schema["version"] = 0
    (told,) = judged(draft, [])
    assert told.startswith("no schema yet: version: 0 isn't allowed")


@pytest.mark.parametrize("name", list(VALID))
def test_a_draft_of_our_own_events_decodes_them(name: str, tmp_path: Path) -> None:
    roles = Roles("", ("trip_id",), "pickup_datetime", "dropoff_datetime")
    known = {key: value for key, value in json.loads(VALID[name]).items() if value is not None}
    (tmp_path / f"{name}.avsc").write_text(text(infer([known], roles).schema))
    outcome = Decoder(load(tmp_path), now=lambda: NOW).decode(json.dumps(known).encode())
    assert isinstance(outcome, Event), outcome


def test_the_command(tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    events = [{**BASE, "reading_id": f"r-{n}", "value": n / 2} for n in range(5)]
    lines = [*map(json.dumps, events), "", "nonsense", json.dumps({**BASE, "reading_id": "r-9"})]
    sample.write_text("\n".join(lines))
    result = CliRunner().invoke(app, ["schemas", "infer", str(sample)])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["eventType"] == "reading"
    assert "left out: 1 line without a JSON object" in result.stderr
    assert "the draft accepts 6 of 6 events" in result.stderr
    as_json = CliRunner().invoke(app, ["schemas", "infer", str(sample), "--json"])
    assert json.loads(as_json.stdout)["schema"] == json.loads(result.stdout)
    (tmp_path / "drafts").mkdir()
    (tmp_path / "drafts" / "reading.avsc").write_text(result.stdout)
    assert load(tmp_path / "drafts").names == ("reading",)


def test_a_sample_without_a_type(tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text('{"id": "1", "at": "2026-01-01T00:00:00Z"}\n')
    result = CliRunner().invoke(app, ["schemas", "infer", str(sample), "--type", "reading"])
    assert result.exit_code == 0, result.output
    told = "which type they are, such as `event_type: reading`"
    assert told in result.stderr
    undecided = CliRunner().invoke(app, ["schemas", "infer", str(sample)])
    assert undecided.exit_code == 1 and "give --type" in str(undecided.exception)


def test_ids_are_given_one_by_one(tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text(json.dumps({**BASE, "n": 1}))
    options = ["--id", "reading_id", "--id", "n"]
    result = CliRunner().invoke(app, ["schemas", "infer", str(sample), *options])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["id"] == ["reading_id", "n"]


def test_a_sample_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schemas", "infer", str(tmp_path / "x")])
    assert isinstance(result.exception, UserError) and "cannot be read" in str(result.exception)
