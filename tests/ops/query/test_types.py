"""Columns of every kind have the types in SQL that the files' values have."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from rich.console import Console

from pipeline.decode.arrow_types import arrow_type
from pipeline.events.event_types import EventTypes, of
from pipeline.events.model import Field
from pipeline.ops.query.database import LakeDatabase
from pipeline.ops.query.duckdb_types import duckdb_type_of
from pipeline.ops.query.output import json_lines
from pipeline.ops.query.tables import empty_view, files_relation, files_view, schema_columns
from pipeline.progress import Steps
from tests.every_kind import FIELDS, ROWS, columns
from tests.made_fields import fields
from tests.ops.compact.lakes import Lakes
from tests.ops.query.command import CONFIG, TYPES

WITH_ALL = of([replace(TYPES["trip"], fields=(*TYPES["trip"].fields, *FIELDS))])


def rows(lakes: Lakes, sql: str, types: EventTypes = WITH_ALL) -> list[dict[str, Any]]:
    tables, steps = schema_columns(CONFIG, types), Steps(Console(quiet=True))
    with LakeDatabase(lakes.lake, lakes.uri, tables, steps) as database:
        result = database.query(sql)
        found = json.loads("".join(json_lines(result.names, result.rows)))
    assert isinstance(found, list)
    return found


@settings(deadline=None, max_examples=60)
@given(fields())
def test_a_column_has_one_type_whether_there_are_files_or_not(
    tmp_path_factory: Any, field: Field
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "typed.parquet"
    kind = arrow_type(field)
    pq.write_table(pa.table({"value": pa.nulls(1, kind)}), path, store_schema=False, version="2.6")
    expected = {"value": duckdb_type_of(kind)}
    relation = files_relation([str(path)])
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = {
            row[0]: row[1] for row in connection.execute(f"DESCRIBE FROM {relation}").fetchall()
        }
        connection.execute(files_view("made", expected, relation, found))
        connection.execute(empty_view("none", expected))
        for view in ("made", "none"):
            described = connection.execute(f"DESCRIBE {view}").fetchall()
            assert {row[0]: row[1] for row in described} == expected


def test_values_of_every_kind_are_read(lakes: Lakes) -> None:
    lakes.write("part-0", range(len(ROWS)), columns(ROWS))
    first = "FROM trip ORDER BY source_offset LIMIT 1"
    (row,) = rows(
        lakes, f"SELECT money, cents, blob, day, clock_ms, at_ms, at_us, local_ms {first}"
    )
    assert row == {
        "money": 1234567890123456789012345678.0123456789,
        "cents": -0.05,
        "blob": "00ff",
        "day": "2018-01-01",
        "clock_ms": "23:59:59.999000",
        "at_ms": "2018-01-01T00:04:25.001Z",
        "at_us": "2018-01-01T00:04:25.001002Z",
        "local_ms": "1969-12-31T23:59:59.999",
    }
    inner = (
        "everything.money = money AND everything.at_us = at_us AND everything.local_us = local_us"
    )
    (row,) = rows(
        lakes,
        f"SELECT {inner} AS same, everything.clock_us::TIME = clock_us AS clock,"
        " len(all_of_it) AS n, by_key['a'].digest = digest AS digest,"
        f" either.Everything.day = day AS day {first}",
    )
    assert row == {"same": True, "clock": True, "n": 3, "digest": True, "day": True}


def test_nanoseconds_are_kept(lakes: Lakes) -> None:
    lakes.write("part-0", range(len(ROWS)), columns(ROWS))
    expected = 1_514_765_065_001_002_003
    (row,) = rows(
        lakes,
        "SELECT epoch_ns(at_ns) AS top, epoch_ns(everything.at_ns) AS below, epoch_ns(local_ns) AS"
        " local, typeof(at_ns) AS kind FROM trip ORDER BY source_offset LIMIT 1",
    )
    assert row == {"top": expected, "below": expected, "local": -1, "kind": "TIMESTAMPTZ_NS"}


def test_times_without_a_zone_are_instants_unless_the_schema_says_that_they_are_local(
    lakes: Lakes,
) -> None:
    unmarked = {
        name: pa.array([1_514_765_065_001], pa.timestamp(unit))
        for name, unit in (("at_ms", "ms"), ("local_ms", "ms"), ("beyond", "ms"))
    }
    lakes.write("part-0", [1], unmarked)
    kinds = ", ".join(f"typeof({name}) AS {name}" for name in unmarked)
    (row,) = rows(lakes, f"SELECT {kinds} FROM trip")
    instant = "TIMESTAMP WITH TIME ZONE"
    assert row == {"at_ms": instant, "local_ms": "TIMESTAMP", "beyond": instant}


def test_nanoseconds_are_shown_wherever_they_are(lakes: Lakes) -> None:
    lakes.write("part-0", range(len(ROWS)), columns(ROWS))
    at, local = "2018-01-01T00:04:25.001002003Z", "1969-12-31T23:59:59.999999999"
    found = rows(
        lakes,
        "SELECT at_ns, local_ns, everything.at_ns AS x, all_of_it AS listed, by_key, either,"
        " source_offset AS n FROM trip ORDER BY n DESC; -- the last first\n",
    )
    assert [row["n"] for row in found] == [3, 2, 1, 0]
    last = found[-1]
    assert (last["at_ns"], last["local_ns"], last["x"]) == (at, local, at)
    in_records = [last["listed"][0], last["by_key"]["a"], last["either"]["Everything"]]
    assert [(each["at_ns"], each["local_ns"]) for each in in_records] == [(at, local)] * 3
    assert (last["listed"][1], last["by_key"][""], last["either"]["long"]) == (None, None, None)
    assert last["listed"][0]["word"] == "naïve"
    assert (found[1]["listed"], found[1]["by_key"], found[1]["either"]) == (None, None, None)
    assert (found[0]["listed"], found[0]["by_key"]) == ([], {})
    repeated = rows(lakes, "SELECT at_ns, at_ns FROM trip WHERE source_offset = 0")
    assert repeated == [{"at_ns": at}]
