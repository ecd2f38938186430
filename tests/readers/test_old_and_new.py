"""Files from before 0.3, whose times are not marked as UTC, and files of today in one partition.

Every reader of docs/query.md sees the same instants, whichever file comes first, also on a machine
that is not in UTC.
"""

from __future__ import annotations

import ast
import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.collect.close import files
from pipeline.collect.columns import file_schema
from pipeline.collect.stream import encode
from tests.ops.compact.lakes import Lakes
from tests.ops.query.command import CONFIG, PROGRAM, TYPES, Query, rows
from tests.ops.query.page import ROOT, SPARK, blocks, python

VERSION_0_2: Final = ROOT / "tests" / "data" / "golden" / "savepoint-0.2.0"
SCHEMA: Final = file_schema(TYPES["trip"], CONFIG.source, keep_unknown=False)
_NEW: Final = 10**9
"""Added to the id of each of 0.2's rows, for the same row in a new file."""


def due() -> dict[int, int]:
    """When each trip of the lake began, as its record says: epoch milliseconds by id."""
    records = json.loads((VERSION_0_2 / "records.json").read_text())
    old = {
        record["trip_id"]: record["pickup_ms"]
        for record in records
        if record["expect"] == "event" and record["event_type"] == "trip"
    }
    return old | {trip_id + _NEW: began for trip_id, began in old.items()}


@pytest.fixture(params=["old first", "new first"])
def mixed(request: pytest.FixtureRequest, tmp_path: Path) -> Lakes:
    """The lake of a job of 0.2, and beside each of its files one of today with the same times."""
    lakes = Lakes(f"file://{tmp_path}/lake")
    number = int(request.param == "new first")
    for path in VERSION_0_2.glob("lake/trip/**/part-*"):
        folder = path.relative_to(VERSION_0_2 / "lake").parent
        lakes.store.write(f"{folder}/part-{number}", path.read_bytes())
        lakes.store.write(f"{folder}/part-{1 - number}.parquet", as_of_today(path))
    return lakes


def as_of_today(path: Path) -> bytes:
    """The file that the job makes of the rows of an old one, with other ids."""
    table = pq.ParquetFile(path).read()
    ids = pa.array([trip_id.as_py() + _NEW for trip_id in table["trip_id"]], pa.int64())
    table = table.set_column(0, "trip_id", ids).cast(SCHEMA)
    (batch,) = table.combine_chunks().to_batches()
    folders = pa.array([""] * table.num_rows).dictionary_encode()
    (file,) = files("lake", [encode(batch, folders, ["pickup_datetime"])], "ZSTD", 1 << 20)
    return file.data


@pytest.fixture
def query(mixed: Lakes, tmp_path: Path) -> Query:
    """What runs programs for this lake on a machine in New York."""
    made = Query(mixed.uri, tmp_path)
    path = f"{Path(PROGRAM).parent}:{made.environment['PATH']}"
    made.environment |= {"TZ": "America/New_York", "SPARK_LOCAL_IP": "127.0.0.1", "PATH": path}
    return made


def local(program: str, lakes: Lakes) -> str:
    return program.replace("/data/lake", lakes.uri.removeprefix("file://"))


def answered(
    program: str, query: Query, interpreter: Path = Path(sys.executable)
) -> dict[int, int]:
    """What a program prints as pairs of an id and epoch milliseconds in its last line."""
    *_, last = python(program, query, interpreter).splitlines()
    return dict(ast.literal_eval(last))


def test_one_kind_says_utc_and_the_other_does_not(mixed: Lakes) -> None:
    (one, other, *_) = mixed.lake.listing()
    schemas = [pq.read_schema(BytesIO(mixed.lake.read(stored.path))) for stored in (one, other)]
    zones = {schema.field("pickup_datetime").type.tz for schema in schemas}
    assert zones == {None, "UTC"}


def test_our_own_query(mixed: Lakes) -> None:
    found = rows(mixed, "SELECT trip_id, epoch_ms(pickup_datetime) AS began FROM trip")
    assert {row["trip_id"]: row["began"] for row in found} == due()


def test_duckdb(mixed: Lakes, query: Query) -> None:
    (sql,) = (sql for sql in blocks("DuckDB", "sql") if "/data/lake" in sql)
    setting, select = local(sql, mixed).strip().split(";", 1)
    files = select.partition("FROM ")[2].partition("GROUP BY")[0]
    ids_and_times = f"""
SELECT trip_id, epoch_ms(pickup_datetime) FROM {files}
WHERE pickup_datetime < TIMESTAMPTZ '2100-01-01 00:00:00Z'
"""
    program = f"""
import duckdb
connection = duckdb.connect()
connection.execute({setting!r})
print(connection.execute({ids_and_times!r}).fetchall())
"""
    assert answered(program, query) == due()


def test_pyarrow(mixed: Lakes, query: Query) -> None:
    (program,) = blocks("pyarrow", "python")
    printed = """
kept = ds.field("pickup_datetime") < pa.scalar(4102444800000, pa.timestamp("ms", "UTC"))
rows = lake.to_table(filter=kept).to_pylist()
print([(row["trip_id"], round(row["pickup_datetime"].timestamp() * 1000)) for row in rows])
"""
    assert answered(local(program, mixed) + printed, query) == due()


@pytest.mark.server
@pytest.mark.skipif(not SPARK.exists(), reason="`make bench` installs Spark")
def test_spark(query: Query) -> None:
    (program,) = blocks("Spark", "python")
    printed = """
kept = trips.where("pickup_datetime < timestamp'2100-01-01 00:00:00Z'")
rows = kept.selectExpr("trip_id", "unix_millis(pickup_datetime)").collect()
print([tuple(row) for row in rows])
"""
    assert answered(program + printed, query, SPARK) == due()
