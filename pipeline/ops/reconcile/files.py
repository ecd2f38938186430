"""Parquet files of the archive, lake and dead letters, as paths that DuckDB can read.

DuckDB reads local files where they lie. What is on S3 is fetched by our own client into the
database's folder, a group of files at a time, since DuckDB would need an extension from the network
and our credentials.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import duckdb

from connectors.errors import UserError
from connectors.s3.store import ReadableStore, Stored, is_local, local_path
from connectors.sql import literal
from pipeline.ops.reconcile.database import Database, ahead

_FETCHERS: Final = 8
_GROUP_FILES: Final = 1_000
_GROUP_BYTES: Final = 64 * 1024 * 1024
_COPY_BYTES: Final = 4 * 1024 * 1024
_GLOB: Final = frozenset("*?[]{}")
"""DuckDB takes a path with one of these for a pattern."""


@dataclass(frozen=True, slots=True)
class Local:
    """A file below a store's root, and where DuckDB can read it."""

    stored: Stored
    path: str


class Files:
    """The files of a store; `groups` gives each file once, however often it is called."""

    def __init__(self, database: Database, store: ReadableStore, uri: str) -> None:
        self._database = database
        self._store = store
        self._root = local_path(uri) if is_local(uri) else None
        self._paths: set[str] = set()
        self._names = count()
        self.bytes = 0

    @property
    def read(self) -> int:
        """How many files were given so far."""
        return len(self._paths)

    def groups(self, key: Callable[[str], str] = lambda _: "") -> Iterator[list[Local]]:
        """The files that were not there before, some hundred of one key at a time."""
        new = [stored for stored in self._store.listing() if stored.path not in self._paths]
        self._paths.update(stored.path for stored in new)
        self.bytes += sum(stored.size for stored in new)
        for group in ahead(map(self._local, _groups(new, key))):
            yield group
            for one in group:
                if self._is_copy(one.path):
                    os.unlink(one.path)

    def relation(self, group: list[Local]) -> tuple[str, dict[str, str]]:
        """SQL for a group as a table with `filename`, and its columns' names and types.

        A column that some files lack is NULL there.

        Raises:
            UserError: a file is no Parquet.
        """
        paths = ", ".join(literal(one.path) for one in group)
        sql = (
            f"read_parquet([{paths}], union_by_name = true, hive_partitioning = false,"
            " filename = true)"
        )
        try:
            return sql, self._database.columns(f"SELECT * FROM {sql}")
        except duckdb.Error as error:
            raise self._unreadable(group, error) from error

    def run(self, sql: str, group: list[Local]) -> None:
        """Run a statement that reads a group.

        Raises:
            UserError: a file is no Parquet, or was deleted meanwhile.
        """
        try:
            self._database.run(sql)
        except duckdb.Error as error:
            raise self._unreadable(group, error) from error

    def _unreadable(self, group: list[Local], error: duckdb.Error) -> UserError:
        for one in group:
            self._store.open(one.stored.path).close()  # Raises if it was deleted meanwhile.
            try:
                self._database.rows(f"SELECT * FROM parquet_file_metadata({literal(one.path)})")
            except duckdb.Error as fault:
                reason = str(fault).splitlines()[0].replace(one.path, one.stored.path)
                return UserError(f"{one.stored.path} isn't a readable Parquet file: {reason}")
        names = f"{group[0].stored.path} to {group[-1].stored.path}"
        return UserError(f"cannot read the Parquet files {names}: {str(error).splitlines()[0]}")

    def _local(self, group: list[Stored]) -> list[Local]:
        with ThreadPoolExecutor(_FETCHERS) as pool:
            return list(pool.map(self._fetched, group))

    def _fetched(self, stored: Stored) -> Local:
        if self._root is not None:
            path = str(self._root / stored.path)
            if not _GLOB & set(path):
                return Local(stored, path)
        copy = self._database.folder / f"fetched-{next(self._names)}"
        if stored.size <= _GROUP_BYTES:
            copy.write_bytes(self._store.read(stored.path))
        else:
            with self._store.open(stored.path) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, _COPY_BYTES)
        return Local(stored, str(copy))

    def _is_copy(self, path: str) -> bool:
        return Path(path).parent == self._database.folder


def _groups(objects: list[Stored], key: Callable[[str], str]) -> Iterator[list[Stored]]:
    group: list[Stored] = []
    size = 0
    for one in objects:
        full = len(group) == _GROUP_FILES or size + one.size > _GROUP_BYTES
        if group and (full or key(one.path) != key(group[0].path)):
            yield group
            group, size = [], 0
        group.append(one)
        size += one.size
    if group:
        yield group
