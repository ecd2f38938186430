"""Provide Parquet files of the archive, lake and dead letters as paths that DuckDB can read.

DuckDB reads local files in place. Our own client fetches files on S3 into the database's folder, a
group at a time, since DuckDB would need an extension from the network and our credentials.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from connectors.errors import UserError
from connectors.s3.store import ReadableStore, Stored, is_local, local_path
from connectors.sql import literal
from pipeline.ops.reconcile.database import Database, ahead

_FETCHERS: Final = 8
_GROUP_FILES: Final = 1_000
_GROUP_BYTES: Final = 64 * 1024 * 1024
_COPY_BYTES: Final = 4 * 1024 * 1024
_GLOB: Final = frozenset("*?[]{}")
"""DuckDB treats a path with one of these as a pattern."""


Group = Mapping[str, str]
"""The paths at which DuckDB can read files, and those files' paths below a store's root."""


class Files:
    """The files of a store; `groups` yields each file once, however often it is called."""

    def __init__(self, database: Database, store: ReadableStore, uri: str) -> None:
        self._database = database
        self._store = store
        self._root = local_path(uri) if is_local(uri) else None
        self._sizes: dict[str, int] = {}
        self._names = count()
        self._group: Group = {}

    @property
    def read(self) -> int:
        """The number of files that `groups` has yielded so far."""
        return len(self._sizes)

    @property
    def bytes(self) -> int:
        """The size of those files."""
        return sum(self._sizes.values())

    def listing(self) -> Iterator[Stored]:
        """Yield the files that `groups` has yielded so far."""
        return itertools.starmap(Stored, self._sizes.items())

    def groups(self, key: Callable[[str], str] = lambda _: "") -> Iterator[Group]:
        """Yield the files that were not yielded before, some hundred of one key at a time."""
        new = [stored for stored in self._store.listing() if stored.path not in self._sizes]
        self._sizes.update((stored.path, stored.size) for stored in new)
        for group in ahead(map(self._local, _groups(new, key))):
            self._group = group
            yield group
            for path in map(Path, group):
                if path.parent == self._database.folder:
                    path.unlink()

    def relation(self, group: Group, about: str = "") -> tuple[str, dict[str, str]]:
        """Return SQL for the current group as a table, and its columns' types by name.

        A column that some files lack is NULL there. `about` is SQL for further columns, made of
        `path`, the path of a row's file below the root.

        Raises:
            UserError: a file is no Parquet.
        """
        sql = f"""read_parquet([{", ".join(map(literal, group))}], union_by_name = true,
            hive_partitioning = false, filename = '__file')"""
        try:
            columns = self._database.columns(f"FROM {sql}")
        except duckdb.Error as error:
            raise self._unreadable(error) from error
        if about:
            table = pa.table({"__file": list(group), "path": list(group.values())})
            self._database.present("paths", table)
            sql = f"({sql} JOIN (SELECT __file, {about} FROM paths) USING (__file))"
        return sql, columns

    def run(self, sql: str) -> None:
        """Run a statement that reads the current group.

        Raises:
            UserError: a file is no Parquet, or was deleted meanwhile.
        """
        try:
            self._database.run(sql)
        except duckdb.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: duckdb.Error) -> UserError:
        for local, path in self._group.items():
            self._store.open(path).close()  # Raises if it was deleted meanwhile.
            try:
                self._database.rows(f"SELECT * FROM parquet_file_metadata({literal(local)})")
            except duckdb.Error as fault:
                reason = str(fault).splitlines()[0].replace(local, path)
                return UserError(f"{path} isn't a readable Parquet file: {reason}")
        paths = list(self._group.values())
        return UserError(
            f"cannot read the Parquet files {paths[0]} to {paths[-1]}: {str(error).splitlines()[0]}"
        )

    def _local(self, group: list[Stored]) -> Group:
        with ThreadPoolExecutor(_FETCHERS) as pool:
            paths = pool.map(self._fetched, group)
            return {path: stored.path for path, stored in zip(paths, group, strict=True)}

    def _fetched(self, stored: Stored) -> str:
        if self._root is not None:
            path = str(self._root / stored.path)
            if not _GLOB & set(path):
                return path
        copy = self._database.folder / f"fetched-{next(self._names)}"
        if stored.size <= _GROUP_BYTES:
            copy.write_bytes(self._store.read(stored.path))
        else:
            with self._store.open(stored.path) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, _COPY_BYTES)
        return str(copy)


def _groups(objects: list[Stored], key: Callable[[str], str]) -> Iterator[list[Stored]]:
    group: list[Stored] = []
    size = 0
    for stored in objects:
        full = len(group) == _GROUP_FILES or size + stored.size > _GROUP_BYTES
        if group and (full or key(stored.path) != key(group[0].path)):
            yield group
            group, size = [], 0
        group.append(stored)
        size += stored.size
    if group:
        yield group
