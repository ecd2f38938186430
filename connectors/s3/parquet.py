"""Reads the Parquet objects of a store in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa

from connectors.arrow import open_parquet
from connectors.errors import UserError
from connectors.s3.store import ReadableStore, Stored

_READERS: Final = 8
_FILES_AT_A_TIME: Final = 256
_LARGE_BYTES: Final = 16 * 1024 * 1024
_PAGE_ROWS: Final = 16_384
_BUFFER_BYTES: Final = 4 * 1024 * 1024

Page = list[tuple[Stored, pa.Table]]
"""Some objects, each with its rows or the next part of them."""


def pages(
    store: ReadableStore,
    objects: Iterable[Stored],
    columns: list[str] | None = None,
    *,
    rows: int | None = None,
) -> Iterator[Page]:
    """Yield the rows of all objects in their order, with some ten megabytes in memory.

    Up to 256 small objects come as one page. An object of more than 16 MB comes in several pages
    of 16,384 rows, one after the other. The next page is fetched meanwhile. `columns` None means
    all; one that an object lacks is left out. With `rows`, every object comes in pages of that many
    rows, and no more are decoded at a time.

    Raises:
        UserError: an object is not Parquet, is damaged or has a Python type.
        FileNotFoundError: an object was deleted.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        fetched: deque[tuple[list[Stored], list[Future[bytes]]]] = deque()
        for group in _groups(objects):
            small = [] if group[0].size > _LARGE_BYTES else group
            fetched.append((group, [pool.submit(store.read, stored.path) for stored in small]))
            if len(fetched) > 1:
                yield from _pages_of(store, *fetched.popleft(), columns, rows)
        while fetched:
            yield from _pages_of(store, *fetched.popleft(), columns, rows)


def row_count(store: ReadableStore, path: str) -> int:
    """Return how many rows a Parquet object has; only its footer is fetched."""
    return int(footer(store, path).num_rows)


def footer(store: ReadableStore, path: str) -> Any:
    """Return the metadata in a Parquet object's footer (pyarrow's); nothing else is fetched."""
    with store.open(path) as file, _reported(path):
        return open_parquet(file).metadata


def _groups(objects: Iterable[Stored]) -> Iterator[list[Stored]]:
    """Group small objects; a large one is a group of its own."""
    group: list[Stored] = []
    room = _LARGE_BYTES
    for stored in objects:
        if group and (stored.size > room or len(group) == _FILES_AT_A_TIME):
            yield group
            group, room = [], _LARGE_BYTES
        group.append(stored)
        room -= stored.size
    if group:
        yield group


def _pages_of(
    store: ReadableStore,
    group: list[Stored],
    contents: list[Future[bytes]],
    columns: list[str] | None,
    rows: int | None,
) -> Iterator[Page]:
    if contents and rows is None:
        # Only fetching is done in threads: parsing in several costs more than it saves.
        pairs = zip(group, contents, strict=True)
        yield [(stored, _table(stored, content.result(), columns)) for stored, content in pairs]
        return
    sources = [pa.BufferReader(body.result()) for body in contents] or [store.open(group[0].path)]
    for stored, source in zip(group, sources, strict=True):
        with source, _reported(stored.path):
            file = open_parquet(source, buffer_size=_BUFFER_BYTES)
            batches = file.iter_batches(rows or _PAGE_ROWS, columns=columns, use_threads=False)
            for batch in batches:
                yield [(stored, pa.Table.from_batches([batch]))]


def _table(stored: Stored, content: bytes, columns: list[str] | None) -> pa.Table:
    with _reported(stored.path):
        return open_parquet(pa.BufferReader(content)).read(columns, use_threads=False)


@contextmanager
def _reported(path: str) -> Iterator[None]:
    """Damaged pages are an OSError; the store's own errors are none: see `ReadableStore.open`."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} isn't a readable Parquet file: {error}") from error
