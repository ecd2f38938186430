"""The rules that need no server."""

from __future__ import annotations

import hashlib
import hmac
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from connectors.errors import UserError
from connectors.positions import Position
from connectors.s3.store import open_store
from pipeline.cli import app
from pipeline.config import load as load_config
from pipeline.ops.dead_letters.groups import groups
from pipeline.ops.dead_letters.letter import Letter, chosen_by, escaped
from pipeline.ops.dead_letters.reader import read_letters, read_whole
from pipeline.ops.dead_letters.redrive import Pace, default_rate
from pipeline.ops.dead_letters.redrive_log import StoredLog
from pipeline.ops.dead_letters.senders import _HEADERS_BYTES, headers_of
from pipeline.ops.systems import Systems
from tests import python_typed

KAFKA = Position("trips", 2, 17)
KINESIS = Position(stream="trips", shard="shardId-000000000001", sequence_number="49")


def letter(**changes: Any) -> Letter:
    made = Letter(
        raw=b"{}",
        key=None,
        step="decode",
        reason="missing_field",
        detail="",
        position=KAFKA,
        arrival_ms=1_000,
        event_type="trip",
        schema_version=1,
        raw_bytes=2,
        sha256="",
        full_record="",
        place="dead/0/1",
    )
    return replace(made, **changes)


def test_copies_are_one_and_everything_else_is_another() -> None:
    detail = "replica {}: 5 bytes"
    different = [
        letter(),
        letter(step="index"),
        letter(step="replicate", detail=detail.format("airport")),
        letter(step="replicate", detail=detail.format("all")),
        letter(position=KAFKA._replace(offset=18)),
        letter(position=KINESIS),
        letter(position=KINESIS, raw=b"the other part"),
        letter(position=KINESIS, raw=None),
        letter(position=KINESIS, raw=b""),
    ]
    assert len({one.digest for one in different}) == len(different)
    copy = letter(place="dead/1/9", reason="wrong_type", detail="another detail")
    assert copy.identity == letter().identity


def test_a_large_one_is_known_by_its_whole() -> None:
    head = letter(raw=b"{", full_record="s3a://bucket/f", raw_bytes=2)
    from_hash = replace(head, sha256=SHA256)
    assert from_hash.identity == letter().identity


SHA256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of {}


def test_headers_name_the_step_to_repeat_and_are_signed() -> None:
    unsigned = {"redrive_step": b"decode", "redrive_position": b"trips/2/17"}
    assert headers_of(letter(), "") == headers_of(letter(), KEY) == unsigned
    refused = headers_of(letter(step="replicate", detail="replica airport: 5 bytes"), KEY)
    assert refused.pop("redrive_signature") == SIGNATURE
    assert refused == {
        "redrive_step": b"replicate",
        "redrive_position": b"trips/2/17",
        "redrive_replica": b"airport",
    }
    assert headers_of(letter(step="index"), KEY)["redrive_replica"] == b""


KEY = "k" * 32
SIGNATURE = (
    hmac.new(
        KEY.encode(),
        b"".join(
            len(part).to_bytes(8, "big") + part
            for part in (
                b"streaming-etl redrive 1",
                b"trips/2/17",
                b"replicate",
                b"airport",
                hashlib.sha256(b"{}").hexdigest().encode(),
            )
        ),
        "sha256",
    )
    .hexdigest()
    .encode()
)
"""Written out: signatures of released versions must stay good."""


def test_the_longest_headers_fit_into_what_is_reserved_for_them() -> None:
    longest = Position("t" * 249, 2**31 - 1, 2**63 - 1)
    refused = letter(step="replicate", detail=f"replica {'r' * 32}: 5 bytes", position=longest)
    headers = headers_of(refused, KEY)
    assert len(headers) == 4
    varints = 2 * 5 * len(headers)  # the length of each name and value
    assert sum(map(len, (*headers, *headers.values()))) + varints <= _HEADERS_BYTES


def test_positions_as_text() -> None:
    assert letter().where == "trips/2/17"
    assert letter().partition == "trips/2"
    assert letter(position=KINESIS).where == "trips/shardId-000000000001/49"
    assert letter(position=Position()).where == ""
    for bad in ("trips", "trips/1", "trips/1/", "a/b/c/d"):
        refused = CliRunner().invoke(app, ["dead-letters", "show", bad])
        assert isinstance(refused.exception, UserError)
        assert "is not a position" in str(refused.exception)


@pytest.mark.parametrize(
    ("options", "matches"),
    [
        ({}, True),
        ({"steps": ["index", "decode"]}, True),
        ({"steps": ["index"]}, False),
        ({"reasons": ["missing_field"]}, True),
        ({"reasons": ["wrong_type"]}, False),
        ({"event_types": ["green_trip"]}, False),
        ({"partitions": ["trips/2"]}, True),
        ({"partitions": ["trips/1"]}, False),
        ({"since": "1970-01-01T00:00:01Z"}, True),
        ({"since": "1970-01-01T00:00:01.001Z"}, False),
        ({"until": "1970-01-01T00:00:01+00:00"}, False),
        ({"since": "1970-01-01", "until": "1970-01-02"}, True),
        ({"since": "1970-01-01T01:00:01+01:00"}, True),
    ],
)
def test_filters(options: dict[str, Any], matches: bool) -> None:
    assert chosen_by(**options)(letter()) is matches


def test_an_unknown_arrival_is_in_no_interval() -> None:
    assert chosen_by()(letter(arrival_ms=None))
    assert not chosen_by(since="1970-01-01")(letter(arrival_ms=None))
    assert not chosen_by(until="2970-01-01")(letter(arrival_ms=None))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": ["decoding"]}, "--step decoding: unknown; give one of decode, index"),
        ({"reasons": ["bad"]}, "--reason bad"),
        ({"partitions": ["trips"]}, "topic/partition"),
        ({"since": "yesterday"}, "--since yesterday: give ISO-8601"),
    ],
)
def test_a_filter_that_fits_nothing_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen_by(**options)


def test_groups_count_copies_apart() -> None:
    letters = [letter(), letter(), letter(position=KINESIS, arrival_ms=5_000), letter(step="index")]
    first, second = groups(letters, {letter().digest})
    assert (first.count, first.distinct, first.redriven) == (3, 2, 1)
    assert (first.first_ms, first.last_ms) == (1_000, 5_000)
    assert (second.step, second.count) == ("index", 1)


def test_nothing_reaches_the_terminal_but_text() -> None:
    assert escaped(b"caf\xc3\xa9 \x1b[2J\xff\n") == "café \\x1b[2J\\xff\\n"
    assert escaped("\u202e") == "\\u202e"
    assert escaped(None) == ""


def test_the_pace_is_shared_and_bounds_a_batch() -> None:
    assert Pace(None).batch == 500
    assert Pace(0.5).batch == 1
    assert Pace(20).batch == 20
    assert Pace(5_000).batch == 500


@pytest.mark.parametrize(
    ("sections", "rate"),
    [
        ({"source": {"kafka_topics": ["trips"]}}, None),
        ({"source": {"kafka_topics": ["trips"], "kafka_cluster": "far"}}, 1_000.0),
        ({"source": {"kinesis_streams": ["trips"]}}, 1_000.0),
        (
            {
                "source": {"kinesis_streams": ["trips"]},
                "kinesis": {"region": "eu-west-1", "endpoint": "http://127.0.0.1:4568"},
            },
            None,
        ),
    ],
)
def test_only_this_machine_is_sent_to_without_a_bound(
    sections: dict[str, Any], rate: float | None
) -> None:
    config = load_config.check(
        {
            "kafka": {"bootstrap_servers": "127.0.0.1:9092,localhost:9093"},
            "clusters": {"far": {"bootstrap_servers": "b-1:9098", "security": "msk_iam"}},
            "kinesis": {"region": "eu-west-1"},
            "archive": {"path": "s3a://bucket/archive"},
            **sections,
        },
        where="test",
    )
    assert default_rate(config) == rate


def test_those_in_files_are_numbered_from_the_beginning_of_each_file(tmp_path: Path) -> None:
    columns = {"raw": [b"{}"] * 130, "step": ["decode"] * 130, "offset": list(range(130))}
    for name in ("a", "b"):
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet", row_group_size=50)
    sections = {
        "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
        "source": {"kafka_topics": ["trips"]},
        "dead_letters": {"path": f"file://{tmp_path}"},
        "archive": {"path": "s3a://bucket/archive"},
    }
    config = load_config.check(sections, where="test")
    letters = list(read_letters(Systems(config, load_config.event_types(config), {})))
    assert [each.position.offset for each in letters] == [*range(130), *range(130)]
    assert letters[129].place == f"file://{tmp_path}/a.parquet#129"
    assert letters[130].place == f"file://{tmp_path}/b.parquet#0"


def test_a_whole_record_is_found_by_position_length_and_hash(tmp_path: Path) -> None:
    head = letter(raw=b"{", full_record=f"file://{tmp_path}", raw_bytes=2, sha256=SHA256)
    assert read_whole(head, open_store) == "its whole record is not on S3"
    for number, raw in enumerate((b"[]", b"{}")):
        columns = {name: [value] for name, value in KAFKA._asdict().items()}
        pq.write_table(pa.table({"raw": [raw], **columns}), tmp_path / f"{number}.parquet")
        whole = read_whole(head, open_store)
        if number == 0:
            assert whole == "its whole record on S3 differs from it in length or SHA-256"
    assert whole == replace(head, raw=b"{}")


@pytest.mark.parametrize("damage", ["a Python type", "a damaged page"])
def test_an_unreadable_file_is_named(tmp_path: Path, damage: str) -> None:
    content = python_typed.parquet()
    if damage == "a damaged page":
        rows = io.BytesIO()
        pq.write_table(pa.table({"raw": [b"1" * 100, b"2" * 100]}), rows, compression="zstd")
        content = rows.getvalue()[:4] + bytes(40) + rows.getvalue()[44:]
    (tmp_path / "part-0").write_bytes(content)
    large = letter(full_record=f"file://{tmp_path}", raw_bytes=1_000)
    with pytest.raises(UserError, match="part-0 isn't a readable Parquet file: "):
        read_whole(large, open_store)


def test_a_redrive_log_in_a_folder(tmp_path: Path) -> None:
    path = f"file://{tmp_path}/letters"
    StoredLog(path, {}).append([letter().identity])
    other = StoredLog(path, {})
    other.append([])
    other.append([letter(step="index").identity])
    other.append([letter(step="index").identity])
    wanted = {letter().digest, letter(step="index").digest}
    assert StoredLog(path, {}).read() == wanted
    assert len(list((tmp_path / "letters" / "_redriven").iterdir())) == 3
    (tmp_path / "letters" / "_redriven" / "mine.json").write_text("{}")
    with pytest.raises(UserError, match="mine.json is not part of a redrive log"):
        StoredLog(path, {}).read()
