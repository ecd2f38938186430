"""Rows of files as `tap lake` prints them, of every kind of column."""

from __future__ import annotations

import msgspec
import pyarrow as pa

from pipeline.ops.tap.rows import plain_rows
from tests.every_kind import LEAVES, NONE, ROWS, columns

LOCAL = frozenset(("local_ms", "local_us", "local_ns"))
TEXTS = {
    "yes": True,
    "small": -(2**31),
    "large": 2**53 + 1,
    "single": 0.5,
    "twice": 0.1,
    "money": "1234567890123456789012345678.0123456789",
    "cents": "-0.05",
    "word": "naïve",
    "blob": "AP8=",
    "digest": "AAECAw==",
    "day": "2018-01-01",
    "clock_ms": "23:59:59.999",
    "clock_us": "23:59:59.999999",
    "at_ms": "2018-01-01T00:04:25.001Z",
    "at_us": "2018-01-01T00:04:25.001002Z",
    "at_ns": "2018-01-01T00:04:25.001002003Z",
    "local_ms": "1969-12-31T23:59:59.999",
    "local_us": "1969-12-31T23:59:59.999999",
    "local_ns": "1969-12-31T23:59:59.999999999",
}


def test_a_column_of_every_kind() -> None:
    rows = plain_rows(pa.table(columns(ROWS)), LOCAL)
    assert {each.name: rows[0][each.name] for each in LEAVES} == TEXTS
    assert rows[0]["everything"] == TEXTS
    assert rows[0]["all_of_it"] == [TEXTS, None, NONE]
    assert rows[0]["by_key"] == {"a": TEXTS, "": None}
    assert rows[0]["either"] == {"long": None, "Everything": TEXTS}
    assert rows[2] == dict.fromkeys(rows[2])
    assert (rows[3]["all_of_it"], rows[3]["by_key"]) == ([], {})
    msgspec.json.encode(rows)


def test_times_that_python_cannot_say_are_shown() -> None:
    absurd = 9_000_000_000_000_000
    table = pa.table({
        "unmarked": pa.array([absurd], pa.timestamp("ms")),
        "local_ms": pa.array([absurd], pa.timestamp("ms")),
        "day": pa.array([-(2**31)], pa.date32()),
        "inner": pa.array([{"day": 2**31 - 1}], pa.struct([("day", pa.date32())])),
    })  # fmt: skip
    assert plain_rows(table, LOCAL) == [{
        "unmarked": "287168-08-24T16:00:00.000Z",
        "local_ms": "287168-08-24T16:00:00.000",
        "day": "-5877641-06-23",
        "inner": {"day": "5881580-07-11"},
    }]  # fmt: skip


def test_columns_of_a_foreign_file_are_shown_too() -> None:
    table = pa.table({
        "number": pa.array([2**64 - 1], pa.uint64()),
        "keys": pa.array([[(1, "a")]], pa.map_(pa.int32(), pa.string())),
        "large": pa.array([["x"]], pa.large_list(pa.large_string())),
        "word": pa.array(["x"]).dictionary_encode(),
        "nothing": pa.nulls(1),
    })  # fmt: skip
    (row,) = plain_rows(table)
    assert row == {
        "number": 2**64 - 1,
        "keys": [(1, "a")],
        "large": ["x"],
        "word": "x",
        "nothing": None,
    }
    msgspec.json.encode(row)
