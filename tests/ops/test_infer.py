"""Drafts of schemas from sample events: types, roles, fields that are left out, and notes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.errors import UserError
from pipeline.cli import app
from pipeline.decode.decoder import Decoder, Event
from pipeline.events.event_types import load
from pipeline.ops.infer import TIME, Draft, Roles, infer, judged, read, text
from tests.decode.corpus import NOW, VALID

BASE = {"type": "reading", "reading_id": "r-1", "at": "2026-01-01T00:00:00Z"}


def drafted(*changes: dict[str, Any], roles: Roles | None = None) -> Draft:
    events = [{**BASE, "reading_id": f"r-{n}", **change} for n, change in enumerate(changes)]
    return infer(events, roles or Roles())


def kind(draft: Draft, name: str) -> Any:
    return next((each["type"] for each in draft.schema["fields"] if each["name"] == name), None)


def test_roles_that_are_plain_are_decided() -> None:
    draft = drafted({}, {})
    assert [draft.schema[key] for key in ("eventType", "id", "eventTime", "versionTime")] == [
        *("reading", "reading_id", "at", "at")
    ]
    assert draft.schema["partitionBy"] == [{"name": "day", "from": "at", "transform": "day"}]
    assert draft.schema["fields"][0] == {
        "name": "type", "type": "string", "doc": "Always reading."
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, -5], "int"),
        ([1, 2**31], "long"),
        ([1, 1.5], "double"),
        ([1.5], "double"),
        ([True, False], "boolean"),
        (["a", ""], "string"),
        (["2018-01-01T00:00:00Z", "2018-01-01T00:00:00.5-05:00"], TIME),
        (["2018-01-01T00:00:00Z", "2018-01-01 00:00:00"], "string"),
        ([None, 1], ["null", "int"]),
        (["x", None], ["null", "string"]),
        ([None, "2018-01-01T00:00:00Z"], ["null", TIME]),
    ],
)
def test_kinds_are_tight(values: list[Any], expected: Any) -> None:
    assert kind(drafted(*({"f": value} for value in values)), "f") == expected


@pytest.mark.parametrize(
    ("values", "name", "why"),
    [
        ([{"a": 1}], "f", "an object, which a schema cannot have yet"),
        ([[1]], "f", "an array"),
        ([1, "x"], "f", "both integer and text"),
        ([True, 1], "f", "both boolean and integer"),
        ([None], "f", "null in all events"),
        ([2**63], "f", "no integer of 64 bits"),
        ([1], "deviceId", "a field's name is like"),
        ([1], "source_topic", "none of the job's columns"),
        ([1], "from", "a field's name is like"),
        ([1], "x" * 129, "a field's name is like"),
    ],
)
def test_what_is_left_out_is_told(values: list[Any], name: str, why: str) -> None:
    draft = drafted(*({name: value} for value in values))
    assert kind(draft, name) is None
    (note,) = [note for note in draft.notes if note.startswith(f"{name[:30]}")]
    assert "left out" in note and why in note


def test_a_field_that_is_missing_somewhere_has_null_as_default() -> None:
    draft = drafted({"f": 1}, {}, {})
    (declared,) = [each for each in draft.schema["fields"] if each["name"] == "f"]
    assert (declared["type"], declared["default"]) == (["null", "int"], None)
    assert "f: missing in 2 of 3: null there" in draft.notes


def test_examples_are_in_the_doc() -> None:
    draft = drafted(*({"f": value} for value in (5, 7, 5, 9, 11)))
    assert "Seen: 5, 7, 9." in next(e["doc"] for e in draft.schema["fields"] if e["name"] == "f")


def test_an_integer_id_is_a_long() -> None:
    events = [{"type": "t", "id": n, "at": BASE["at"]} for n in range(3)]
    assert kind(infer(events, Roles()), "id") == "long"


def test_the_partition_s_name_is_free() -> None:
    draft = drafted({"day": 1, "day_2": 1})
    assert draft.schema["partitionBy"][0]["name"] == "day_3"


def test_an_id_that_is_too_long_is_told() -> None:
    events = [{**BASE, "reading_id": "x" * 9000}]
    draft = infer(events, Roles())
    assert any("more than 512 bytes" in note for note in draft.notes)
    assert judged(draft, [json.dumps(events[0]).encode()])[0] == "the draft accepts 0 of 1 events"


def test_a_draft_that_is_no_schema_is_told() -> None:
    draft = drafted({})
    draft.schema["version"] = 0
    (told,) = judged(draft, [])
    assert told.startswith("no schema yet: version: 0 isn't allowed")


def test_doubts_are_told() -> None:
    draft = drafted({"until": BASE["at"]}, {"until": BASE["at"], "reading_id": "r-0"})
    told = "\n".join(draft.notes)
    assert "id: not decided; give --id: no field is unique" in told
    assert "eventTime: not decided; give --event-time: at, until" in told
    assert [draft.schema[key] for key in ("id", "eventTime", "partitionBy")] == [None] * 3
    given = drafted({"until": BASE["at"]}, roles=Roles("", "reading_id", "until", "at"))
    assert (given.schema["eventTime"], given.schema["versionTime"]) == ("until", "at")
    few = drafted(*({"flag": "YN"[n % 2]} for n in range(40)))
    assert "flag: only Y, N: consider enum" in few.notes


@pytest.mark.parametrize(
    ("roles", "why"),
    [
        (Roles(id="at"), "--id is 'at'; give a field of text or integers"),
        (Roles(id="x"), "--id is 'x'.* reading_id"),
        (Roles(event_time="reading_id"), "--event-time is 'reading_id'; .* at"),
        (Roles(version_time="x"), "--version-time is 'x'"),
        (Roles(event_type="A b"), "the event type is 'A b'; give --type"),
        (Roles(event_type="watermark"), "the event type is 'watermark'"),
    ],
)
def test_a_role_that_cannot_be_is_refused(roles: Roles, why: str) -> None:
    with pytest.raises(UserError, match=why):
        drafted({}, {}, roles=roles)


def test_types_and_lines_of_the_sample() -> None:
    lines = [b'{"type":"a"}', b'{"type":"b","n":1}', b"{}", b"nonsense", b"[]", b'{"n":NaN}']
    with pytest.raises(UserError, match="the types a, b; give one as --type"):
        read(lines, "")
    assert read(lines, "b") == ([{"type": "b", "n": 1}, {}], [lines[1], b"{}"], 3)
    with pytest.raises(UserError, match="no event of that type"):
        infer(read(lines[3:], "").events, Roles())


@pytest.mark.parametrize("name", list(VALID))
def test_a_draft_of_our_own_events_decodes_them(name: str, tmp_path: Path) -> None:
    roles = Roles("", "trip_id", "pickup_datetime", "dropoff_datetime")
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


def test_a_sample_without_a_type_says_what_would_be_rejected(tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text('{"id": "1", "at": "2026-01-01T00:00:00Z"}\n')
    result = CliRunner().invoke(app, ["schemas", "infer", str(sample), "--type", "reading"])
    assert result.exit_code == 0, result.output
    assert "type: no event has it: the sender must add it" in result.stderr
    assert "the draft accepts 0 of 1 events" in result.stderr
    assert "rejected 1 as missing_field" in result.stderr
    undecided = CliRunner().invoke(app, ["schemas", "infer", str(sample)])
    assert undecided.exit_code == 1 and "give --type" in str(undecided.exception)


def test_a_sample_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schemas", "infer", str(tmp_path / "x")])
    assert isinstance(result.exception, UserError) and "cannot be read" in str(result.exception)
