"""The files of a data set: which ones there are, and how each is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError

from connectors.errors import UserError
from connectors.s3.storage import Store, Stored, store_at

BUFFER_BYTES: Final = 4 * 1024 * 1024

_CODECS: Final = {
    b"\x04\x22\x4d\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
}
_SUFFIXES: Final = {".lz4": "lz4", ".zst": "zstd", ".zstd": "zstd", ".gz": "gzip", ".bz2": "bz2"}
_PARQUET_MAGIC: Final = b"PAR1"
_MAGIC_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class DataSet:
    """A store, and those of its objects that are data."""

    store: Store
    files: tuple[Stored, ...]


def data_set(uri: str, environment: Mapping[str, str]) -> DataSet:
    """What lies in a local folder or below an S3 prefix, or one file alone.

    Left out are names that begin with `_` or `.`, folders too, and those that begin with README.
    An empty folder or prefix is an empty data set.

    Raises:
        UserError: the address is none, or there is no such local file or folder.
    """
    try:
        found = _found(uri, environment)
    except (OSError, BotoCoreError, ClientError) as error:
        raise UserError(f"cannot list {uri}: {error}") from error
    data = (one for one in found.files if not one.path.rpartition("/")[2].startswith("README"))
    return DataSet(found.store, tuple(data))


def _found(uri: str, environment: Mapping[str, str]) -> DataSet:
    parts = urlsplit(uri)
    is_local = parts.scheme in ("", "file")
    if is_local and not Path(parts.path).exists():
        raise UserError(f"cannot read {uri}: there is no such file or folder")
    if is_local and Path(parts.path).is_file():
        path = Path(parts.path).absolute()
        return _alone(str(path.parent), path.name, environment)
    store = store_at(uri, environment)
    files = tuple(store.listing())
    folder, _, name = uri.rpartition("/")
    if not is_local and not files and PurePosixPath(name).suffix:
        return _alone(folder, name, environment)
    return DataSet(store, files)


def _alone(folder: str, name: str, environment: Mapping[str, str]) -> DataSet:
    """One object, if it is there; what lies beside it isn't listed, for it may be much."""
    store = store_at(folder, environment)
    try:
        with store.open(name) as file:
            return DataSet(store, (Stored(name, file.size()),))
    except FileNotFoundError:
        return DataSet(store, ())


def is_parquet(store: Store, one: Stored) -> bool:
    """Whether an object is Parquet, by its name or else by its first bytes."""
    if one.path.endswith(".parquet"):
        return True
    if PurePosixPath(one.path).suffix in (*_SUFFIXES, ".json", ".jsonl", ".ndjson"):
        return False
    with _source(store, one.path, _MAGIC_BYTES) as source:
        return source.peek(_MAGIC_BYTES) == _PARQUET_MAGIC


@contextmanager
def lines_stream(store: Store, path: str, buffer_bytes: int = BUFFER_BYTES) -> Iterator[Any]:
    """A file of lines as a stream of bytes, unpacked as its first bytes or its name say.

    Reading raises OSError where the packed bytes are damaged, and UserError where the store fails.
    """
    with _source(store, path, buffer_bytes) as source:
        head = source.peek(_MAGIC_BYTES)
        codec = next((name for magic, name in _CODECS.items() if head.startswith(magic)), None)
        codec = codec or (_SUFFIXES.get(PurePosixPath(path).suffix) if head else None)
        if codec is None:
            yield source
        else:
            with pa.CompressedInputStream(pa.PythonFile(source, "r"), codec) as unpacked:
                yield unpacked


@contextmanager
def _source(store: Store, path: str, buffer_bytes: int) -> Iterator[_Source]:
    with opened(store, path) as file:
        yield _Source(file, buffer_bytes)


@contextmanager
def opened(store: Store, path: str) -> Iterator[Any]:
    """An object as a file to read parts of, such as Parquet needs.

    That its bytes can't be had is another mistake (UserError) than that they are damaged.
    """
    try:
        file = store.open(path)
    except OSError as error:
        raise UserError(f"cannot open {path}: {error}") from error
    with file:
        yield _Guarded(file, path)


class _Guarded:
    """A stored object's file; OSError becomes UserError."""

    closed = False

    def __init__(self, file: Any, path: str) -> None:
        self._file, self._path = file, path

    def read(self, count: int = -1) -> bytes:
        """The next bytes; without a count all of them."""
        try:
            found: bytes = self._file.read(None if count < 0 else count)
        except OSError as error:
            raise UserError(f"cannot read {self._path}: {error}") from error
        return found

    def seek(self, place: int, whence: int = 0) -> int:
        """Goes to another place."""
        return int(self._file.seek(place, whence))

    def tell(self) -> int:
        """The place of the next byte."""
        return int(self._file.tell())

    def close(self) -> None:
        """The stored object is closed by who opened it."""
        self.closed = True


class _Source:
    """A stored object's bytes, fetched in large pieces."""

    closed = False

    def __init__(self, file: Any, buffer_bytes: int) -> None:
        self._file, self._buffer_bytes = file, buffer_bytes
        self._buffer = b""
        self._place = 0

    def peek(self, count: int) -> bytes:
        """The next bytes, without taking them."""
        if self._place == len(self._buffer):
            self._buffer, self._place = self._file.read(self._buffer_bytes), 0
        return self._buffer[self._place : self._place + count]

    def read(self, count: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        found = self.peek(count)
        self._place += len(found)
        return found

    def close(self) -> None:
        """The stored object is closed by who opened it."""
        self.closed = True
