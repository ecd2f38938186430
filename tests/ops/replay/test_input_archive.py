"""Archived records come in the order of their arrival, with what they had and where they stood."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.errors import UserError
from connectors.positions import Position
from pipeline.ops.replay.history import History
from pipeline.ops.replay.rounds import Rounds
from pipeline.ops.replay.selection import Selection
from tests import python_typed
from tests.ops.replay.input_archive import (
    HOUR_MS,
    KAFKA,
    KINESIS,
    Kept,
    archived,
    keep,
    on_kafka,
    on_kinesis,
)
from tests.ops.replay.input_data import START
from tests.python_typed import REFUSAL


def read(root: Path, **more: object) -> History:
    return History(str(root), Selection(archive=True, **more), {})  # type: ignore[arg-type]


def places(root: Path, start_ms: int | None = None, end_ms: int | None = None) -> list[Position]:
    return [record.position for record in archived(str(root), start_ms, end_ms)]


def kafka(*pairs: tuple[int, int]) -> list[Position]:
    return [Position("trips", partition, offset) for partition, offset in pairs]


def test_a_record_comes_as_it_was_kept_with_its_position(tmp_path: Path) -> None:
    keep(
        tmp_path,
        "part-0.parquet",
        [
            on_kafka(START + 123, 3, 77, raw=b"bytes", key=b"k", headers={"a": b"1", "b": None}),
            on_kafka(START + 124, 3, 78, raw=None),
        ],
        without=KAFKA,
    )
    (block,) = read(tmp_path).blocks()
    assert block.times.tolist() == [START + 123, START + 124]
    assert block.raws == [b"bytes", None]
    assert block.keys == [b"k", None]
    assert block.headers == [
        (
            ("a", b"1"),
            ("b", None),
            ("source.topic", b"trips"),
            ("source.partition", b"3"),
            ("source.offset", b"77"),
            ("source.arrival_time", b"2018-01-01T00:00:00.123Z"),
        ),
        (
            ("source.topic", b"trips"),
            ("source.partition", b"3"),
            ("source.offset", b"78"),
            ("source.arrival_time", b"2018-01-01T00:00:00.124Z"),
        ),
    ]


def test_a_record_of_a_stream_tells_its_shard(tmp_path: Path) -> None:
    keep(tmp_path, "part-0.parquet", [on_kinesis(START, 1, 49590338271490256608)], without=KINESIS)
    (block,) = read(tmp_path).blocks()
    assert block.keys == [None]
    assert block.headers == [
        (
            ("source.stream", b"trip-stream"),
            ("source.shard", b"shardId-000000000001"),
            ("source.sequence_number", b"49590338271490256608"),
            ("source.arrival_time", b"2018-01-01T00:00:00.000Z"),
        )
    ]


def test_headers_that_a_replay_had_added_are_replaced(tmp_path: Path) -> None:
    old = {"source.offset": b"1", "source.shard": b"x", "own": b"y", "source.own": b"z"}
    keep(tmp_path, "part-0.parquet", [on_kafka(START, 0, 5, headers=old)])
    (block,) = read(tmp_path).blocks()
    assert block.headers is not None
    assert block.headers[0] == (
        ("own", b"y"),
        ("source.own", b"z"),
        ("source.topic", b"trips"),
        ("source.partition", b"0"),
        ("source.offset", b"5"),
        ("source.arrival_time", b"2018-01-01T00:00:00.000Z"),
    )


def test_the_files_of_an_hour_are_merged_by_arrival_then_offset(tmp_path: Path) -> None:
    keep(tmp_path, "part-a.parquet", [on_kafka(START + 5, 0, 10), on_kafka(START + 2, 1, 3)])
    keep(tmp_path, "part-b.parquet", [on_kafka(START + 5, 0, 9), on_kafka(START + 5, 1, 2)])
    keep(tmp_path, "part-c.parquet", [on_kafka(START + 1, 7, 1), on_kafka(START + 9, 0, 11)])
    assert places(tmp_path) == kafka((7, 1), (1, 3), (0, 9), (0, 10), (1, 2), (0, 11))


def test_the_order_of_a_partition_survives_many_files_of_one_instant(tmp_path: Path) -> None:
    names = [f"part-{at * 7 % 10}.parquet" for at in range(10)]
    for at, name in enumerate(names):
        keep(tmp_path, name, [on_kafka(START, 0, at * 3_000 + offset) for offset in range(3_000)])
    history = read(tmp_path, reorder=100)
    offsets = [
        int(dict(headers)["source.offset"] or b"")
        for block in history.blocks()
        for headers in block.headers or ()
    ]
    assert offsets == list(range(30_000))


def test_sequence_numbers_are_ordered_as_numbers(tmp_path: Path) -> None:
    keep(tmp_path, "part-0.parquet", [on_kinesis(START, 0, 10**20), on_kinesis(START, 0, 9)])
    assert [place.sequence_number for place in places(tmp_path)] == ["9", str(10**20)]


def test_hours_follow_one_another_and_those_outside_are_not_read(tmp_path: Path) -> None:
    for hour in (9, 10, 11, 12, 13, 14):
        keep(tmp_path, "part-0.parquet", [on_kafka(START + hour * HOUR_MS + 1, 0, hour)])
    (tmp_path / "arrival_date=2018-01-01/arrival_hour=14/part-0.parquet").write_bytes(b"garbage")
    source = read(tmp_path, start_ms=START + 11 * HOUR_MS, end_ms=START + 13 * HOUR_MS)
    (block,) = source.blocks()
    assert [dict(pairs)["source.offset"] for pairs in block.headers or ()] == [b"11", b"12"]
    counts = source.counts
    assert (counts.files, counts.outside, counts.bad_files) == (4, 2, [])


def test_records_of_unknown_arrival_are_read_last(tmp_path: Path) -> None:
    odd = tmp_path / "arrival_date=unknown/arrival_hour=unknown"
    odd.mkdir(parents=True)
    keep(tmp_path, "part-0.parquet", [on_kafka(0, 0, 1)]).rename(odd / "part-0.parquet")
    keep(tmp_path, "part-0.parquet", [on_kafka(START, 0, 0)])
    source = read(tmp_path)
    assert sum(len(block) for block in source.blocks()) == 2
    assert (source.counts.out_of_order, source.counts.largest_lateness_ms) == (1, START)


def test_records_that_are_left_out_are_counted(tmp_path: Path) -> None:
    keep(tmp_path, "part-0.parquet", [on_kafka(START + at, 0, at) for at in range(10)])
    positions: list[Position] = []

    def odd(position: Position) -> bool:
        positions.append(position)
        return bool((position.offset or 0) % 2)

    selection = Selection(archive=True, start_ms=START + 2, end_ms=START + 8)
    source = History(str(tmp_path), selection, {}, leave_out=odd)
    (block,) = source.blocks()
    assert block.times.tolist() == [START + 2, START + 4, START + 6]
    assert (source.counts.left_out, source.counts.outside, source.counts.events) == (3, 4, 3)
    assert positions == kafka(*((0, at) for at in range(2, 8)))
    records = archived(str(tmp_path), START + 2, START + 8, odd)
    assert [record.arrival_ms for record in records] == block.times.tolist()


def test_an_archived_record_has_all_its_parts(tmp_path: Path) -> None:
    keep(tmp_path, "part-0.parquet", [on_kafka(START, 0, 1, raw=b"r", key=b"k")])
    (record,) = archived(str(tmp_path))
    assert (record.position, record.raw, record.key) == (Position("trips", 0, 1), b"r", b"k")
    assert (dict(record.headers)["source.offset"], record.arrival_ms) == (b"1", START)


def test_a_damaged_file_is_named_or_refused(tmp_path: Path) -> None:
    path = keep(tmp_path, "part-0.parquet", [on_kafka(START, 0, 1)])
    keep(tmp_path, "part-1.parquet", [on_kafka(START, 0, 2)])
    path.write_bytes(path.read_bytes()[:-20])
    source = read(tmp_path)
    assert sum(len(block) for block in source.blocks()) == 1
    assert source.counts.bad_files[0].startswith(
        "arrival_date=2018-01-01/arrival_hour=00/part-0.parquet: damaged from here on, after row 0"
    )
    with pytest.raises(UserError, match="the archive is damaged: arrival_date="):
        list(archived(str(tmp_path)))


def test_a_file_with_a_python_type_is_named_or_refused(tmp_path: Path) -> None:
    path = keep(tmp_path, "part-0.parquet", [on_kafka(START, 0, 1)])
    keep(tmp_path, "part-1.parquet", [on_kafka(START, 0, 2)])
    path.write_bytes(python_typed.parquet(pq.read_table(path)))
    source = read(tmp_path)
    assert sum(len(block) for block in source.blocks()) == 1
    refused = source.counts.bad_files[0]
    assert re.search(f"part-0.parquet: damaged .*after row 0: {REFUSAL}", refused)
    with pytest.raises(UserError, match=f"the archive is damaged: arrival_date=.*{REFUSAL}"):
        list(archived(str(tmp_path)))


def test_other_files_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="has no column raw or arrival_time but a"):
        list(read(tmp_path).blocks())


def test_a_producers_time_beyond_every_date_comes_last(tmp_path: Path) -> None:
    absurd = 2**62
    keep(tmp_path, "part-0.parquet", [on_kafka(absurd, 3, 77)], without=KAFKA)
    (folder,) = tmp_path.iterdir()
    folder.rename(tmp_path / "arrival_date=unknown")
    keep(tmp_path, "part-1.parquet", [on_kafka(START, 3, 78)], without=KAFKA)
    blocks = list(read(tmp_path).blocks())
    assert [time for block in blocks for time in block.times] == [START, absurd]
    headers = dict((blocks[-1].headers or [])[-1])
    assert headers["source.arrival_time"] == b"146140482-04-24T15:36:27.904Z"


def test_an_archive_is_not_replayed_in_rounds(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leave --loop or --archive out"):
        keep(tmp_path, "a", [on_kafka(START, 0, 0)])
        Rounds(read(tmp_path), 0)


def rewritten(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def test_a_record_whose_texts_cannot_be_read_is_a_bad_line(tmp_path: Path) -> None:
    records = [on_kafka(START + at, 0, at) for at in range(5)]
    path = keep(tmp_path, "a", records)

    def damage(table: pa.Table) -> pa.Table:
        topics = pa.array([b"trips", b"trips", b"\xff", b"trips", b"trips"])
        damaged = pa.Array.from_buffers(pa.string(), 5, topics.buffers())
        table = table.set_column(table.schema.get_field_index("topic"), "topic", damaged)
        names = pa.array([None, None, None, ["a", "b"], None], pa.list_(pa.string()))
        values = pa.array([None, None, None, [b"1"], None], pa.list_(pa.binary()))
        for name, column in (("header_names", names), ("header_values", values)):
            table = table.set_column(table.schema.get_field_index(name), name, column)
        return table

    rewritten(path, damage)
    source = read(tmp_path)
    assert sum(map(len, source.blocks())) == 3
    why = "its headers or its position cannot be read"
    lines = [each.partition(":")[2] for each in source.counts.bad_examples]
    assert lines == [f"3: {why}", f"4: {why}"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.append_column("raw", t.column("raw")), "column raw is binary and binary"),
        (lambda t: t.append_column("topic", t.column("key")), "topic is string and binary"),
        (lambda t: t.set_column(0, "raw", t.column("topic")), "its column raw is string"),
        (
            lambda t: t.drop(["arrival_time"]).append_column("arrival_time", t.column("offset")),
            "its column arrival_time is int64",
        ),
    ],
)
def test_columns_that_no_archive_has_are_refused(
    tmp_path: Path, change: Callable[[pa.Table], pa.Table], why: str
) -> None:
    rewritten(keep(tmp_path, "a", [on_kafka(START, 0, 0)]), change)
    with pytest.raises(UserError, match=f"isn't of our archive, .*{why}"):
        list(read(tmp_path).blocks())


def test_an_archive_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no data file"):
        read(tmp_path)


def test_skipping_and_limits_hold_for_archives(tmp_path: Path) -> None:
    for name in ("a", "b"):
        shaken = [on_kafka(START + at * 7919 % 3_000, ord(name), at) for at in range(3_000)]
        keep(tmp_path, f"part-{name}.parquet", shaken)
    whole = [headers for block in read(tmp_path).blocks() for headers in block.headers or ()]
    assert len(set(whole)) == 6_000
    resumed = read(tmp_path, limit=5_000)
    resumed_headers = [
        headers for block in resumed.blocks(1_234) for headers in block.headers or ()
    ]
    assert resumed_headers == whole[1_234:5_000]


def test_mixed_archives_are_ordered_together(tmp_path: Path) -> None:
    both: list[Kept] = [on_kafka(START + 2, 0, 0), on_kinesis(START + 1, 0, 5)]
    keep(tmp_path, "part-0.parquet", both)
    assert [bool(place.topic) for place in places(tmp_path)] == [False, True]
