"""Provide the private DuckDB database in which a reconciliation joins what it has read.

Tables are in a file in a temporary folder that only this user can read, and that is deleted with
the database. DuckDB keeps at most `MEMORY` of them in memory. It loads no extension and gets no
credentials: files from S3 are fetched by our own client first.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, TypeVar

import duckdb
import pyarrow as pa

MEMORY: Final = "640MiB"
_SETTINGS: Final[dict[str, Any]] = {
    "memory_limit": MEMORY,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    # Often enough that tables are compressed and need not stay in memory, seldom enough to cost
    # nothing: with 10 million records 1,049 MiB of memory, where 1 TB took 1,222 MiB.
    "wal_autocheckpoint": "128MB",
}
_BATCH_ROWS: Final = 10_000
_STREAM_POINTERS: Final = 5
"""`struct ArrowArrayStream` of Arrow's C stream interface: four functions and private data."""
_PLAIN: Final = re.compile(r"[a-z_]+")

Row = tuple[Any, ...]
T = TypeVar("T")


class Database:
    """A DuckDB database with a temporary folder of its own; `close` deletes both.

    Used from one thread. Errors are those of `duckdb`.
    """

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="reconcile-"))
        threads = len(os.sched_getaffinity(0))
        settings = {**_SETTINGS, "threads": threads, "temp_directory": str(self.folder / "spill")}
        self._connection = duckdb.connect(str(self.folder / "reconcile.db"), config=settings)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._sources: dict[str, ArrowStream] = {}
        # Also called with the last reference, and at the latest when the process ends.
        self._close = weakref.finalize(self, _close, self._connection, self.folder)

    def close(self) -> None:
        """Close the database and delete its folder."""
        self._close()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; return how many rows it changed."""
        result = self._connection.execute(sql, list(parameters)).fetchone()
        return int(result[0]) if result and isinstance(result[0], int) else 0

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query."""
        return self._connection.execute(sql, list(parameters)).fetchall()

    def count(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Return the first value of a query's only row, as an integer; 0 for NULL."""
        [(value, *_)] = self.rows(sql, parameters)
        return int(value or 0)

    def size(self, relation: str) -> int:
        """Return how many rows a relation has."""
        return self.count(f"SELECT count(*) FROM {relation}")

    def columns(self, sql: str) -> dict[str, str]:
        """Return the columns of a query, without running it: DuckDB types by name."""
        return {row[0]: row[1] for row in self.rows(f"DESCRIBE {sql}")}

    def present(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table readable under that name, replacing an earlier one."""
        assert _PLAIN.fullmatch(name), name
        stream = ArrowStream(table)
        self._connection.register(name, stream)
        self._sources[name] = stream

    def function(self, name: str, function: Callable[..., str]) -> None:
        """Register a function from texts to a text for SQL; NULL gives NULL."""
        self._connection.create_function(name, function)


def _close(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    connection.close()
    shutil.rmtree(folder)


class ArrowStream:
    """An Arrow table as DuckDB reads it: by Arrow's PyCapsule interface.

    PyArrow has that from version 14, and apache-flink 1.20 allows none above 11.
    https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._structs: list[Any] = []

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        struct = (ctypes.c_void_p * _STREAM_POINTERS)()
        self._structs.append(struct)
        address = ctypes.addressof(struct)
        self._table.to_reader(_BATCH_ROWS)._export_to_c(address)
        return _capsule(address, b"arrow_array_stream", None)

    def __del__(self) -> None:
        """Release what was exported but never read."""
        for struct in self._structs:
            if struct[3]:  # `release` is null once the reader has taken the stream.
                pa.RecordBatchReader._import_from_c(ctypes.addressof(struct))


_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items; while one is used, a thread makes the next."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def paged(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    remaining = iter(items)
    while page := list(islice(remaining, size)):
        yield page


def name(column: str) -> str:
    """Return a column's name, quoted for SQL."""
    return '"' + column.replace('"', '""') + '"'
