"""The files that the job writes have the columns that Glue declares, of types that can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from dev.templates.tables import glue_tables
from pipeline.collect.stream import Stream, encode
from pipeline.config.model import Config, Decode, Source
from pipeline.events import event_types
from pipeline.events.event_types import EventTypes, of
from pipeline.ops.query.tables import schema_columns
from tests import every_kind
from tests.decode.corpus import examples
from tests.deploy.athena.engine import relation
from tests.deploy.athena.files import Bucket
from tests.deploy.athena.glue_types import GlueType, glue_type
from tests.deploy.athena.parquet_rules import Leaf, leaves, unread
from tests.deploy.athena.projection import ProjectedTable

ROOT = Path(__file__).parents[3]
TYPES = event_types.load(ROOT / "schemas")
READINGS = event_types.load(ROOT / "examples" / "readings" / "schemas")
NOW = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
KAFKA = Source(kafka_topics=("trips",))
KINESIS = Source(kinesis_streams=("trips",))
OF_KAFKA = {"topic", "partition", "offset"}
OF_KINESIS = {"stream", "shard", "sequence_number"}


def table_of(types: EventTypes, name: str) -> ProjectedTable:
    found = [ProjectedTable(resource, NOW) for resource in glue_tables(types).values()]
    (table,) = [table for table in found if table.name == name]
    return table


def declared(table: ProjectedTable) -> dict[str, GlueType]:
    return {name: glue_type(text) for name, text in table.columns.items()}


def valid() -> list[bytes]:
    return [example.raw for example in examples() if example.expect == "valid"]


def readings() -> list[bytes]:
    return (ROOT / "examples" / "readings" / "sample.jsonl").read_bytes().splitlines()


def one_file(root: Path, folder: str) -> Path:
    """The first file below a folder of the bucket."""
    return min(path for path in (root / folder).rglob("part-*"))


def every_kind_s_file(root: Path) -> tuple[ProjectedTable, Path]:
    """A file of a type with all kinds of fields, as the collector writes it."""
    (trip,) = [each for each in TYPES if each.name == "trip"]
    columns = every_kind.columns(every_kind.ROWS)
    batch = pa.RecordBatch.from_pydict(columns)
    folder = pa.array(["trip/pickup_location=001/year=2018/month=01"] * len(batch))
    stream = encode(batch, folder.dictionary_encode(), ())
    with_all = replace(trip, fields=(*trip.fields, *every_kind.FIELDS))
    Bucket(root, TYPES, KAFKA, NOW_MS).write("lake", [Stream("lake/0", stream)])
    return table_of(of([with_all]), "trip"), one_file(root, "lake")


@pytest.mark.parametrize(
    ("source", "others"), [(KAFKA, OF_KINESIS), (KINESIS, OF_KAFKA)], ids=["kafka", "kinesis"]
)
def test_files_have_the_declared_columns(tmp_path: Path, source: Source, others: set[str]) -> None:
    """All but the position in the other system, and unknown fields where they are refused."""
    bucket = Bucket(tmp_path, TYPES, source, NOW_MS)
    raws = valid()
    assert not bucket.add(raws, [NOW_MS] * len(raws)).reason.any()
    for name in TYPES.names:
        table = table_of(TYPES, name)
        found = pq.read_schema(one_file(tmp_path, f"lake/{name}")).names
        lacking = {"unknown_fields", *(f"source_{each}" for each in others)}
        assert set(table.columns) - set(found) == lacking
        assert set(found) <= set(table.columns)
        assert [name for name in table.columns if name in found] == found
        assert not set(table.keys) & set(found)
    found = pq.read_schema(one_file(tmp_path, "archive")).names
    assert set(table_of(TYPES, "archive").columns) - set(found) == others
    assert set(found) <= set(table_of(TYPES, "archive").columns)


def test_the_reader_takes_every_column_of_the_shipped_types(tmp_path: Path) -> None:
    bucket = Bucket(tmp_path, TYPES, KINESIS, NOW_MS)
    raws = valid()
    bucket.add(raws, [NOW_MS] * len(raws))
    for name in (*TYPES.names, "archive"):
        folder = name if name == "archive" else f"lake/{name}"
        file = leaves(one_file(tmp_path, folder))
        assert unread(declared(table_of(TYPES, name)), file) == {}


def test_the_reader_takes_every_kind_that_is_declared(tmp_path: Path) -> None:
    table, path = every_kind_s_file(tmp_path)
    assert unread(declared(table), leaves(path)) == {}


def test_all_but_times_in_milliseconds_are_declared(tmp_path: Path) -> None:
    table, path = every_kind_s_file(tmp_path)
    file = leaves(path)
    names = {
        path.lower() for name, kind in declared(table).items() for path, _ in kind.leaves(name)
    }
    absent = [path for path in file if path not in names]
    assert {path.rpartition(".")[2] for path in absent} == {"clock_ms"}
    assert {file[path] for path in absent} == {Leaf("INT32", "Time")}
    assert len(absent) == 5, "at the top, and in a record, an array, a map and a union"


def test_pyarrow_reads_every_kind_as_declared(tmp_path: Path) -> None:
    table, path = every_kind_s_file(tmp_path)
    found = pq.read_schema(path)
    kinds = declared(table)
    names = [name for name in found.names if name.lower() in kinds]
    schema = pa.schema(
        [(name, like(kinds[name.lower()].arrow(), found.field(name).type)) for name in names]
    )
    read = ds.dataset(path, schema=schema).to_table()
    assert read.num_rows == len(every_kind.ROWS)
    expected = pq.read_table(path)
    for name in names:
        assert plain(read[name]) == plain(expected[name]), name


def like(declared: pa.DataType, found: pa.DataType) -> pa.DataType:
    """The declared type with what Glue cannot say: units of times, spelling, bytes of a fixed."""
    types = pa.types
    if types.is_timestamp(declared):
        return pa.timestamp(found.unit) if types.is_timestamp(found) else declared
    if types.is_list(declared) and types.is_list(found):
        return pa.list_(pa.field("element", like(declared.value_type, found.value_type)))
    if types.is_map(declared) and types.is_map(found):
        return pa.map_(declared.key_type, like(declared.item_type, found.item_type))
    if types.is_struct(declared) and types.is_struct(found):
        spelled = {field.name.lower(): field for field in found}
        return pa.struct(
            [
                (spelled[each.name].name, like(each.type, spelled[each.name].type))
                for each in declared
            ]
        )
    return declared


def plain(column: pa.ChunkedArray) -> list[Any]:
    """Values without what the declared types leave out: zones, and some times of day."""
    return [_plain(value) for value in column]


def _plain(value: pa.Scalar) -> Any:
    if not value.is_valid:
        return None
    if pa.types.is_timestamp(value.type) or pa.types.is_time(value.type):
        return value.value
    if pa.types.is_map(value.type):
        return [_plain(entry) for entry in value.values]
    if pa.types.is_struct(value.type):
        return {name: _plain(each) for name, each in value.items() if name != "clock_ms"}
    if pa.types.is_list(value.type):
        return [_plain(item) for item in value]
    return value.as_py()


def test_duckdb_reads_nested_events_as_declared(tmp_path: Path) -> None:
    source = Source(kinesis_streams=("readings",), event_type="reading")
    bucket = Bucket(tmp_path, READINGS, source, NOW_MS)
    decoded = bucket.add(readings(), [NOW_MS] * len(readings()))
    good = [
        json.loads(raw)
        for raw, reason in zip(readings(), decoded.reason, strict=True)
        if not reason
    ]
    table = table_of(READINGS, "reading")
    rows = by_duckdb(
        table,
        [tmp_path / key for key in bucket.keys() if key.startswith("lake/")],
        """SELECT device, CAST("at" AS varchar), position.altitude, tags,
                  measured[1].what, CAST(measured[1].value AS varchar), labels['owner'],
                  CAST(calibrated AS varchar), status.int, status.string
           FROM reading ORDER BY "at" ASC""",
    )
    assert len(rows) > 40
    assert rows == [expected_reading(event) for event in sorted(good, key=lambda each: each["at"])]


def expected_reading(event: Mapping[str, Any]) -> tuple[Any, ...]:
    first, status = event["measured"][0], event["status"]
    at = event["at"].removesuffix("Z").replace("T", " ").rstrip("0").rstrip(".")
    return (
        event["device"],
        at,
        event["position"].get("altitude"),
        event.get("tags", []),
        first["what"],
        f"{first['value']:.3f}",
        event["labels"].get("owner"),
        event["calibrated"],
        status if isinstance(status, int) else None,
        status if isinstance(status, str) else None,
    )


def by_duckdb(table: ProjectedTable, files: Iterable[Path], sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        keys = ", ".join(f'"{key}" VARCHAR' for key in table.keys)
        database.execute(f"CREATE TABLE places (file VARCHAR, {keys})")
        names = [str(file) for file in files]
        for name in names:
            values = [part.partition("=")[2] for part in name.split("/")[-1 - len(table.keys) : -1]]
            marks = ", ".join("?" * (1 + len(values)))
            database.execute(f"INSERT INTO places VALUES ({marks})", [name, *values])
        database.execute(f"CREATE VIEW {table.name} AS {relation(table, names, database)}")
        return database.execute(sql).fetchall()


(TRIP,) = [each for each in TYPES if each.name == "trip"]
EVERYTHING = of([replace(TRIP, fields=(*TRIP.fields, *every_kind.FIELDS))])


@pytest.mark.parametrize("types", [TYPES, READINGS, EVERYTHING], ids=["trips", "readings", "all"])
def test_query_and_athena_have_the_same_columns(types: EventTypes) -> None:
    """`streaming-etl query` has zones, nanoseconds and times of day, which Athena has not."""
    source = Source(kafka_topics=("a",), kinesis_streams=("s",))
    config = Config(source=source, decode=Decode(unknown_fields="keep"))
    for name, columns in schema_columns(config, types).items():
        table = table_of(types, name)
        glue = {**declared(table), **dict.fromkeys(table.keys, glue_type("string"))}
        assert {column: str(duckdb.sqltype(kind.duckdb())) for column, kind in glue.items()} == {
            column.lower(): of_athena(kind)
            for column, kind in columns.items()
            if column != "clock_ms"
        }


def of_athena(kind: str) -> str:
    """The type that DuckDB has for what Athena shows of a column of this type."""
    kind = re.sub(r"TIMESTAMP WITH TIME ZONE|TIMESTAMPTZ_NS|TIMESTAMP_NS", "TIMESTAMP", kind)
    kind = re.sub(r"clock_ms\W+TIME WITH TIME ZONE, ", "", kind)
    kind = re.sub(r"\bTIME( WITH TIME ZONE)?\b", "BIGINT", kind)
    return str(duckdb.sqltype(kind.replace("Everything", "everything")))
