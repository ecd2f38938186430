"""Run one SELECT over the lake in a DuckDB that can do nothing else.

The database is in memory. It reads the lake's current files through our own client, and no other
file, address, extension or setting: its configuration is locked before a user's SQL runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import chain
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import duckdb

from connectors.errors import UserError
from connectors.s3.filesystem import StoreFilesystem
from pipeline.ops.lake.content import Lake
from pipeline.ops.query.nanoseconds import as_view, has_nanoseconds
from pipeline.ops.query.tables import (
    Columns,
    empty_view,
    files_relation,
    files_view,
    unopened_view,
)
from pipeline.progress import Steps
from pipeline.terminal import printable

_SETTINGS: Final[Mapping[str, Any]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}
_BATCH_ROWS: Final = 1_000
T = TypeVar("T")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """The names of a query's columns, and its rows, which are read while it runs."""

    names: tuple[str, ...]
    rows: Iterator[Row]


class LakeDatabase:
    """The lake as a database, for one query; leave its block to close it.

    DuckDB runs in a thread of its own, since it does not look for Ctrl-C itself. What it is at when
    the block is left is interrupted.
    """

    def __init__(self, lake: Lake, uri: str, tables: Mapping[str, Columns], steps: Steps) -> None:
        self._lake = lake
        self._uri = uri
        self._tables = tables
        self._steps = steps
        self._files = StoreFilesystem(lake)
        self._spill = TemporaryDirectory(prefix="streaming-etl-query-", ignore_cleanup_errors=True)
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[Any] | None = None
        self._connection = duckdb.connect(config={**_SETTINGS, "temp_directory": self._spill.name})
        self._connection.register_filesystem(self._files)
        self._connection.execute("SET TimeZone = 'UTC'")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        # Again and again: DuckDB forgets an interruption that comes before a query begins.
        while self._running and not self._running.done():
            self._connection.interrupt()
            wait([self._running], timeout=0.1)
        self._thread.shutdown()
        self._connection.close()
        self._spill.cleanup()

    def query(self, sql: str) -> Result:
        """Run one SELECT.

        Raises:
            UserError: it is not one, DuckDB refuses it, or a file of the lake cannot be read;
                reading the rows may raise the same.
        """
        statement = self._only_select(sql)
        # Not DuckDB's get_table_names, which refuses `JOIN ... USING`.
        words = set(re.findall(r"\w+", sql.lower()))
        for table, columns in self._tables.items():
            view = self._view if table in words else unopened_view
            self._call(self._connection.execute, view(table, columns))
        self._lock()
        result = self._call(self._connection.execute, statement)
        names = tuple(str(column[0]) for column in result.description or ())
        kinds = [column[1] for column in result.description or ()]
        if any(map(has_nanoseconds, kinds)):
            create, texts = as_view(statement.query, kinds)
            self._call(self._connection.execute, create)
            result = self._call(self._connection.execute, texts)
        with self._steps.step("running the query"):
            first = self._call(result.fetchmany, _BATCH_ROWS)
        return Result(names, self._rows(first, result))

    def _only_select(self, sql: str) -> Any:
        statements = self._call(self._connection.extract_statements, sql)
        kinds = [statement.type.name for statement in statements]
        if kinds != ["SELECT"]:
            given = " and ".join(kinds) or "nothing"
            raise UserError(
                f"the SQL is {given}; give one SELECT (or FROM, WITH, VALUES, DESCRIBE, SUMMARIZE):"
                " the lake can be read and not changed."
            )
        return statements[0]

    def _view(self, table: str, columns: Columns) -> str:
        """Return the CREATE statement of a table; find its files and fetch their footers."""
        with self._steps.step(f"opening {table}", unit="files") as progress:
            current = (each.current() for each in self._lake.partitions(table))
            addresses = self._files.add(chain.from_iterable(current))
            if not addresses:
                return empty_view(table, columns)
            self._files.fetch_footers(addresses, progress)
            relation = files_relation(addresses)
            described = self._call(self._connection.execute, f"DESCRIBE FROM {relation}")
            found = {row[0]: row[1] for row in self._call(described.fetchall)}
        return files_view(table, columns, relation, found)

    def _lock(self) -> None:
        """Close every way to another file, to the network, and back out of these settings."""
        self._connection.execute(f"SET allowed_directories = ['{self._files.protocol}://']")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def _rows(self, batch: list[Row], result: Any) -> Iterator[Row]:
        while batch:
            yield from batch
            batch = self._call(result.fetchmany, _BATCH_ROWS)

    def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        called: Future[T]
        called = self._running = self._thread.submit(function, *arguments)
        try:
            return called.result()
        except duckdb.Error as error:
            raise self._files.failure or UserError(self._told(error)) from error

    def _told(self, error: duckdb.Error) -> str:
        """Return DuckDB's message as one line, without the SQL that it repeats."""
        message, _, place = str(error).partition("\nLINE ")
        line = place.partition(":")[0]
        plain = " ".join(message.replace(f"{self._files.protocol}://", f"{self._uri}/").split())
        return printable(plain + (f" (line {line})" if line.isdigit() and line != "1" else ""))
