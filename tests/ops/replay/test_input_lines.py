"""JSON lines in every packing, whole and damaged: bytes are passed on, what is bad is named."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from connectors.errors import UserError
from pipeline.ops.replay import lines
from tests.ops.replay.input_data import CODECS, START, history, raws, seconds, trip, trips, write

MANY = trips(range(5_000))


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson", "a.txt", "a"])
def test_plain_lines_are_passed_on_byte_for_byte(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, MANY)
    blocks = list(history(tmp_path).blocks())
    assert raws(blocks) == MANY
    assert seconds(blocks) == list(range(5_000))
    assert [key for block in blocks for key in block.keys] == [b"%d" % at for at in range(1, 5_001)]
    assert all(block.headers is None for block in blocks)
    assert all(1_000 <= len(block) <= 5_000 for block in blocks)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("named", [True, False])
def test_packed_lines_are_known_by_name_or_first_bytes(
    tmp_path: Path, codec: str, named: bool
) -> None:
    path = write(tmp_path / f"a{CODECS[codec] if named else '.txt'}", MANY, codec)
    source = history(path)
    assert raws(source.blocks()) == MANY
    assert (source.counts.lines, source.counts.events, source.counts.files) == (5_000, 5_000, 1)


def test_several_packed_streams_in_one_file_are_all_read(tmp_path: Path) -> None:
    packed = gzip.compress(trip(1) + b"\n") + gzip.compress(trip(2) + b"\n")
    (tmp_path / "a.json.gz").write_bytes(packed)
    assert seconds(history(tmp_path).blocks()) == [1, 2]


def test_what_is_no_data_is_left_alone(tmp_path: Path) -> None:
    for name in ("README.md", "README", "_SUCCESS", ".hidden", "_temporary/a.json", "b/README.txt"):
        write(tmp_path / name, [b"not data"])
    write(tmp_path / "b" / "a.json", [trip(1)])
    source = history(tmp_path)
    assert seconds(source.blocks()) == [1]
    assert (source.counts.files, source.counts.bad_lines) == (1, 0)


def test_bad_lines_are_named_without_their_content(tmp_path: Path) -> None:
    bad = [
        b'{"trip_id": 1, "secret',
        b'{"trip_id": 2}',
        trip(1, dropoff_datetime="secret"),
        trip(1, dropoff_datetime="2018-01-01T00:00:00"),
        trip(1, dropoff_datetime=1514764800000),
        b"[1]",
        b'{"dropoff_datetime": "\xff"}',
        trip(1, dropoff_datetime="2018-02-30T00:00:00.000Z"),
    ]
    write(tmp_path / "a.json", [trip(0), b"", *bad, b"  \t", trip(2)])
    source = history(tmp_path)
    assert seconds(source.blocks()) == [0, 2]
    counts = source.counts
    assert (counts.lines, counts.blank_lines, counts.bad_lines) == (10, 2, len(bad))
    assert sorted(int(example.split(":")[1]) for example in counts.bad_examples) == list(
        range(3, 11)
    )
    assert not any("secret" in example for example in counts.bad_examples)
    assert (
        "a.json:5: dropoff_datetime: no ISO-8601 instant with an offset or Z, such as"
        in " ".join(counts.bad_examples)
    )


def test_only_a_hundred_bad_lines_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.json", [b"{"] * 250)
    source = history(tmp_path)
    assert raws(source.blocks()) == []
    assert (source.counts.bad_lines, len(source.counts.bad_examples)) == (250, 100)


def test_other_instants_and_line_ends_are_read(tmp_path: Path) -> None:
    texts = {
        "2018-01-01T00:00:01Z": 1_000,
        "2018-01-01T01:00:02+01:00": 2_000,
        "2017-12-31T19:00:03.500-05:00": 3_500,
        "2018-01-01T00:00:04.123456Z": 4_123,
        "1969-12-31T23:59:59.999Z": -START - 1,
    }
    written = [trip(0, dropoff_datetime=text) for text in texts]
    (tmp_path / "a.json").write_bytes(b"\r\n".join(written) + b"\r\n\r\n")
    source = history(tmp_path)
    blocks = list(source.blocks())
    assert sorted(blocks[0].times.tolist()) == sorted(START + ms for ms in texts.values())
    assert set(raws(blocks)) == set(written)
    assert (source.counts.bad_lines, source.counts.blank_lines) == (0, 1)


def test_sql_times_are_taken_as_utc(tmp_path: Path) -> None:
    texts = ["2018-01-01 00:00:01", "2018-01-01 00:00:02.500", "2018-01-01 00:00:03.25"]
    bad = ["2018-01-01T00:00:01", "2018-01-01 00:00:01Z", "2018-13-01 00:00:00", "2018-01-01"]
    write(tmp_path / "a.json", [trip(0, at=text) for text in [*texts, *bad]])
    source = history(tmp_path, timestamp_field="at", timestamp_format="sql")
    assert source.blocks().__next__().times.tolist() == [START + ms for ms in (1_000, 2_500, 3_250)]
    assert source.counts.bad_lines == len(bad)


def test_fields_may_lie_in_objects(tmp_path: Path) -> None:
    def line(properties: str) -> bytes:
        return b'{"properties": %s}' % properties.encode()

    write(
        tmp_path / "a.json",
        [
            line('{"time": "2018-01-01T00:00:01Z", "ids": {"trip": "x"}}'),
            line('{"time": "2018-01-01T00:00:02Z"}'),
            line('{"ids": {"trip": "x"}}'),
            line("null"),
        ],
    )
    source = history(tmp_path, timestamp_field="properties.time", key_field="properties.ids.trip")
    (block,) = source.blocks()
    assert block.keys == [b"x", None]
    assert source.counts.bad_lines == 2


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"4071441", b"4071441"),
        (b'"a \\u00e9"', "a é".encode()),
        (b"null", None),
        (b"1.50", b"1.50"),
        (b"true", b"true"),
        (b'{"a": 1}', b'{"a": 1}'),
        (b'"\xff"', b'"\xff"'),
    ],
)
def test_a_key_is_the_text_or_the_json_of_its_field(
    tmp_path: Path, value: bytes, key: bytes | None
) -> None:
    write(
        tmp_path / "a.json",
        [b'{"dropoff_datetime": "2018-01-01T00:00:01Z", "trip_id": ' + value + b" }"],
    )
    assert next(history(tmp_path).blocks()).keys == [key]


def test_a_key_may_be_the_time_or_none(tmp_path: Path) -> None:
    write(tmp_path / "a.json", [trip(1)])
    (block,) = history(tmp_path, key_field="dropoff_datetime").blocks()
    assert block.keys == [b"2018-01-01T00:00:01.000Z"]
    (block,) = history(tmp_path, key_field="").blocks()
    assert block.keys == [None]


@pytest.mark.parametrize("fields", [("a", "a.b"), ("a.b", "a"), ("", "k"), ("a..b", "k")])
def test_fields_that_contradict_each_other_are_refused(
    tmp_path: Path, fields: tuple[str, str]
) -> None:
    with pytest.raises(UserError, match="cannot find events by the field"):
        history(tmp_path, timestamp_field=fields[0], key_field=fields[1])


@pytest.mark.parametrize("suffix", [".json", "", *CODECS.values()])
def test_an_empty_file_has_no_events(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"")
    source = history(tmp_path)
    assert list(source.blocks()) == []
    assert source.counts.bad_files == []


def test_an_empty_folder_and_an_absent_one_are_refused(tmp_path: Path) -> None:
    for name in ("_SUCCESS", ".hidden", "README.md"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(UserError, match=f"cannot read {tmp_path}: there is no data file"):
            history(tmp_path)
    with pytest.raises(UserError, match="there is no such file or folder"):
        history(tmp_path / "nowhere")


@pytest.mark.parametrize("folder", ["a b#c", "a?b=c", "a%20b", "a[b]*", "a+b&c;d"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_an_address_is_literal(tmp_path: Path, scheme: str, folder: str) -> None:
    for sibling in ("a b", "a", "a b*", "ab"):
        write(tmp_path / sibling / "a.json", [trip(1)])
    write(tmp_path / folder / "a#b?c.json", [trip(7)])
    uri = f"{scheme}{tmp_path}/{folder}"
    assert seconds(history(uri).blocks()) == seconds(history(f"{uri}/a#b?c.json").blocks()) == [7]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_named(tmp_path: Path, encoding: str) -> None:
    text = b"\n".join(trips(range(3))).decode()
    (tmp_path / "a.json").write_bytes(text.encode(encoding))
    source = history(tmp_path)
    expected = [1, 2] if encoding == "utf-8-sig" else []
    assert seconds(source.blocks()) == expected
    name = encoding.upper().removesuffix("-SIG")
    assert source.counts.bad_lines == 3 - len(expected)
    assert source.counts.bad_examples[0] == (
        f"a.json:1: begins with the byte-order mark of {name}: save it as UTF-8 without one"
    )


def test_a_name_that_is_not_utf_8_is_read_and_named(tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff.json")
    (tmp_path / name).write_bytes(trip(7) + b"\nno json\n")
    source = history(tmp_path)
    assert seconds(source.blocks()) == [7]
    assert source.counts.bad_examples[0].startswith(r"a\udcff.json:2: ")
    assert len(source.fingerprint()) == 64


def test_one_line_without_a_newline_is_an_event(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(trip(7))
    assert seconds(history(f"file://{tmp_path}/a.json").blocks()) == [7]


@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_file_gives_what_can_be_had_and_is_named(tmp_path: Path, codec: str) -> None:
    packed = write(tmp_path / f"a{CODECS[codec]}", MANY, codec).read_bytes()
    (tmp_path / f"a{CODECS[codec]}").write_bytes(packed[: len(packed) * 2 // 3])
    write(tmp_path / "b.json", [trip(9_000)])
    source = history(tmp_path)
    read_lines = raws(source.blocks())
    assert read_lines[:-1] == MANY[: len(read_lines) - 1]
    assert read_lines[-1] == trip(9_000)
    assert (len(source.counts.bad_files), source.counts.bad_lines) == (1, 0)
    assert source.counts.bad_files[0].startswith(f"a{CODECS[codec]}: damaged from here on, after")


def test_a_cut_large_file_gives_all_lines_before_the_cut(tmp_path: Path) -> None:
    written = [trip(at, padding=f"{at * 7919 % 65_537:x}" * 60) for at in range(20_000)]
    path = write(tmp_path / "a.json.gz", written, "gzip")
    packed = path.read_bytes()
    path.write_bytes(packed[: len(packed) - 9])  # The checksum, and a byte of the last block.
    lines = raws(history(tmp_path).blocks())
    assert len(lines) >= 19_990
    assert lines == written[: len(lines)]


def test_garbage_in_a_packed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json.lz4").write_bytes(b"not lz4 at all")
    source = history(tmp_path)
    assert raws(source.blocks()) == []
    assert len(source.counts.bad_files) == 1


def test_a_line_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_LONGEST_LINE", 100_000)
    monkeypatch.setattr(lines, "_READ_BYTES", 10_000)
    write(tmp_path / "a.json", [trip(1), b"x" * 1_000_000])
    source = history(tmp_path)
    assert seconds(source.blocks()) == [1]
    assert source.counts.bad_files == [
        "a.json: damaged from here on, after line 1: a line of more than 100,000 bytes; are these"
        " JSON lines?"
    ]


def test_a_second_pass_names_a_damaged_file_once(tmp_path: Path) -> None:
    (tmp_path / "a.json.lz4").write_bytes(b"not lz4 at all")
    source = history(tmp_path)
    assert raws(source.blocks()) == raws(source.blocks()) == []
    assert len(source.counts.bad_files) == 1
