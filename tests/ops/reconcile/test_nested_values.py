"""Values of all kinds have one checksum in JSON and in the lake, and another if they differ."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.arrow_types import arrow_type
from pipeline.events.event_types import of
from pipeline.events.model import EventType, EventTypes, Field, Kind
from pipeline.ops.reconcile.column_values import column_type
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.values import Values
from tests.made_fields import ABSENT, arrow, changed, comparable, fields, text, values

UNHURRIED = settings(deadline=None, max_examples=100)


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nested") / "part-0"


def types_of(*of_type: Field) -> EventTypes:
    return of([EventType("made", 1, "", of_type, (), "", "", ())])


def of_json(database: Database, field: Field, texts: list[str]) -> list[int]:
    """The checksum of events whose only member is the field; an empty text: it lacks it."""
    made = [f'{{"{field.name}": {each}}}' if each else "{}" for each in texts]
    return of_documents(database, types_of(field), made)


def of_documents(database: Database, types: EventTypes, documents: list[str]) -> list[int]:
    raws = pa.array([each.encode() for each in documents], pa.binary())
    database.present("incoming", pa.table({"raw": raws}))
    checker = Values(types)
    sql = f"SELECT {checker.of_json(repr('made'))} FROM ({checker.members('FROM incoming')})"
    return [sum_ for (sum_,) in database.rows(sql)]


def of_column(database: Database, field: Field, column: pa.Array, file: Path) -> list[int]:
    """The checksum of the rows of a file with that column."""
    pq.write_table(pa.table({field.name: column}), file, store_schema=False, version="2.6")
    files = f"read_parquet('{file}')"
    columns = database.columns(f"FROM {files}")
    types = types_of(field)
    sql = Values(types).of_columns(types["made"], columns)
    return [sum_ for (sum_,) in database.rows(f"SELECT {sql} FROM {files}")]


def of_lake(database: Database, field: Field, rows: list[Any], file: Path) -> list[int]:
    column = pa.array([arrow(field, row) for row in rows], arrow_type(field))
    return of_column(database, field, column, file)


@UNHURRIED
@given(st.data(), st.randoms(use_true_random=False))
def test_json_and_lake_agree_exactly_if_the_values_are_equal(
    database: Database, file: Path, data: st.DataObject, chance: random.Random
) -> None:
    # Top-level integers and texts have rules of their own: see test_values.py.
    inner = data.draw(fields(depth=3))
    field = Field("top", "record", children=(inner,))
    rows = data.draw(st.lists(values(field), min_size=2, max_size=4))
    rows += [changed(field, row, chance) for row in rows]
    in_json = of_json(database, field, [text(field, row, chance) for row in rows])
    in_lake = of_lake(database, field, rows, file)
    assert in_json == in_lake
    known = [comparable(field, arrow(field, row)) for row in rows]
    for one, its in zip(known, in_json, strict=True):
        assert [its == other for other in in_json] == [one == other for other in known]


@UNHURRIED
@given(st.data(), st.randoms(use_true_random=False))
def test_top_level_fields_agree(
    database: Database, file: Path, data: st.DataObject, chance: random.Random
) -> None:
    field = data.draw(fields())
    rows = data.draw(st.lists(values(field), min_size=1, max_size=4))
    in_json = of_json(database, field, [text(field, row, chance) for row in rows])
    assert in_json == of_lake(database, field, rows, file)
    column = pa.array([arrow(field, row) for row in rows], arrow_type(field))
    types = types_of(field)
    pq.write_table(pa.table({"value": column}), file, store_schema=False, version="2.6")
    columns = database.columns(f"FROM read_parquet('{file}')")
    assert Values(types).agrees(types["made"], columns)


LOCAL = Field("x", "local_timestamp", unit="us", wire="iso-8601")
NANOS = Field("x", "timestamp", unit="ns", wire="iso-8601")
MONEY = Field("x", "decimal", precision=38, scale=10, wire="number")
POINT = Field(
    "x",
    "record",
    nullable=True,
    children=(
        Field("lat", "double", nullable=True),
        Field("name", "string", nullable=True, optional=True, default="here"),
        Field("tags", "array", optional=True, default=(), children=(Field("item", "string"),)),
    ),
)
EITHER = Field(
    "x",
    "union",
    children=(
        Field("long", "int64"),
        Field("string", "string"),
        Field("Point", "record", children=POINT.children),
        Field("array", "array", children=(Field("item", "boolean", nullable=True),)),
        Field("boolean", "boolean"),
    ),
)
MAP = Field("x", "map", children=(Field("value", "int64", nullable=True),))
LISTS = Field(
    "x",
    "array",
    nullable=True,
    children=(
        Field("item", "array", nullable=True, children=(Field("item", "int64", nullable=True),)),
    ),
)
SAME: list[tuple[Field, str, Any]] = [
    (Field("x", "float"), "0.1", 0.10000000149011612),
    (Field("x", "float"), "16777217", 16777216.0),
    (Field("x", "float"), "-0", 0.0),
    (MONEY, "1234567890123456789012345678.1234567890", "1234567890123456789012345678.123456789"),
    (MONEY, "12.50e-3", "0.0125"),
    (MONEY, "0e999999999999", "0"),
    (MONEY, "-0.0", "0"),
    (MONEY, "99E+26", "9900000000000000000000000000"),
    (replace(MONEY, wire="string"), '"007.50"', "7.5"),
    (replace(MONEY, precision=38, scale=38), "-0." + "9" * 38, "-0." + "9" * 38),
    (Field("x", "decimal", precision=38, wire="number"), "9" * 38, "9" * 38),
    (Field("x", "bytes"), '""', b""),
    (Field("x", "bytes"), r'"\u0041P8="', b"\x00\xff"),
    (Field("x", "bytes"), '"+/+/"', b"\xfb\xff\xbf"),
    (Field("x", "bytes", size=2), '"AP8="', b"\x00\xff"),
    (Field("x", "date", wire="iso-8601"), '"2016-02-29"', 16_860),
    (Field("x", "date", wire="iso-8601"), '"0001-01-01"', -719_162),
    (Field("x", "date", wire="epoch-days"), "2147483647", 2**31 - 1),
    (Field("x", "date", wire="epoch-days"), "-2147483648", -(2**31)),
    (Field("x", "time", unit="ms", wire="iso-8601"), '"23:59:59.999000"', 86_399_999),
    (Field("x", "time", unit="us", wire="iso-8601"), '"00:00:00"', 0),
    (Field("x", "time", unit="us", wire="micros-of-day"), "86399999999", 86_399_999_999),
    (Field("x", "time", unit="ms", wire="millis-of-day"), "1", 1),
    (NANOS, '"2262-04-11T23:47:16.854775807Z"', 2**63 - 1),
    (NANOS, '"1677-09-21T00:12:43.145224193Z"', -(2**63) + 1),
    (NANOS, '"1969-12-31T23:59:59.999999999000Z"', -1),
    (NANOS, '"1970-01-01T01:00:00.000000001+01:00"', 1),
    (replace(NANOS, wire="epoch-seconds"), "-1", -1_000_000_000),
    (replace(NANOS, wire="epoch-nanos"), "-9223372036854775807", -(2**63) + 1),
    (replace(NANOS, unit="us"), '"9999-12-31T23:59:59.999999Z"', 253_402_300_799_999_999),
    (replace(NANOS, unit="us", wire="epoch-millis"), "1514765065001", 1_514_765_065_001_000),
    (replace(NANOS, unit="ms", wire="epoch-seconds"), "1514765065", 1_514_765_065_000),
    (LOCAL, '"0001-01-01T00:00:00.000001"', -62_135_596_799_999_999),
    (replace(LOCAL, unit="ns"), '"2018-01-01T00:00:00.000000001"', 1_514_764_800_000_000_001),
    (replace(LOCAL, unit="ms", wire="epoch-millis"), "-1", -1),
    (POINT, "null", None),
    (POINT, "{}", {"lat": None, "name": "here", "tags": []}),
    (POINT, '{"name": null, "more": 1}', {"lat": None, "name": None, "tags": []}),
    (POINT, '{"lat": -5, "tags": ["", "\\u0000"]}',
     {"lat": -5.0, "name": "here", "tags": ["", "\0"]}),
    (LISTS, "[[], [null], null, [1]]", [[], [None], None, [1]]),
    (MAP, '{"b": null, "": 9007199254740993}', {"": 2**53 + 1, "b": None}),
    (MAP, '{"A": 1, "a": 2}', {"a": 2, "A": 1}),
    (EITHER, "9223372036854775807", {"long": 2**63 - 1}),
    (EITHER, '"5"', {"string": "5"}),
    (EITHER, "false", {"boolean": False}),
    (EITHER, "[true, null]", {"array": [True, None]}),
    (EITHER, '{"lat": null}', {"Point": {"lat": None, "name": "here", "tags": []}}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(SAME)), ids=lambda n: f"{SAME[n][0].kind}-{n}")
def test_a_hard_value_is_the_same_in_json_and_in_the_lake(
    database: Database, file: Path, number: int
) -> None:
    field, written, value = SAME[number]
    value = Decimal(value) if field.kind == "decimal" else value
    for exact in (False, True):
        # Beside a decimal, all is read from JSON in another way.
        beside = Field("beside", "decimal", precision=4, scale=1, wire="number", nullable=True)
        children = (field, beside) if exact else (field,)
        wrapped = Field("top", "record", children=children)
        row = {"x": value, "beside": None} if exact else {"x": value}
        known = of_json(database, wrapped, [f'{{"x": {written}}}'])
        assert known == of_lake(database, wrapped, [row], file)
    assert of_json(database, field, [written]) == of_lake(database, field, [value], file)


ODD: list[tuple[Field, list[str]]] = [
    (Field("x", "float"), ['"1"', "true", "1e39", "-1e999", "[1]", "{}"]),
    (Field("x", "boolean"), ['"true"', "1"]),
    (Field("x", "int64"), ["1.5", '"1"', "9223372036854775808", "true"]),
    (MONEY, ['"1"', "1.00000000001", "1e28", "1e999999999999", "1e-99999", "{}"]),
    (replace(MONEY, wire="string"), ["1", '"1e"', '" 1"', '"1_0"', '"NaN"', '""', '"."']),
    (Field("x", "bytes"), ["1", '"AA"', '"AA="', '"A==="', '"A A="', '"-_-_"', '"AA==AA=="']),
    (Field("x", "date", wire="iso-8601"), ['"2018-02-30"', '"2018-1-01"', "5", '" 2018-01-01"']),
    (Field("x", "date", wire="epoch-days"), ['"5"', "5.5"]),
    (Field("x", "time", unit="ms", wire="iso-8601"),
     ['"24:00:00"', '"00:00"', "5", '"00:00:00Z"', '"00:00:60"', '"00:00:00.0000001"']),
    (Field("x", "time", unit="ms", wire="millis-of-day"), ['"00:00:00"', "1.5"]),
    (NANOS, ['"2018-01-01T00:00:00"', '"2018-01-01T00:00:00.0000000001Z"', "5", '"infinity"']),
    (replace(NANOS, wire="epoch-millis"), ['"5"', "0.5", "1" + "0" * 30]),
    (LOCAL, ['"2018-01-01T00:00:00Z"', '"2018-01-01 00:00:00"', '"2018-01-01"', "5"]),
    (POINT, ['"{}"', "[]", "1", '{"lat": "1"}', '{"tags": null}', '{"tags": {}}']),
    (LISTS, ["[1]", '["[]"]', "{}", '[[1.5]]', "[[[]]]"]),
    (MAP, ['{"a": "1"}', "[]", '{"a": {}}', '[["a", 1]]']),
    (EITHER, ["1.5", "null", '{"lat": true}', '[1]']),
    (Field("x", "string"), ["1", "true", "{}"]),
    (replace(EITHER, children=EITHER.children[:2]), ["true", "{}", "[]"]),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ODD)), ids=lambda n: f"{ODD[n][0].kind}-{n}")
@pytest.mark.parametrize("exact", [False, True])
def test_json_of_another_type_matches_nothing(
    database: Database, file: Path, number: int, exact: bool
) -> None:
    field, texts = ODD[number]
    nullable = replace(field, nullable=True)
    beside = Field("beside", "decimal", precision=4, scale=1, wire="number", nullable=True)
    top = Field("top", "record", children=(nullable, *[beside] * exact))
    zeros: dict[str, Any] = {"int64": 0, "float": 1.0, "string": "1", "boolean": True}
    other = {"decimal": Decimal(1), "bytes": b"\0", "array": [[]], "map": {}, "record": None}
    some = {"union": {"long": 1}, **zeros, **other}.get(field.kind, 5)
    rows = [{"x": None, "beside": None}, {"x": some, "beside": None}]
    lake = of_lake(database, top, rows, file)
    odd = [each for each in texts if each != "null"]
    found = of_json(database, top, [f'{{"x": {each}}}' for each in odd])
    assert not set(found) & set(lake)


def test_null_is_no_empty_value(database: Database) -> None:
    nullable = replace(LISTS, nullable=True)
    texts = ["null", "[]", "[null]", "[null, null]", "[[]]", "[[null]]", "[[], null]", "[[1],[2]]",
             "[[1, 2]]", "[[1], [2], []]", "[[0]]", "[[2], [1]]"]  # fmt: skip
    assert len(set(of_json(database, nullable, texts))) == len(texts)
    texts = ["null", "{}", '{"name": ""}', '{"name": null}', '{"lat": 0}', '{"tags": [""]}']
    assert len(set(of_json(database, POINT, texts))) == len(texts)
    records = Field("x", "record", nullable=True, children=(Field("a", "int32", nullable=True),))
    assert len(set(of_json(database, records, ["null", "{}", '{"a": 0}']))) == 3


def test_numbers_around_zero_differ(database: Database) -> None:
    """DuckDB's hash of -1 as a HUGEINT, or as a decimal of many digits, is that of 0."""
    money = ["0", "-1", "1", "-0.0000000001", "0.0000000001", "18446744073709551616"]
    assert len(set(of_json(database, MONEY, money))) == len(money)
    for field in (LISTS.children[0], replace(NANOS, wire="epoch-nanos")):
        numbers = ["0", "-1", "1", "-2", "9223372036854775807", "-9223372036854775807"]
        texts = [f"[{each}]" if field.kind == "array" else each for each in numbers]
        assert len(set(of_json(database, field, texts))) == len(texts)


def test_the_order_of_a_map_s_entries_does_not_matter(database: Database, file: Path) -> None:
    texts = ['{"a": 1, "b": 2}', '{"b": 2, "a": 1}', '{"a": 2, "b": 1}']
    one, same, other = of_json(database, MAP, texts)
    assert one == same != other
    lake = of_lake(database, MAP, [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"b": 1, "a": 2}], file)
    assert lake == [one, one, other]


def test_an_older_file_lacks_parts(database: Database, file: Path) -> None:
    kind = pa.struct([("tags", pa.list_(pa.string())), ("gone", pa.int32()), ("lat", pa.float64())])
    column = pa.array([{"tags": [], "gone": 1, "lat": 1.5}, None], kind)
    found = of_column(database, POINT, column, file)
    assert found == of_json(database, POINT, ['{"lat": 1.5, "name": null}', "null"])


@pytest.mark.parametrize(
    ("field", "kind", "value"),
    [
        (Field("x", "float"), pa.string(), "1.0"),
        (Field("x", "bytes"), pa.string(), "AA=="),
        (Field("x", "date", wire="epoch-days"), pa.int32(), 1),
        (MONEY, pa.decimal128(38, 9), Decimal(1)),
        (MONEY, pa.float64(), 1.0),
        (LOCAL, pa.timestamp("us", tz="UTC"), 1),
        (MAP, pa.struct([("a", pa.int64())]), {"a": 1}),
        (LISTS, pa.list_(pa.int64()), [1]),
        (POINT, pa.struct([("lat", pa.string())]), {"lat": "1"}),
        (EITHER, pa.struct([("long", pa.string())]), {"long": "1"}),
    ],
)
def test_a_column_of_another_type_matches_nothing(
    database: Database, file: Path, field: Field, kind: pa.DataType, value: Any
) -> None:
    (found,) = of_column(database, field, pa.array([value], kind), file)
    texts = ['"1.0"', "1.0", "1", '"AA=="', '{"a": 1}', "[1]", '{"lat": "1"}', "null", "", '"1"']
    assert found not in of_json(database, field, texts)
    types = types_of(field)
    columns = database.columns(f"FROM read_parquet('{file}')")
    assert not Values(types).agrees(types["made"], columns)


def test_a_default_stands_for_a_missing_member_and_not_for_null(
    database: Database, file: Path
) -> None:
    for field, default in (
        (Field("x", "float", nullable=True, optional=True, default=0.1), 0.1),
        (replace(MAP, nullable=True, optional=True, default=()), {}),
        (replace(LISTS, optional=True, default=()), []),
    ):
        assert of_json(database, field, ["", "null"]) == of_lake(
            database, field, [default, None], file
        )
        assert arrow(field, ABSENT) == (default or [])
    flat: list[tuple[Field, Any]] = [
        (Field("x", "int32", nullable=True, optional=True, default=5), 5),
        (Field("x", "double", nullable=True, optional=True, default=1e-7), 1e-7),
        (Field("x", "boolean", nullable=True, optional=True, default=False), False),
        (Field("x", "string", nullable=True, optional=True, default="it's"), "it's"),
    ]
    for field, default in flat:
        missing, null = of_json(database, field, ["", "null"])
        assert [missing, null] == of_lake(database, field, [default, None], file)
        assert missing != null


@pytest.mark.parametrize("kind", ["record", "array", "map"])
@pytest.mark.parametrize("leaf", [MONEY, POINT, EITHER], ids=lambda leaf: leaf.kind)
def test_deep_values_agree(database: Database, file: Path, kind: Kind, leaf: Field) -> None:
    """DuckDB takes twice as long to plan with each level of arrays, maps and outer records."""
    some: dict[str, tuple[str, Any]] = {
        "decimal": ("1.5000000001", Decimal("1.5000000001")),
        "record": ("{}", {"lat": None, "name": "here", "tags": []}),
        "union": ("-1", {"long": -1}),
    }
    (written, value), field = some[leaf.kind], replace(leaf, nullable=True)
    other: Any = None
    for _ in range(9):
        field = Field("x", kind, nullable=True, children=(field,))
        written = f"[{written}]" if kind == "array" else f'{{"x": {written}}}'
        value, other = ([each] if kind == "array" else {"x": each} for each in (value, other))
    texts = [written, written.replace("1", "2").replace("{}}", "null}").replace("{}]", "null]")]
    one, two = of_json(database, field, texts)
    assert one != two
    lake = of_lake(database, field, [value, other], file)
    assert lake[0] == one
    assert (lake[1] == two) == (leaf is POINT)


def test_a_name_may_have_another_kind_in_another_type(database: Database, file: Path) -> None:
    other = replace(types_of(NANOS)["made"], name="other")
    types = of([types_of(MONEY)["made"], other])
    documents = ['{"x": 1.0000000001}', '{"x": 1.0000000002}']
    found = of_documents(database, types, documents)
    column = pa.array([Decimal("1.0000000001"), Decimal("1.0000000002")], arrow_type(MONEY))
    assert found == of_column(database, MONEY, column, file)


def test_types_are_read_as_duckdb_describes_them(database: Database) -> None:
    names = ['a "b"', "b, c", "STRUCT(x", "select"]
    inner = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" DECIMAL(9,2)' for name in names)
    text_ = database.columns(f"SELECT NULL::MAP(VARCHAR, STRUCT({inner})[]) AS x")["x"]
    found = column_type(text_).children["value"].children["child"]
    assert list(found.children) == names
    assert {each.scale for each in found.children.values()} == {2}


@pytest.mark.parametrize(
    "document",
    [
        f'{{"x":{"[" * 9_999}{"]" * 9_999}}}',
        '{"x":"\\ud800"}',
        '{"x":NaN}',
        '{"x":[1,]}',
        '{"x":{"a":1,"a":2}}',
        "5",
        "",
    ],
)
def test_no_record_stops_another(database: Database, document: str) -> None:
    for field in (LISTS, MAP, MONEY, EITHER, POINT, Field("x", "bytes")):
        good = json.dumps({"x": None})
        found = of_documents(database, types_of(field), [good, document, good])
        assert found[0] == found[2] is not None
