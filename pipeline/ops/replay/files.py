"""The files of a data set: which ones there are, and how each is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import PurePosixPath
from typing import Any, Final

import pyarrow as pa

from connectors.errors import UserError
from connectors.s3.store import ReadableStore, Stored, is_local, local_path, open_store

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

    store: ReadableStore
    files: tuple[Stored, ...]


def data_set(uri: str, environment: Mapping[str, str]) -> DataSet:
    """What lies in a local folder or below an S3 prefix, or one file alone.

    Left out are names that begin with `_` or `.`, folders too, and those that begin with README.
    An empty folder or prefix is an empty data set.

    Raises:
        UserError: the address is none, or there is no such local file or folder.
    """
    if is_local(uri) and local_path(uri).is_file():
        path = local_path(uri).absolute()
        return _alone(str(path.parent), path.name, environment)
    if is_local(uri) and not local_path(uri).exists():
        raise UserError(f"cannot read {uri}: there is no such file or folder")
    store = open_store(uri, environment)
    files = store.listing()
    folder, _, name = uri.rpartition("/")
    if not is_local(uri) and not files and PurePosixPath(name).suffix:
        return _alone(folder, name, environment)
    data = (each for each in files if not each.path.rpartition("/")[2].startswith("README"))
    return DataSet(store, tuple(data))


def _alone(folder: str, name: str, environment: Mapping[str, str]) -> DataSet:
    """One object, if it is there; what lies beside it isn't listed, for it may be much."""
    store = open_store(folder, environment)
    stored = store.stat(name)
    return DataSet(store, (stored,) if stored else ())


def is_parquet(store: ReadableStore, one: Stored) -> bool:
    """Whether an object is Parquet, by its name or else by its first bytes."""
    if one.path.endswith(".parquet"):
        return True
    if PurePosixPath(one.path).suffix in (*_SUFFIXES, ".json", ".jsonl", ".ndjson"):
        return False
    with opened(store, one.path, _MAGIC_BYTES) as file:
        return file.read(_MAGIC_BYTES) == _PARQUET_MAGIC


@contextmanager
def lines_stream(
    store: ReadableStore, path: str, buffer_bytes: int = BUFFER_BYTES
) -> Iterator[Any]:
    """A file of lines as a stream of bytes, unpacked as its first bytes or its name say.

    Reading raises OSError where the packed bytes are damaged, and UserError where the store fails.
    """
    with opened(store, path, buffer_bytes) as file:
        head = file.peek(_MAGIC_BYTES)
        codec = next((name for magic, name in _CODECS.items() if head.startswith(magic)), None)
        codec = codec or (_SUFFIXES.get(PurePosixPath(path).suffix) if head else None)
        if codec is None:
            yield file
        else:
            with pa.CompressedInputStream(pa.PythonFile(file, "r"), codec) as unpacked:
                yield unpacked


def opened(store: ReadableStore, path: str, buffer_bytes: int = BUFFER_BYTES) -> BufferedReader:
    """An object as a file to read parts of; UserError if it was deleted meanwhile."""
    try:
        return store.open(path, buffer_bytes)
    except FileNotFoundError as error:
        raise _deleted(path) from error


def whole(store: ReadableStore, path: str) -> bytes:
    """All bytes of an object; UserError if it was deleted meanwhile."""
    try:
        return store.read(path)
    except FileNotFoundError as error:
        raise _deleted(path) from error


def _deleted(path: str) -> UserError:
    return UserError(f"cannot read {path}: it was deleted since the files were listed")
