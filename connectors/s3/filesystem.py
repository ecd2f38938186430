"""A store's files as a read-only fsspec filesystem, through which DuckDB reads them.

DuckDB itself reads S3 only with an extension from the network, and with keys given in SQL. Here
our own client fetches the bytes, with its chain of credentials.

DuckDB reads one open file from several threads, in calls of `seek` and `read`: see
`findings/duckdb_fsspec_threads.sh`. Each thread has a position of its own in it.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BufferedReader
from typing import Any, Final

from fsspec import AbstractFileSystem

from connectors.errors import UserError
from connectors.s3.store import ReadableStore, Stored

_TAIL_BYTES: Final = 64 * 1024
_TAILS_BYTES: Final = 256 * 1024 * 1024
_READERS: Final = 8
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class StoreFilesystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The files that were given to it, at `lake://` and their path in the store; no others.

    `failure` is the first error of the store: DuckDB reports it as the text of a traceback.
    """

    protocol = "lake"
    cachable = False

    def __init__(self, store: ReadableStore) -> None:
        super().__init__()
        self._store = store
        self._files: dict[str, Stored] = {}
        self._tails = _Tails(store)
        self.failure: UserError | None = None

    def add(self, files: Iterable[Stored]) -> list[str]:
        """Make files readable; return their addresses."""
        added = {f"{self.protocol}://{stored.path}": stored for stored in files}
        self._files.update(added)
        return list(added)

    def fetch_footers(self, addresses: list[str], progress: Callable[[int], None]) -> None:
        """Fetch the ends of files, where Parquet has its footer, several at a time.

        DuckDB would fetch them one after the other on each of its threads. Those that there is no
        memory for are left to it.
        """
        room = _TAILS_BYTES
        pool = ThreadPoolExecutor(_READERS)
        try:
            fetched = []
            for address in addresses:
                stored = self._files[address]
                room -= min(stored.size, _TAIL_BYTES)
                if room >= 0:
                    fetched.append(pool.submit(self._tail, stored))
            for done, future in enumerate(fetched, 1):
                future.result()
                progress(done)
        finally:
            pool.shutdown(cancel_futures=True)

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the address if there is such a file; patterns are taken literally."""
        return [path] if path in self._files else []

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether there is such a file."""
        return path in self._files

    def isfile(self, path: str) -> bool:
        """Return whether there is such a file."""
        return path in self._files

    def size(self, path: str) -> int:
        """Return the size that was listed."""
        return self._files[path].size

    def modified(self, path: str) -> datetime:
        """Return when it was written; 1970 where that is unknown."""
        return _EPOCH + timedelta(milliseconds=self._files[path].modified_ms or 0)

    def open(self, path: str, mode: str = "rb", **_: Any) -> OpenFile:
        """Open a file to read; nothing is fetched yet."""
        if mode != "rb" or path not in self._files:
            raise FileNotFoundError(f"{path} is no file of the lake, or was to be written")
        return OpenFile(self, self._files[path])

    def _read(self, stored: Stored, start: int, end: int, idle: list[BufferedReader]) -> bytes:
        """Return a part of a file; `idle` are readers of it that no thread uses."""
        if start >= stored.size - _TAIL_BYTES:
            tail = self._tail(stored)
            skipped = stored.size - len(tail)
            return tail[start - skipped : end - skipped]
        with self._noted(), _borrowed(self._store, stored.path, idle) as reader:
            reader.seek(start)
            return _whole(reader.read(end - start), end - start, stored)

    def _tail(self, stored: Stored) -> bytes:
        with self._noted():
            return self._tails.get(stored)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            self.failure = self.failure or UserError(f"{error.filename} was deleted meanwhile")
            raise
        except UserError as error:
            self.failure = self.failure or error
            raise


class OpenFile:
    """One open file: threads that share it move their own positions only."""

    def __init__(self, files: StoreFilesystem, stored: Stored) -> None:
        self._files = files
        self._stored = stored
        self._idle: list[BufferedReader] = []
        self._thread = threading.local()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the calling thread's position, and return it."""
        self._thread.position = offset + (0, self.tell(), self._stored.size)[whence]
        return self.tell()

    def tell(self) -> int:
        """Return the calling thread's position."""
        return int(getattr(self._thread, "position", 0))

    def read(self, count: int = -1) -> bytes:
        """Return the bytes from the calling thread's position on, and move it."""
        start, size = self.tell(), self._stored.size
        end = size if count < 0 else min(start + count, size)
        if end <= start:
            return b""
        content = self._files._read(self._stored, start, end, self._idle)
        self._thread.position = end
        return content

    def close(self) -> None:
        """Close what was opened to read it."""
        while self._idle:
            self._idle.pop().close()

    def __del__(self) -> None:
        """DuckDB lets go of files without closing them."""
        self.close()


class _Tails:
    """The ends of files: the ones used last stay in memory. A small file is all end."""

    def __init__(self, store: ReadableStore) -> None:
        self._store = store
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, stored: Stored) -> bytes:
        with self._lock:
            kept = self._kept.get(stored.path)
            if kept is not None:
                self._kept.move_to_end(stored.path)
                return kept
        tail = self._fetched(stored)
        with self._lock:
            self._bytes += len(tail) - len(self._kept.get(stored.path, b""))
            self._kept[stored.path] = tail
            while self._bytes > _TAILS_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return tail

    def _fetched(self, stored: Stored) -> bytes:
        if stored.size <= _TAIL_BYTES:
            return _whole(self._store.read(stored.path), stored.size, stored)
        with self._store.open(stored.path, _TAIL_BYTES) as reader:
            reader.seek(stored.size - _TAIL_BYTES)
            return _whole(reader.read(), _TAIL_BYTES, stored)


def _whole(content: bytes, count: int, stored: Stored) -> bytes:
    """Return the content of a part; UserError if the file is shorter than it was listed."""
    if len(content) != count:
        raise UserError(f"{stored.path} has changed since the lake was listed; read again.")
    return content


@contextmanager
def _borrowed(
    store: ReadableStore, path: str, idle: list[BufferedReader]
) -> Iterator[BufferedReader]:
    """Yield a reader that no other thread uses meanwhile, and keep it for the next."""
    try:
        reader = idle.pop()
    except IndexError:
        reader = store.open(path, _TAIL_BYTES)
    yield reader
    idle.append(reader)
