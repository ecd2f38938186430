"""Objects below a root: an S3 prefix or a local folder, behind one interface.

boto3 alone reaches S3, so that every request uses the same chain of credentials (environment,
profile, SSO, web identity, container, instance). Keys are taken literally: `s//t` and `s/./t` are
prefixes of their own.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from connectors.errors import UserError
from connectors.local_files import waiting
from connectors.s3.client import MISSING, reporting, s3_client

BUFFER_BYTES: Final = 1024 * 1024
_CHANGED: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
# botocore repeats requests, but not the reading of a body that breaks off.
_BROKEN_BODY: Final = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_BODY_ATTEMPTS: Final = 5


class Stored(NamedTuple):
    """An object: its path below the store's root, its size in bytes, and when it was written.

    `modified_ms` is epoch milliseconds; None where no listing returned the object.
    """

    path: str
    size: int
    modified_ms: int | None = None


class Version(NamedTuple):
    """The content of an object, and what distinguishes this version of it from others."""

    content: bytes
    etag: str


class ReadableStore(Protocol):
    """Objects to list and read. Methods raise UserError if the store fails or denies access."""

    def listing(self) -> list[Stored]:
        """Return all objects in the order of their paths.

        Names that begin with `_` or `.` are left out, and all below folders named so: by Hadoop's
        convention they are no data.
        """
        return [stored for stored in self.everything() if not is_hidden(stored.path)]

    def everything(self, below: str = "") -> list[Stored]:
        """Return all objects below a folder, also those that `listing` leaves out."""

    def read(self, path: str) -> bytes:
        """Return all bytes of one version of an object; FileNotFoundError if there is none."""

    def open(self, path: str, buffer_bytes: int = BUFFER_BYTES) -> io.BufferedReader:
        """Open an object to read and seek in; the caller closes it.

        At least `buffer_bytes` are fetched at a time. Reading raises UserError, never OSError, so
        that a store that fails is not taken for a damaged file.

        Raises:
            FileNotFoundError: there is no such object.
        """


class Store(ReadableStore, Protocol):
    """Objects to read and change. Each change may be repeated: the outcome is the same."""

    uri: str
    """The address of the root, without a slash at its end."""

    def beginning_with(self, prefix: str) -> list[Stored]:
        """Return all objects whose path begins with a text, which need not end at a slash."""

    def is_empty(self) -> bool:
        """Return whether there is no object at all; lists no more than it must."""

    def stat(self, path: str) -> Stored | None:
        """Return the size and time of an object; None if there is none."""

    def version(self, path: str) -> Version | None:
        """Return the content of an object and its ETag; None if there is none."""

    def write(self, path: str, content: bytes) -> None:
        """Write a whole object, or nothing; an object of that path is replaced."""

    def replace(self, path: str, content: bytes, expected: Version | None) -> bool:
        """Write only if the object is still `expected` (None: absent); return False if not.

        Of concurrent writers over one version exactly one succeeds.
        """

    def copy(self, path: str, target: str, into: Store | None = None) -> None:
        """Copy an object to `target`, in this store or `into` another one of the same kind.

        Raises:
            FileNotFoundError: there is no such object.
        """

    def delete(self, path: str) -> None:
        """Delete an object, if it is there."""


def open_store(uri: str, environment: Mapping[str, str] | None = None) -> Store:
    """Return the store at `s3a://bucket/prefix`, `s3://bucket/prefix`, `file:///folder` or a path.

    Of the environment, `S3_ENDPOINT` is the address of another S3 service, and the keys and the
    region have AWS's own names; what is absent comes from boto3's chain.

    Raises:
        UserError: the address is none of these.
    """
    scheme, separator, rest = uri.partition("://")
    if separator and scheme in ("s3", "s3a"):
        bucket, _, prefix = rest.partition("/")
        if bucket:
            return S3Store(s3_client(environment or {}), scheme, bucket, prefix.strip("/"))
    elif scheme == "file" and rest.startswith("/") or (uri and not separator):
        return FolderStore(local_path(uri))
    raise UserError(f"cannot read {uri!r}: use s3a://bucket/prefix or file:///folder")


def is_local(uri: str) -> bool:
    """Return whether an address is that of a local file or folder."""
    return "://" not in uri or uri.startswith("file://")


def local_path(uri: str) -> Path:
    """Return the path of a local file or folder."""
    return Path(uri.removeprefix("file://"))


def is_hidden(path: str) -> bool:
    """Return whether a name or a folder of a path begins with `_` or `.`."""
    return any(part.startswith(("_", ".")) for part in path.split("/"))


class S3Store(Store):
    """The objects below a prefix of an S3 bucket."""

    def __init__(self, client: Any, scheme: str, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix + "/" if prefix else ""
        self.uri = f"{scheme}://{bucket}/{prefix}".rstrip("/")

    def everything(self, below: str = "") -> list[Stored]:
        return self.beginning_with(f"{below.rstrip('/')}/" if below else "")

    def beginning_with(self, prefix: str) -> list[Stored]:
        with self._reporting("list", prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            entries = [entry for page in pages for entry in page.get("Contents", ())]
        return sorted(
            Stored(entry["Key"][len(self._prefix) :], entry["Size"], _millis(entry["LastModified"]))
            for entry in entries
            if not entry["Key"].endswith("/")
        )

    def is_empty(self) -> bool:
        with self._reporting("list", ""):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, PaginationConfig={"PageSize": 10}
            )
            keys = (entry["Key"] for page in pages for entry in page.get("Contents", ()))
            return all(key.endswith("/") for key in keys)

    def read(self, path: str) -> bytes:
        with self._reporting("read", path):
            return self._get(path).content

    def open(self, path: str, buffer_bytes: int = BUFFER_BYTES) -> io.BufferedReader:
        with self._reporting("open", path):
            head = self._client.head_object(**self._at(path))
        ranges = _Ranges(self, path, head["ContentLength"], head["ETag"])
        return io.BufferedReader(ranges, buffer_bytes)

    def stat(self, path: str) -> Stored | None:
        with suppress(FileNotFoundError), self._reporting("look at", path):
            head = self._client.head_object(**self._at(path))
            return Stored(path, head["ContentLength"], _millis(head["LastModified"]))
        return None

    def version(self, path: str) -> Version | None:
        with suppress(FileNotFoundError), self._reporting("read", path):
            return self._get(path)
        return None

    def write(self, path: str, content: bytes) -> None:
        with self._reporting("write", path):
            self._client.put_object(**self._at(path), Body=content)

    def replace(self, path: str, content: bytes, expected: Version | None) -> bool:
        condition = {"IfMatch": expected.etag} if expected else {"IfNoneMatch": "*"}
        with self._reporting("write", path):
            try:
                self._client.put_object(**self._at(path), Body=content, **condition)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _CHANGED | MISSING:
                    raise
                # A retry after a lost response is refused though the first request succeeded.
                observed = self.version(path)
                return observed is not None and observed.content == content
        return True

    def copy(self, path: str, target: str, into: Store | None = None) -> None:
        into = into or self
        assert isinstance(into, S3Store), "the bytes would have to pass through here"
        with self._reporting("copy", path):
            into._client.copy_object(CopySource=self._at(path), **into._at(target))

    def delete(self, path: str) -> None:
        with self._reporting("delete", path):
            self._client.delete_object(**self._at(path))

    def read_range(self, path: str, start: int, end: int, etag: str) -> bytes:
        """Return a part of one version of an object; UserError if it is another one by now."""
        try:
            with self._reporting("read", path):
                return self._get(path, Range=f"bytes={start}-{end - 1}", IfMatch=etag).content
        except FileNotFoundError as error:
            raise UserError(f"cannot read {self.uri}/{path}: it was deleted meanwhile") from error

    def _get(self, path: str, **options: str) -> Version:
        attempt = 1
        while True:
            response = self._client.get_object(**self._at(path), **options)
            try:
                return Version(response["Body"].read(), response["ETag"])
            except _BROKEN_BODY:
                if attempt == _BODY_ATTEMPTS:
                    raise
            attempt += 1

    def _at(self, path: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + path}

    def _reporting(self, action: str, path: str) -> AbstractContextManager[None]:
        return reporting(action, f"{self.uri}/{path}".rstrip("/"))


def _millis(modified: datetime) -> int:
    return int(modified.timestamp() * 1000)


class FolderStore(Store):
    """The files below a local folder; where the folder is absent, there are none."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.uri = f"file://{root.absolute()}"

    def everything(self, below: str = "") -> list[Stored]:
        # Not rglob, which keeps a Path of every file that it returned.
        folders = os.walk(self._root / below, onerror=_refuse_folder)
        paths = (os.path.join(folder, name) for folder, _, names in folders for name in names)
        objects = (self.stat(os.path.relpath(path, self._root)) for path in paths)
        return sorted(stored for stored in objects if stored)

    def beginning_with(self, prefix: str) -> list[Stored]:
        below = self.everything(prefix.rpartition("/")[0])
        return [stored for stored in below if stored.path.startswith(prefix)]

    def is_empty(self) -> bool:
        return not any(names for _, _, names in os.walk(self._root, onerror=_refuse_folder))

    def read(self, path: str) -> bytes:
        with self._reporting("read", path):
            return (self._root / path).read_bytes()

    def open(self, path: str, buffer_bytes: int = BUFFER_BYTES) -> io.BufferedReader:
        with self._reporting("open", path):
            return io.BufferedReader(_LocalFile(self._root / path), buffer_bytes)

    def stat(self, path: str) -> Stored | None:
        with suppress(FileNotFoundError), self._reporting("look at", path):
            status = os.stat(self._root / path)
            return Stored(path, status.st_size, status.st_mtime_ns // 10**6)
        return None

    def version(self, path: str) -> Version | None:
        with suppress(FileNotFoundError):
            return Version(self.read(path), "")
        return None

    def write(self, path: str, content: bytes) -> None:
        with self._reporting("write", path), self._replacing(path) as unfinished:
            unfinished.write_bytes(content)

    def replace(self, path: str, content: bytes, expected: Version | None) -> bool:
        target = self._root / path
        with self._reporting("write", path), waiting(target.with_name(f".{target.name}.lock")):
            observed = self.version(path)
            if observed != expected:
                return observed is not None and observed.content == content
            self.write(path, content)
        return True

    def copy(self, path: str, target: str, into: Store | None = None) -> None:
        into = into or self
        assert isinstance(into, FolderStore), "the bytes would have to pass through here"
        with self._reporting("copy", path), into._replacing(target) as unfinished:
            shutil.copyfile(self._root / path, unfinished)

    def delete(self, path: str) -> None:
        with self._reporting("delete", path):
            (self._root / path).unlink(missing_ok=True)

    @contextmanager
    def _replacing(self, path: str) -> Iterator[Path]:
        """Yield a hidden file to write, which then becomes the file of that path."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}")
        yield unfinished
        unfinished.replace(target)

    @contextmanager
    def _reporting(self, action: str, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UserError(f"cannot {action} {self._root / path}: {error.strerror}") from error


class _Ranges(io.RawIOBase):
    """One version of an S3 object as a raw file: each read is one request for a range."""

    def __init__(self, store: S3Store, path: str, size: int, etag: str) -> None:
        self._store, self._path, self._size, self._etag = store, path, size, etag
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        content = self._store.read_range(self._path, self._position, end, self._etag)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


class _LocalFile(io.FileIO):
    """A local file whose read errors are no sign of damaged content."""

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise UserError(f"cannot read {self.name!r}: {error.strerror}") from error


def _refuse_folder(error: OSError) -> None:
    """Without this, os.walk passes over a folder that it must not list."""
    if not isinstance(error, FileNotFoundError):
        raise UserError(f"cannot list {error.filename}: {error.strerror}") from error
