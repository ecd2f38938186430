"""Parquet files and the private database, without servers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.errors import UserError
from connectors.s3.store import open_store
from pipeline.ops.lake.content import Gone, Lake
from pipeline.ops.reconcile.database import ArrowStream, Database, ahead
from pipeline.ops.reconcile.files import Files


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.close()


def write(folder: Path, name: str, **columns: list[object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def files_of(database: Database, folder: Path) -> Files:
    return Files(database, open_store(f"file://{folder}"), f"file://{folder}")


def total(database: Database, files: Files) -> list[int]:
    """The sum of the column `a` in each group of new files."""
    sums = []
    for group in files.groups():
        relation, _ = files.relation(group)
        sums.append(database.count(f"SELECT sum(a) FROM {relation}"))
    return sums


def test_each_file_is_read_once(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "part-0", a=[1, 2])
    files = files_of(database, tmp_path)
    assert total(database, files) == [3]
    write(tmp_path, "part-1", a=[4])
    write(tmp_path, "_ignored", a=[100])
    assert total(database, files) == [4]
    assert total(database, files) == []
    assert files.read == 2
    assert files.bytes == sum(path.stat().st_size for path in tmp_path.glob("part-*"))


@pytest.mark.parametrize("name", ["a*b", "a[b]c", "{x,y}", "it's[1]"])
def test_a_path_is_no_pattern(database: Database, tmp_path: Path, name: str) -> None:
    """DuckDB reads a copy of such a file, as it does of what lies on S3."""
    write(tmp_path / name, "part-0", a=[1])
    write(tmp_path / "aXb", "part-0", a=[100])
    assert total(database, files_of(database, tmp_path / name)) == [1]
    assert not list(database.folder.glob("fetched-*"))


def test_a_column_that_a_file_lacks_is_null(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "part-0", a=[1])
    write(tmp_path, "part-1", a=[2], b=["x"])
    files = files_of(database, tmp_path)
    [group] = files.groups()
    relation, columns = files.relation(group)
    assert columns == {"a": "BIGINT", "b": "VARCHAR", "__file": "VARCHAR"}
    assert database.rows(f"SELECT b FROM {relation} ORDER BY a") == [(None,), ("x",)]


def test_a_file_that_is_no_parquet_is_named(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "part-0", a=[1])
    (tmp_path / "part-1").write_bytes(b"secret payload, and no Parquet")
    files = files_of(database, tmp_path)
    with pytest.raises(UserError, match="part-1 isn't a readable Parquet file") as caught:
        total(database, files)
    assert "secret" not in str(caught.value)


def test_a_file_that_goes_while_the_lake_is_read_is_an_error(
    database: Database, tmp_path: Path
) -> None:
    path = write(tmp_path, "part-0", a=[1])
    files = Files(database, Lake(open_store(f"file://{tmp_path}")), f"file://{tmp_path}")
    for group in files.groups():
        path.unlink()
        with pytest.raises(Gone, match="part-0 was there when the lake was listed"):
            files.relation(group)


def test_the_folder_goes_with_the_database() -> None:
    database = Database()
    folder = database.folder
    assert folder.stat().st_mode & 0o077 == 0
    database.run("CREATE TABLE t AS SELECT 1")
    database.close()
    assert not folder.exists()
    forgotten = Database()
    folder = forgotten.folder
    del forgotten
    assert not folder.exists()


def test_nothing_is_loaded_from_the_network(database: Database) -> None:
    with pytest.raises(duckdb.Error, match="httpfs"):
        database.rows("SELECT * FROM read_parquet('s3://bucket/key')")
    loaded = database.rows("SELECT extension_name FROM duckdb_extensions() WHERE loaded")
    assert ("httpfs",) not in loaded


def test_an_arrow_stream_that_nobody_reads_is_released() -> None:
    stream = ArrowStream(pa.table({"a": [b"x" * 1_000_000]}))
    held = pa.total_allocated_bytes()
    capsule = stream.__arrow_c_stream__()
    references = sys.getrefcount(capsule)
    assert references > 0
    del capsule, stream
    assert pa.total_allocated_bytes() < held


def test_items_are_made_ahead_in_order_and_errors_come_through() -> None:
    assert list(ahead(iter(range(1, 100)))) == list(range(1, 100))

    def broken() -> Iterator[int]:
        yield 1
        raise UserError("no more")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(UserError, match="no more"):
        next(items)
