"""Drafts of schemas from sample events: roles, fields that are left out, and the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from pipeline.ops.infer.drafter import Roles, infer
from pipeline.ops.infer.seen import read
from tests.ops.drafts import BASE, NOW, drafted, kind, loads


def test_roles_that_are_plain_are_decided(tmp_path: Path) -> None:
    draft = drafted({}, {})
    assert [draft.schema[key] for key in ("eventType", "id", "eventTime", "versionTime")] == [
        *("reading", "reading_id", "at", "at")
    ]
    assert draft.schema["partitionBy"] == [{"name": "day", "from": "at", "transform": "day"}]
    assert [each["name"] for each in draft.schema["fields"]] == ["type", "reading_id", "at"]
    assert not any(note.startswith("type:") for note in draft.notes)
    loads(draft, tmp_path)


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([{"at": BASE["at"]}], "such as `event_type: reading`; see docs/event-types.md"),
        ([{"at": BASE["at"], "what": "reading"}] * 2, "such as `event_type_field: what`"),
        ([{**BASE}, {"at": BASE["at"]}], "not reading in all events: say in the section source"),
        ([{**BASE, "type": 7}], "not reading in all events"),
    ],
)
def test_how_the_type_is_told_is_said(events: list[dict[str, Any]], told: str) -> None:
    draft = infer(events, Roles("reading"), NOW)
    (note,) = [each for each in draft.notes if each.startswith("type: not")]
    assert told in note
    assert (kind(draft, "type") is None) == all("type" not in event for event in events)


@pytest.mark.parametrize(
    ("values", "name", "why"),
    [
        ([{}], "f", "empty in all events, so what it has is not known"),
        ([[]], "f", "empty in all events, so the type of its items is not known"),
        ([None], "f", "null in all events"),
        ([{"a": None}], "f", "the type of none of its fields is known"),
        ([1], "device-id", "a field's name is like"),
        ([1], "source_topic", "none of the job's columns"),
        ([1], "Source_Topic", "none of the job's columns"),
        ([1], "AT", "differs in case alone"),
        ([1], "x" * 129, "a field's name is like"),
    ],
)
def test_what_is_left_out_is_told(values: list[Any], name: str, why: str) -> None:
    draft = drafted(*({name: value} for value in values))
    assert kind(draft, name) is None
    start = f"{name[:30]}"
    (note,) = [
        n for n in draft.notes if n.startswith(start) and ": left" in n and f"{name}." not in n
    ]
    assert why in note


@pytest.mark.parametrize("name", ["deviceId", "from", "class", "x" * 128])
def test_names_of_fields(name: str, tmp_path: Path) -> None:
    draft = drafted({name: 1})
    assert kind(draft, name) == "int"
    loads(draft, tmp_path)


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
    assert kind(infer(events, Roles(), NOW), "id") == "long"


def test_the_partition_s_name_is_free() -> None:
    draft = drafted({"day": 1, "day_2": 1})
    assert draft.schema["partitionBy"][0]["name"] == "day_3"


def test_an_id_that_is_too_long_is_told() -> None:
    events = [{**BASE, "reading_id": "x" * 9000}]
    draft = infer(events, Roles(), NOW)
    assert any("more than 512 bytes" in note for note in draft.notes)


def test_ids_of_several_fields(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [
        {**BASE, "device": n % 2, "seq": n // 2, "on": bool(n % 2)} for n in range(4)
    ]
    draft = infer(events, Roles(id=("device", "seq", "at", "on")), NOW)
    assert draft.schema["id"] == ["device", "seq", "at", "on"]
    assert (kind(draft, "device"), kind(draft, "seq")) == ("int", "int")
    assert not any(note.startswith("id:") for note in draft.notes)
    loads(draft, tmp_path)
    twice = infer(events, Roles(id=("device", "at")), NOW)
    assert "id: device, at has one value twice: later ones replace earlier ones" in twice.notes


def test_a_uuid_is_an_id(tmp_path: Path) -> None:
    events = [
        {"at": BASE["at"], "eventId": f"123e4567-e89b-12d3-a456-42661417400{n}"} for n in range(3)
    ]
    draft = infer(events, Roles("reading"), NOW)
    assert draft.schema["id"] == "eventId"
    assert kind(draft, "eventId") == {"type": "string", "logicalType": "uuid"}
    loads(draft, tmp_path)


@pytest.mark.parametrize("time", ["2026-01-01T00:00:00.000001Z", 1_767_225_600, 1_767_225_600_000])
def test_the_event_time_may_be_any_timestamp(time: Any, tmp_path: Path) -> None:
    draft = drafted({"at": time})
    assert (draft.schema["eventTime"], draft.schema["versionTime"]) == ("at", "at")
    loads(draft, tmp_path)


def test_doubts_are_told(tmp_path: Path) -> None:
    draft = drafted({"until": BASE["at"]}, {"until": BASE["at"], "reading_id": "r-0"})
    told = "\n".join(draft.notes)
    assert "id: left out: each record would be a document, by its position" in told
    assert "eventTime: not decided; give --event-time: at, until" in told
    assert [draft.schema[key] for key in ("eventTime", "partitionBy")] == [None] * 2
    assert "id" not in draft.schema and "versionTime" not in draft.schema
    positions = drafted({}, {"reading_id": "r-0"})
    assert "versionTime" not in positions.schema
    loads(positions, tmp_path)
    given = drafted({"until": BASE["at"]}, roles=Roles("", ("reading_id",), "until", "at"))
    assert (given.schema["eventTime"], given.schema["versionTime"]) == ("until", "at")
    few = drafted(*({"flag": "YN"[n % 2]} for n in range(40)))
    assert "flag: only Y, N: consider enum" in few.notes


@pytest.mark.parametrize(
    ("roles", "why"),
    [
        (Roles(id=("at",)), "--id is 'at'; give a field of text or integers"),
        (Roles(id=("x",)), "--id is 'x'.* reading_id"),
        (Roles(id=("reading_id", "x")), "--id is 'x'.* reading_id"),
        (Roles(id=("reading_id",) * 2), "--id is reading_id, reading_id; give different fields"),
        (Roles(event_time="reading_id"), "--event-time is 'reading_id'; .* at"),
        (Roles(version_time="x"), "--version-time is 'x'"),
        (Roles(event_type="A b"), "the event type is 'A b'; give --type"),
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
    assert len(read(lines, "told otherwise").events) == 3
    with pytest.raises(UserError, match="no event of that type"):
        infer(read(lines[3:], "").events, Roles())
