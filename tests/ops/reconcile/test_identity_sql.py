"""The SQL for ids and versions of lake rows agrees with the rule that makes them."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.arrow_types import arrow_type
from pipeline.events.identity import document_id
from pipeline.events.model import EventType, Field, Unit
from pipeline.ops.reconcile import identity_sql
from pipeline.ops.reconcile.database import ArrowStream, name

FIELDS = (
    Field("text", "string"), Field("n", "int32"), Field("large", "int64"),
    Field("yes", "boolean"), Field("ms", "timestamp", unit="ms"),
    Field("us", "timestamp", unit="us"), Field("ns", "timestamp", unit="ns"),
)  # fmt: skip
_TEXT = st.text(st.characters(exclude_categories=["C"]), max_size=6) | st.sampled_from(["/", "%2F"])
_NANOS = st.integers(1_230_768_000 * 10**9, 4_000_000_000 * 10**9)
ROWS = st.fixed_dictionaries(
    {
        "text": _TEXT, "n": st.integers(-(2**31), 2**31 - 1),
        "large": st.integers(-(2**63), 2**63 - 1), "yes": st.booleans(),
        "ms": _NANOS.map(lambda count: count // 10**6), "us": _NANOS.map(lambda n: n // 1000),
        "ns": _NANOS,
    }
)  # fmt: skip


def column(field: str, kind: str) -> str:
    return f"TRY_CAST({name(field)} AS {kind})"


def of_rows(sql: str, rows: list[dict[str, Any]]) -> list[Any]:
    columns = {
        field.name: pa.array([row[field.name] for row in rows], arrow_type(field))
        for field in FIELDS
    }
    columns |= {
        "source_topic": pa.array(["t"] * len(rows)), "source_partition": pa.array([2] * len(rows)),
        "source_offset": pa.array(range(len(rows))),
        "arrival_time": pa.array([7] * len(rows), pa.timestamp("ms", "UTC")),
    }  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", ArrowStream(pa.table(columns)))
        return [value for (value,) in connection.execute(f"SELECT {sql} FROM rows").fetchall()]


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.sampled_from([field.name for field in FIELDS]), min_size=1, unique=True),
    st.lists(ROWS, min_size=1, max_size=5),
)
def test_ids_of_fields(names: list[str], rows: list[dict[str, Any]]) -> None:
    if names in (["text"], ["yes"], ["ms"], ["us"], ["ns"]):
        names = [*names, "n"]
    event_type = EventType("e", 1, "", FIELDS, tuple(names), "ms", "ms", ())
    expected = [document_id(event_type, row) for row in rows]
    assert of_rows(identity_sql.document_id(event_type, column), rows) == expected


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["ms", "us", "ns"]), st.lists(ROWS, min_size=1, max_size=5))
def test_versions_are_counted_in_the_field_s_unit(unit: Unit, rows: list[dict[str, Any]]) -> None:
    event_type = EventType("e", 1, "", FIELDS, ("n",), "ms", unit, ())
    found = of_rows(identity_sql.document_version(event_type, column), rows)
    assert found == [row[unit] for row in rows]


def test_positions_are_ids_and_versions() -> None:
    row = {"text": "", "n": 1, "large": 1, "yes": True, "ms": 1, "us": 1, "ns": 1}
    event_type = EventType("e", 1, "", FIELDS, (), "ms", "", ())
    ids = of_rows(identity_sql.document_id(event_type, column), [row, row])
    assert ids == ["t/2/0", "t/2/1"]
    assert of_rows(identity_sql.document_version(event_type, column), [row, row]) == [0, 1]
