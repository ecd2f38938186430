"""List the files of a data set and open them; the only replay module that accesses stores."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import pyarrow as pa

from connectors.arrow import open_parquet
from connectors.errors import UserError
from connectors.s3.store import (
    ReadableStore,
    Stored,
    is_hidden,
    is_local,
    local_path,
    open_store,
)
from pipeline.ops.replay.order import Rows
from pipeline.ops.replay.selection import Counts

_BUFFER_BYTES: Final = 4 * 1024 * 1024
_WHOLE_BYTES: Final = 16 * 1024 * 1024
_MAGIC_BYTES: Final = 4
_PARQUET_MAGIC: Final = b"PAR1"
_CODECS: Final = {
    b"\x04\x22\x4d\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
}
_KEY: Final = re.compile(r"s3a?://[^/]+/.*", re.DOTALL)
"""An address on S3 with a key, or the beginning of one."""
_SUFFIXES: Final = {".lz4": "lz4", ".zst": "zstd", ".zstd": "zstd", ".gz": "gzip", ".bz2": "bz2"}


@dataclass(frozen=True, slots=True)
class DataSet:
    """The data files of a local folder or an S3 prefix, or one file alone."""

    store: ReadableStore
    files: tuple[Stored, ...]

    def is_parquet(self, file: Stored) -> bool:
        """Return whether a file is Parquet, by its name, else by its first bytes."""
        suffix = PurePosixPath(file.path).suffix
        if suffix == ".parquet":
            return True
        if suffix in (*_SUFFIXES, ".json", ".jsonl", ".ndjson"):
            return False
        with self.open(file.path, _MAGIC_BYTES) as opened:
            return opened.read(_MAGIC_BYTES) == _PARQUET_MAGIC

    def open(self, path: str, buffer_bytes: int = _BUFFER_BYTES) -> io.BufferedReader:
        """Open a file to read parts of it.

        Raises:
            UserError: the store fails. Damaged content raises OSError or pa.ArrowException.
        """
        with _reporting(path):
            return self.store.open(path, buffer_bytes)

    def read_parquet(
        self,
        file: Stored,
        convert: Callable[[pa.RecordBatch, int], Rows],
        counts: Counts,
        *,
        batch_rows: int,
        columns: list[str] | None = None,
    ) -> Iterator[Rows]:
        """Convert a file batch by batch, given each batch's first row number; count it if damaged.

        Memory holds one encoded row group. Raises UserError if the store fails.
        """
        row = 0
        try:
            with self._open_parquet(file) as content:
                for batch in open_parquet(content).iter_batches(
                    batch_rows, columns=columns, use_threads=False
                ):
                    yield convert(batch, row)
                    row += len(batch)
        except (pa.ArrowException, OSError) as error:
            counts.bad_file(file.path, f"damaged from here on, after row {row}: {error}")

    def _open_parquet(self, file: Stored) -> Any:
        # Archived files are many and small: this takes one request instead of three or four.
        if file.size > _WHOLE_BYTES:
            return self.open(file.path)
        with _reporting(file.path):
            return pa.BufferReader(self.store.read(file.path))

    @contextmanager
    def unpacked(self, path: str, buffer_bytes: int = _BUFFER_BYTES) -> Iterator[Any]:
        """Open a file as a stream of bytes, decompressed by its first bytes or its name.

        Reading raises OSError where the compressed bytes are damaged, UserError where the store
        fails.
        """
        with self.open(path, buffer_bytes) as file:
            head = file.peek(_MAGIC_BYTES)
            codec = next((name for magic, name in _CODECS.items() if head.startswith(magic)), None)
            codec = codec or (_SUFFIXES.get(PurePosixPath(path).suffix) if head else None)
            if codec is None:
                yield file
                return
            with pa.CompressedInputStream(pa.PythonFile(file, "r"), codec) as stream:
                yield stream


def data_set(uri: str, environment: Mapping[str, str]) -> DataSet:
    """List a local folder or an S3 prefix, or find one file.

    On S3 an address without a slash at its end is a folder, else an object, else the beginning of
    the keys: `s3://bucket/trips/part-`. Addresses are literal, `#`, `?` and `%` too. Names that
    begin with `_`, `.` or README are left out, folders of such names too.

    Raises:
        UserError: the address is invalid, or there is no data file.
    """
    path = local_path(uri)
    if is_local(uri) and path.is_file():
        return _single(str(path.absolute().parent), path.name, environment)
    if is_local(uri) and not path.exists():
        raise UserError(f"cannot read {uri}: there is no such file or folder")
    store = open_store(uri, environment)
    files = store.listing()
    folder, _, name = uri.rpartition("/")
    if not files and name and _KEY.fullmatch(uri):
        store = open_store(folder, environment)
        if stored := store.stat(name):
            return DataSet(store, (stored,))
        files = [file for file in store.beginning_with(name) if not is_hidden(file.path)]
    data = [file for file in files if not PurePosixPath(file.path).name.startswith("README")]
    if not data:
        raise UserError(
            f"cannot read {uri}: there is no data file. Give a folder, a file, or on S3 the"
            " beginning of the keys; names that begin with _, . or README are left out"
        )
    return DataSet(store, tuple(data))


def _single(folder: str, name: str, environment: Mapping[str, str]) -> DataSet:
    """Find one file without listing its folder, which may be large."""
    store = open_store(folder, environment)
    stored = store.stat(name)
    return DataSet(store, (stored,) if stored else ())


@contextmanager
def _reporting(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"cannot read {path}: it was deleted after the listing") from error
