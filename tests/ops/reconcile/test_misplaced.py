"""The SQL that looks for misplaced rows agrees with the rule that names partitions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.partition import partition
from pipeline.events.model import EventType, Field, PartitionField
from pipeline.ops.reconcile.database import name
from pipeline.ops.reconcile.misplaced import bucket_functions, folder_columns, is_placed
from tests.decode.specs import events

SQL = {
    "int32": "INTEGER",
    "int64": "BIGINT",
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}


def placed(event_type: EventType, rows: list[dict[str, Any]], paths: list[str]) -> list[Any]:
    """Ask the SQL about rows in files of these paths."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for each, function in bucket_functions(event_type).items():
            connection.create_function(each, function)
        fields = ", ".join(f"{each.name} {SQL[each.kind]}" for each in event_type.fields)
        connection.execute(f"CREATE TABLE files (number INTEGER, path VARCHAR, {fields})")
        marks = ", ".join("?" * (2 + len(event_type.fields)))
        for number, (row, path) in enumerate(zip(rows, paths, strict=True)):
            values = [stored(row[each.name], each.kind) for each in event_type.fields]
            connection.execute(f"INSERT INTO files VALUES ({marks})", [number, path, *values])

        def column(field: str, kind: str) -> str:
            return f"TRY_CAST({name(field)} AS {kind})"

        found = connection.execute(
            f"SELECT coalesce({is_placed(event_type, column)}, false)"
            f" FROM (SELECT *, {folder_columns(event_type)} FROM files) ORDER BY number"
        ).fetchall()
    return [row[0] for row in found]


def stored(value: Any, kind: str) -> Any:
    if kind != "timestamp" or value is None:
        return value
    return datetime.fromtimestamp(value / 1000, UTC).replace(tzinfo=None)


@settings(deadline=None, max_examples=60)
@given(events(), st.booleans())
def test_rows_are_where_the_rule_says(
    made: tuple[EventType, list[dict[str, Any]]], compacted: bool
) -> None:
    event_type, rows = made
    root = "_compacted/" if compacted else ""
    names = [partition(event_type, row) for row in rows]
    paths = [f"{root}{each}/part-1.parquet" for each in names]
    assert placed(event_type, rows, paths) == [True] * len(rows)
    moved = [*paths[1:], paths[0]]
    assert placed(event_type, rows, moved) == [
        here == there for here, there in zip(names, [*names[1:], names[0]], strict=True)
    ]
    odd = [path.replace("=", "=0", 1) + "/more.parquet" for path in paths]
    assert placed(event_type, rows, odd) == [False] * len(rows)
    no_text = [f"{root}{event_type.name}/" + "/".join(f"{each}=%FF" for each in
               event_type.partition_names) + "/part-1.parquet" for _ in rows]  # fmt: skip
    assert placed(event_type, rows, no_text) == [False] * len(rows)


def test_nanoseconds_are_cut_and_not_rounded() -> None:
    """Of the last microsecond of an hour, before and after 1970."""
    at = Field("at", "timestamp", unit="ns")
    by = (
        PartitionField("hour", "at", "hour", 0, "%Y-%m-%d-%H"),
        PartitionField("part", "at", "bucket", 7, "%d"),
    )
    event_type = EventType("e", 1, "", (at,), ("id",), "at", "", by)
    counts = [1_735_693_199_999_999_600, -1, 0, -999, 1_735_693_200_000_000_000]
    paths = [f"{partition(event_type, {'at': count})}/part-0.parquet" for count in counts]

    def column(field: str, kind: str) -> str:
        return f"TRY_CAST({name(field)} AS {kind})"

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for each, function in bucket_functions(event_type).items():
            connection.create_function(each, function)
        rows = ", ".join(
            f"(make_timestamp_ns({count}), '{path}')"
            for count, path in zip(counts, paths, strict=True)
        )
        found = connection.execute(
            f"SELECT {is_placed(event_type, column)}"
            f' FROM (SELECT *, {folder_columns(event_type)} FROM (VALUES {rows}) AS f("at", path))'
        ).fetchall()
    assert found == [(True,)] * len(counts)
    assert paths[0].startswith("e/hour=2025-01-01-00/")
