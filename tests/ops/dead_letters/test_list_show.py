"""`dead-letters list` and `show` on each back end."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from connectors.errors import UserError
from pipeline.decode.reasons import REASONS
from tests.ops.dead_letters.harness import ARRIVED, BackEnd, Case, DeadRecord, Servers

ODD = b'{"type":"trip"\x1b[31m\n' + bytes([0xFF])


@pytest.fixture(params=["s3", "kafka", "kinesis"])
def case(request: pytest.FixtureRequest, servers: Servers) -> Case:
    back_end: BackEnd = request.param
    made = servers.case(back_end)
    later = ARRIVED + timedelta(hours=2)
    first = DeadRecord(raw=ODD, key=b"7", position=made.position(1), reason="truncated_json")
    detail = "replica airport: 1234567 bytes"
    made.write(
        [
            first,
            first,
            DeadRecord(
                raw=b"[]", position=made.position(2), reason="truncated_json", arrived=later
            ),
            DeadRecord(raw=b"{}", position=made.position(3), step="index", reason="index_rejected"),
            DeadRecord(
                raw=b"{}",
                position=made.position(3),
                step="replicate",
                reason="replica_too_large",
                detail=detail,
            ),
        ]
    )
    return made


def test_they_are_counted_and_shown(case: Case) -> None:
    case.json("redrive", "--reason", "truncated_json", "--limit", "1")
    found = case.json("list")
    assert [(one["reason"], one["count"], one["distinct"], one["redriven"]) for one in found] == [
        ("truncated_json", 3, 2, 1),
        ("index_rejected", 1, 1, 0),
        ("replica_too_large", 1, 1, 0),
    ]
    assert found[0] | {"samples": sorted(found[0]["samples"])} == {
        "reason": "truncated_json",
        "step": "decode",
        "type": "trip",
        "count": 3,
        "distinct": 2,
        "redriven": 1,
        "first": "2026-03-01T05:30:00.000Z",
        "last": "2026-03-01T07:30:00.000Z",
        "samples": [f"{case.name}/0/1", f"{case.name}/0/2"],
    }
    plain = case.run("list", "--step", "index").stdout
    assert plain.rstrip("\n").split("\t") == [
        *("index_rejected", "index", "trip", "1", "1", "0"),
        *("2026-03-01T05:30:00.000Z", "2026-03-01T05:30:00.000Z", f"{case.name}/0/3"),
    ]

    [shown] = case.json("show", f"{case.name}/0/1")
    assert shown["position"] == f"{case.name}/0/1"
    assert shown["meaning"] == REASONS["truncated_json"].meaning
    assert shown["arrival_time"] == "2026-03-01T05:30:00.000Z"
    assert base64.b64decode(shown["raw_base64"]) == ODD
    assert base64.b64decode(shown["key_base64"]) == b"7"

    text = case.run("show", f"{case.name}/0/1").stdout
    assert f"action: {REASONS['truncated_json'].action}" in text
    assert 'raw: {"type":"trip"\\x1b[31m\\n\\xff' in text
    assert case.run("show", f"{case.name}/0/1", "--raw").stdout_bytes == ODD
    steps = [one["step"] for one in case.json("show", f"{case.name}/0/3")]
    assert sorted(steps) == ["index", "replicate"]
    [one] = case.json("show", f"{case.name}/0/3", "--step", "replicate")
    assert one["replica"] == "airport"
    assert case.run("show", f"{case.name}/0/9").exit_code == 1


def test_a_large_one_is_shown_whole_on_demand_only(servers: Servers) -> None:
    case = servers.case("kafka")
    whole = DeadRecord(raw=b"w" * 50_000, position=case.position(1), is_large=True)
    case.write([whole])
    [shown] = case.json("show", f"{case.name}/0/1")
    assert (shown["is_head"], shown["bytes"], len(shown["raw"])) == (True, 50_000, 1_000)
    assert "(the first 1,000 bytes; --raw has all)" in case.run("show", f"{case.name}/0/1").stdout
    assert case.run("show", f"{case.name}/0/1", "--raw").stdout_bytes == whole.raw
    case.replace_whole(whole, None)
    result = case.run("show", f"{case.name}/0/1", "--raw")
    assert "is not on S3" in str(result.exception)


@pytest.mark.parametrize("back_end", ["s3", "kafka", "kinesis"])
def test_headers_are_shown_as_text(servers: Servers, back_end: BackEnd) -> None:
    case = servers.case(back_end)
    own = (("a", b"1"), ("\x1b", b"\x1b\xff"), ("a", None))
    case.write([DeadRecord(raw=b"{", position=case.position(1), headers=own)])
    lines = case.run("show", f"{case.name}/0/1").stdout.splitlines()
    shown = ["header a (1 bytes): 1", "header \\x1b (2 bytes): \\x1b\\xff", "header a: none"]
    assert [line for line in lines if line.startswith("header ")] == shown
    [found] = case.json("show", f"{case.name}/0/1")
    assert found["headers"] == [
        {"name": "a", "value_base64": "MQ=="},
        {"name": "\x1b", "value_base64": "G/8="},
        {"name": "a", "value_base64": None},
    ]


def test_no_dead_letters_at_all(servers: Servers) -> None:
    case = servers.case("s3")
    assert case.json("list") == []
    assert case.run("list").stdout == "there are no dead letters\n"
    config = case.config()
    del config["dead_letters"], config["replicate"]
    case.configure(config)
    result = case.run("list")
    assert isinstance(result.exception, UserError)
    assert "no section dead_letters" in str(result.exception)
